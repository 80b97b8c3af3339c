import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  encodeFeatures,
  featureEdits,
  patchedFeatures,
  type TranscoderSet,
} from "../../lib/circuits/index.js";
import { type Batch, type Edits, loadModel, type Model } from "../../lib/index.js";
import { animals, asMessage, drawTasks } from "../../lib/tasks/index.js";
import { filled } from "../../lib/tensor.js";
import { randomTranscoders } from "./random-set.js";

let model: Model;
let batch: Batch;
let set: TranscoderSet;

before(async () => {
  model = await loadModel("tiny-gemma3", { threads: 1 });
  const tasks = drawTasks(animals, { split: "heldout", count: 2, size: 48, seed: 4, types: ["name"] });
  batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
  set = randomTranscoders({ kind: "per-layer", layers: 12, width: 64, features: 96, k: 6 }, 1);
});
after(async () => {
  set.close();
  await model.close();
});

const logitsWith = async (edits: Edits): Promise<Float32Array> =>
  (await model.run(batch, { edits, logits: "last" })).logits!.data;

describe("activations that are set by row and column", () => {
  it("are those that one edit for each column sets", async () => {
    const recorded = await encodeFeatures(model, batch, set);
    const columns = batch.visual[0];
    const { ids, offsets } = recorded.layers[3];
    const first = recorded.tokens.findIndex(({ row, column }) => row === 1 && column === columns[0]);
    const features = [...new Set(ids.subarray(offsets[first], offsets[first + 8]))];
    const from = columns.map((column) => ({ row: 1, column }));
    const one = patchedFeatures(recorded, { layer: 3, features, from, to: columns, row: 0 });
    const values = features.map((feature) => {
      const table = filled([batch.size, batch.seqLength], Number.NaN);
      for (const change of one)
        if (change.feature === feature) table.data[(change.positions as number[])[0]] = change.set as number;
      return { layer: 3, feature, set: table, positions: batch.visual };
    });
    const [a, b, clean] = [
      await logitsWith(featureEdits(set, one)),
      await logitsWith(featureEdits(set, values)),
      await logitsWith({}),
    ];
    const apart = (x: Float32Array, y: Float32Array): number =>
      x.reduce((most, v, i) => Math.max(most, Math.abs(v - y[i])), 0);
    assert.ok(apart(a, b) < 1e-5, `${apart(a, b)}`);
    assert.ok(apart(a, clean) > 1e-3, `it changes something: ${apart(a, clean)}`);
  });

  it("that do not reach a column are refused with words", () =>
    assert.rejects(
      logitsWith(featureEdits(set, [{ layer: 3, feature: 1, set: filled([3], 1) }])),
      /say nothing of column 3/,
    ));

  it("must lie by column, or by row and column", () =>
    assert.rejects(
      async () => logitsWith(featureEdits(set, [{ layer: 3, feature: 1, set: filled([1, 2, 3], 1) }])),
      /set may be a tensor/,
    ));
});
