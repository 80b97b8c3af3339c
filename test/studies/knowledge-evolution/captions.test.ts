import assert from "node:assert/strict";
import { it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import { unembedding } from "../../../lib/model/methods/index.js";
import { describe, forcedReading } from "../../../lib/studies/knowledge-evolution/captions.js";
import { captionTasks } from "../../../lib/studies/knowledge-evolution/tasks.js";
import { blind } from "../../../lib/tasks/index.js";
import { at0 } from "../../../lib/tensor.js";

it("a forced reading of captions gives the states and tokens of their decoding, rows of other lengths too", async () => {
  const model = await loadModel("tiny-llava-1.5");
  const tasks = (await captionTasks({ count: 3, prompt: "please describe this image in detail." }))(0);
  const settings = { maxNewTokens: 40, rowsPerCall: 3 };
  const decoded = await describe(model, tasks, { ...settings, states: true });
  const lengths = decoded.map(({ ids }) => ids.length);
  assert.ok(new Set(lengths).size > 1);
  const states = await forcedReading(
    model,
    tasks,
    decoded.map(({ ids }) => ids),
    { rowsPerCall: settings.rowsPerCall },
  );
  const [depth, count, width] = states.shape;
  assert.equal(
    count,
    lengths.reduce((a, b) => a + b),
  );
  const logits = await unembedding(model).forward(at0(states, -1));
  let start = 0;
  for (const { ids, states: own, pieces, text } of decoded) {
    assert.equal(pieces.join(""), text);
    assert.ok(own);
    const largest = own.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    ids.forEach((id, t) => {
      const row = logits.data.subarray((start + t) * logits.shape[1], (start + t + 1) * logits.shape[1]);
      assert.equal(row.indexOf(Math.max(...row)), id);
      for (let s = 0; s < depth; s++)
        for (let j = 0; j < width; j++) {
          const off =
            states.data[(s * count + start + t) * width + j] - own.data[(s * ids.length + t) * width + j];
          assert.ok(Math.abs(off) < 1e-4 * largest, `state ${s} of token ${t}: off by ${off}`);
        }
    });
    start += ids.length;
  }
  await model.close();
});

it("what asks the same of no image is described once, as each would be alone; pieces are what each token adds", async () => {
  const model = await loadModel("tiny-llava-1.5");
  const seen = (await captionTasks({ count: 3, prompt: "please describe this image in detail." }))(0);
  const other = { ...seen[1], prompt: "describe this image." };
  const tasks = [seen[0], other, seen[2], seen[1]].map((task, i) => (i === 3 ? task : blind(task)));
  const settings = { maxNewTokens: 12, rowsPerCall: 4 };
  const together = await describe(model, tasks, settings);
  assert.equal(together[0], together[2]);
  for (const [i, task] of tasks.entries()) {
    const [alone] = await describe(model, [task], settings);
    assert.deepEqual(together[i], alone);
    alone.ids.forEach((_, t) => {
      const upTo = model.decode(alone.ids.slice(0, t + 1));
      assert.equal(alone.pieces.slice(0, t + 1).join(""), upTo);
    });
  }
  await model.close();
});
