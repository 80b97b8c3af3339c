/** The study's own running: what it asks, what it keeps, and what it refuses. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { loadModel, saveCheckpoint } from "../../../lib/model/index.js";
import {
  folderStore,
  gapSizes,
  openGapStudy,
  publishedQuestions,
  questionsFor,
} from "../../../lib/studies/gap-phase1/index.js";
import { plantedQuestions } from "../../../lib/studies/gap-phase1/questions.js";
import { loadClaims } from "../../../lib/studies/index.js";
import { plantedVision } from "../../../lib/tasks/index.js";
import { temporaryFolder } from "../../kernels/temporary.js";

const study = loadClaims("gap-phase1");
const folder = temporaryFolder();

describe("the study of gap-phase1", () => {
  const path = join(folder, "late");
  before(() => {
    const { config, weights, files } = plantedVision("late", { layers: 12, decides: 9 });
    saveCheckpoint(path, config, weights, files);
  });

  it("finds the block that reads, keeps what it measured, and goes on from there", async () => {
    const model = await loadModel(path);
    const store = folderStore(join(folder, "kept"));
    const sizes = gapSizes(6);
    const open = () =>
      openGapStudy({
        study,
        model,
        questions: plantedQuestions("late"),
        sizes,
        parts: ["truncation", "tracing"],
        rowsPerCall: 5,
        store,
      });
    const gap = await open();
    assert.deepEqual([...gap.gate.passed], ["planted one hop"]);
    const { truncation, tracing, flow } = await gap.measurements(0);
    assert.deepEqual(flow, { untestable: 'the part "flow" was left out' });
    assert.ok(!("untestable" in truncation) && !("untestable" in tracing));
    const { layers, right } = truncation.by.mean!;
    // Twelve questions, two of each colour: where nothing is known all are called red.
    assert.deepEqual(
      layers.map((_, l) => right.reduce((sum, row) => sum + row[l], 0)),
      layers.map((l) => (l <= 9 ? 2 : 12)),
    );
    assert.deepEqual(truncation.right, Array<number>(12).fill(1));
    for (const row of tracing.delta)
      row.forEach((delta, l) => {
        assert.ok(l <= 9 ? delta < -5 : Math.abs(delta) < 0.01, `block ${l}: ${delta}`);
      });
    const kept = readdirSync(join(folder, "kept"));
    assert.ok(
      kept.includes("model-0-truncation-mean-0.json") && kept.includes("model-0-truncation-mean-10.json"),
    );
    await model.close();
    // A closed model computes nothing more: what comes now was kept.
    assert.deepEqual(await (await open()).measurements(0), await gap.measurements(0));
  });

  it("finds the same geometry and attention however many questions run together", async () => {
    const model = await loadModel(path);
    const measured = async (rowsPerCall: number) => {
      const parts = ["geometry", "flow"] as const;
      const questions = plantedQuestions("late");
      const gap = await openGapStudy({ study, model, questions, sizes: gapSizes(6), parts, rowsPerCall });
      const { geometry, flow } = await gap.measurements(0);
      assert.ok(!("untestable" in geometry) && !("untestable" in flow));
      return [geometry.visualRank, geometry.textRank.withImage, flow.toImage, flow.toText].flat(2);
    };
    const [some, all] = [await measured(5), await measured(128)];
    assert.equal(some.length, all.length);
    assert.ok(all.length > 500);
    for (const [i, value] of all.entries())
      assert.ok(Math.abs(some[i] - value) < 1e-4, `${some[i]} ${value}`);
    await model.close();
  });

  it("refuses a model without images, too few questions, and folders of other data", async () => {
    const text = await loadModel("maths-zh-en");
    await assert.rejects(questionsFor(text, { data: "", imageTokens: 0 }), /about images\. It is text-only/);
    await assert.rejects(
      openGapStudy({ study, model: text, questions: plantedQuestions("late"), sizes: gapSizes(4) }),
      /cannot be asked about images/,
    );
    await text.close();
    assert.throws(() => gapSizes(3), /3 questions of each grade are too few/);
    await assert.rejects(
      publishedQuestions(join(folder, "nowhere")),
      /none of the study's data sets.*no such folder/,
    );
    const empty = join(folder, "published");
    mkdirSync(join(empty, "chartqa"), { recursive: true });
    await assert.rejects(publishedQuestions(empty), /No ChartQA data/);
  });
});
