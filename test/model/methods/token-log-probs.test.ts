import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { edit, loadModel, type Model } from "../../../lib/index.js";
import { tokenLogProbs } from "../../../lib/model/methods/index.js";

let model: Model;
before(async () => {
  model = await loadModel("maths-zh-en", { threads: 1 });
});
after(() => model.close());

/** log softmax in float64 */
function logSoftmax(logits: Float32Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const total = logits.reduce((sum, value) => sum + Math.exp(value - most), 0);
  return Float64Array.from(logits, (value) => value - most - Math.log(total));
}

describe("log-probabilities of a batch's own tokens", () => {
  const edits = { "blocks.3.hook_mlp_out": edit.zero() };

  for (const [name, options] of [
    ["", {}],
    [" under an edit", { edits }],
  ] as const)
    test(`are those of the logits in float64${name}, with padding`, async () => {
      const batch = model.batch([[5, 9, 14, 30, 7, 8, 11], [6, 21, 33], [12]]);
      const found = await tokenLogProbs(model, batch, { ...options, tokens: [4, 40], top: 3 });
      const { logits } = await model.run(batch, options);
      const { seqLength: time, tokenPositions } = batch;
      const vocabulary = model.config.vocab_size;
      let read = 0;
      tokenPositions.forEach((columns, row) => {
        columns.slice(1).forEach((column, i) => {
          const from = (row * time + columns[i]) * vocabulary;
          const expected = logSoftmax(logits!.data.subarray(from, from + vocabulary));
          const at = row * time + column;
          const own = batch.inputIds[at];
          const near = (value: number, wanted: number, what: string) =>
            assert.ok(
              Math.abs(value - wanted) < 2e-5 * Math.max(1, Math.abs(wanted)),
              `${what}: ${value}, ${wanted}`,
            );
          near(found.logProb.data[at], expected[own], "own token");
          near(found.tokens.data[at * 2], expected[4], "first of `tokens`");
          near(found.tokens.data[at * 2 + 1], expected[40], "second of `tokens`");
          const order = [...expected.keys()].sort((a, b) => expected[b] - expected[a]).slice(0, 3);
          assert.deepEqual([...found.topIds.data.subarray(at * 3, at * 3 + 3)], order);
          order.forEach((id, j) => {
            near(found.topLogProb.data[at * 3 + j], expected[id], "one of the likeliest");
          });
          read++;
        });
      });
      assert.equal(read, 6 + 2 + 0);
      assert.equal(found.logProb.data.filter((value) => !Number.isNaN(value)).length, read, "NaN elsewhere");
      assert.deepEqual(found.topIds.shape, [3, time, 3]);
    });

  test("an edit of the head, a token outside the vocabulary and an unknown option are refused", async () => {
    const batch = model.batch([[5, 9, 14]]);
    await assert.rejects(
      tokenLogProbs(model, batch, { edits: { "ln_final.hook_normalized": edit.zero() } }),
      /cannot take an edit of "ln_final.hook_normalized"/,
    );
    await assert.rejects(tokenLogProbs(model, batch, { tokens: [1e6] }), /Token 1000000 is not one of/);
    await assert.rejects(tokenLogProbs(model, batch, { topK: 3 } as object), /topK/);
  });
});
