import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  encodeFeatures,
  featureRollout,
  rollout,
  tokenMaps,
  visionRollout,
} from "../../lib/circuits/index.js";
import { loadModel, type Tensor, tensor } from "../../lib/index.js";
import { animals, asMessage, drawTasks } from "../../lib/tasks/index.js";
import { randomTranscoders } from "./random-set.js";

const pattern = (...rows: number[]): Tensor => tensor(Float32Array.from(rows), [1, 2, 2]);

describe("attention rollout", () => {
  it("multiplies from the lower layer to the higher: two unequal layers by hand", () => {
    // ½(A + I): lower [[1, 0], [.5, .5]], higher [[.5, .5], [0, 1]]; higher · lower = [[.75, .25], [.5, .5]].
    const { data } = rollout([pattern(1, 0, 1, 0), pattern(0, 1, 0, 1)], 1);
    assert.deepEqual([...data], [0.75, 0.25, 0.5, 0.5]);
  });

  it("counts the heads of least entropy, at least one", () => {
    const heads = tensor(Float32Array.from([0.5, 0.5, 0.5, 0.5, 1, 0, 1, 0]), [2, 2, 2]);
    assert.deepEqual([...rollout([heads], 0.5).data], [1, 0, 0.5, 0.5]);
    assert.deepEqual([...rollout([heads], 0.1).data], [1, 0, 0.5, 0.5]);
    assert.deepEqual([...rollout([heads], 1).data], [0.875, 0.125, 0.375, 0.625]);
  });

  it("pools 2 × 2 patches of a 2 × 4 grid to two tokens as the document says, and as the code does", () => {
    const rolled = tensor(
      Float32Array.from({ length: 64 }, (_, i) => i),
      [8, 8],
    );
    const grid = { height: 2, width: 4, block: 2, first: 0 };
    const means = tokenMaps(rolled, grid, "document");
    assert.deepEqual(means.shape, [2, 1, 2]);
    // Token 0 is patches 0, 1, 4, 5: the mean row is 2.5, of 8 columns; its columns' means are 2.5 and 4.5.
    assert.deepEqual([...means.data], [22.5, 24.5, 38.5, 40.5]);
    const largest = tokenMaps(rolled, grid, "published");
    assert.deepEqual(largest.shape, [2, 2, 4]);
    // The largest of rows 0, 1, 4, 5 is row 5: 40 … 47, cut at 46.65 and scaled.
    const wanted = [40, 41, 42, 43, 44, 45, 46, 46.65].map((x) => (x - 40) / 6.65);
    wanted.forEach((x, i) => {
      assert.ok(Math.abs(largest.data[i] - x) < 1e-6);
    });
  });

  it("on a model: rows sum to what they must, and a feature's map is that of its only token", async () => {
    const model = await loadModel("tiny-gemma3", { threads: 1 });
    const tasks = drawTasks(animals, { split: "heldout", count: 2, size: 48, seed: 3 });
    const batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
    const [first, second] = await visionRollout(model, batch);
    assert.deepEqual(first.maps.shape, [16, 4, 4]);
    // A row of R sums to 1 over 64 patches; a mean over blocks of 4 leaves a quarter.
    for (let t = 0; t < 16; t++) {
      const sum = first.maps.data.subarray(t * 16, (t + 1) * 16).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - 0.25) < 1e-5);
    }
    assert.notDeepEqual(first.maps.data, second.maps.data);
    const [published] = await visionRollout(model, batch, { form: "published" });
    assert.deepEqual(published.maps.shape, [16, 8, 8]);
    const set = randomTranscoders({ kind: "per-layer", layers: 12, width: 64, features: 400, k: 4 }, 3);
    const run = await encodeFeatures(model, batch, set);
    const { offsets, ids } = run.layers[4];
    const at = run.tokens.flatMap(({ row, column }, t) =>
      row === 0 && first.positions.includes(column)
        ? [...ids.subarray(offsets[t], offsets[t + 1])].map((id) => ({
            id,
            token: first.positions.indexOf(column),
          }))
        : [],
    );
    const single = at.find(({ id }) => at.filter((other) => other.id === id).length === 1)!;
    const map = featureRollout(run, first, 4, single.id);
    map.data.forEach((x, i) => {
      assert.ok(Math.abs(x - first.maps.data[single.token * 16 + i]) < 1e-6);
    });
    const unused = Array.from({ length: 400 }, (_, f) => f).find((f) => !ids.includes(f))!;
    assert.ok(featureRollout(run, first, 4, unused).data.every((x) => x === 0));
    await assert.rejects(visionRollout(model, model.batch([[1, 2]])), /The batch has no image/);
    set.close();
    await model.close();
  });
});
