/** Every planted checkpoint gets the verdict that it was built for; and what holds nothing supports nothing. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { loadModel, type Model } from "../../../lib/model/index.js";
import {
  type GapStudy,
  gapSizes,
  openGapStudy,
  questionsFor,
} from "../../../lib/studies/gap-phase1/index.js";
import { judge, loadClaims } from "../../../lib/studies/index.js";

const study = loadClaims("gap-phase1");

describe("the study of gap-phase1 on its planted checkpoints", () => {
  let model: Model;
  let gap: GapStudy;
  before(async () => {
    model = await loadModel("tiny-qwen3-vl-moe");
    const questions = await questionsFor(model, { data: "", imageTokens: 0 });
    gap = await openGapStudy({ study, model, questions, sizes: gapSizes(50) });
  });
  after(() => model.close());

  for (const checkpoint of study.checkpoints.filter(({ id, role }) => role === "planted" || id === "none"))
    it(`${checkpoint.id}: ${checkpoint.says}`, async () => {
      const { evidence, gate } = await gap.measure(checkpoint, 0);
      for (const claim of study.claims) {
        const { verdict, because } = judge(
          claim,
          evidence[claim.id],
          checkpoint.role === "null" ? {} : { gate },
        );
        const expected = claim.planted.get(checkpoint.id);
        if (expected) assert.equal(verdict, expected, `${claim.id}: ${because}`);
        else if (checkpoint.role === "null") assert.notEqual(verdict, "supported", `${claim.id}: ${because}`);
      }
    });
});
