import assert from "node:assert/strict";
import { it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import { judge } from "../../../lib/studies/judge.js";
import { EvolutionStudy } from "../../../lib/studies/knowledge-evolution/measure.js";
import { captionTasks, questionGroups } from "../../../lib/studies/knowledge-evolution/tasks.js";
import { loadStudy } from "../../../lib/studies/load.js";
import { loadClaims } from "../../../lib/studies/read.js";

/** The model's skip.1 skips nothing: its first mutation layer stands behind the critical block. */
const UNMEASURED = ["skip1"];
/** True of random weights as well: the image reaches the last position block by block. */
const OF_RANDOM_WEIGHTS = ["guitar"];

it("every claim of knowledge evolution is measured on one of its nulls, and what random weights support is known", async () => {
  const study = loadClaims("knowledge-evolution");
  const { vqa } = loadStudy<{ vqa: { questions: string[] } }>("knowledge-evolution");
  const model = await loadModel("tiny-llava-1.5");
  const languageModel = await loadModel("tiny-llava-1.5-language");
  const tasks = await captionTasks({ count: 24, prompt: "please describe this image in detail." });
  const questions = questionGroups({ count: 8 }, tasks, vqa.questions);
  const settings = { model, languageModel, tasks, questions, maxNewTokens: 56, rowsPerCall: 24 };
  const evolution = new EvolutionStudy(study, settings);
  const judged = async (id: string) => {
    const { evidence } = await evolution.measure({ id }, 0);
    return study.claims.map((claim) => judge(claim, evidence[claim.id]));
  };
  const [random, other] = [await judged("random"), await judged("otherImage")];
  const ids = study.claims.map(({ id }) => id);
  assert.deepEqual(
    ids.filter((_, i) => !random[i].done && !other[i].done),
    UNMEASURED,
  );
  assert.deepEqual(
    ids.filter((_, i) => random[i].verdict === "supported"),
    OF_RANDOM_WEIGHTS,
  );
  // What a caption says right or wrong is so of its own image.
  for (const id of ["hallucinatedMutate", "correctFirst", "skip2", "skip3", "priorInjected"])
    assert.notEqual(other[ids.indexOf(id)].verdict, "supported", id);
  await model.close();
  await languageModel.close();
});
