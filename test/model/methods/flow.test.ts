/** Attention flow, beside the attention that was planted. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { attentionFlow, imageAttention } from "../../../lib/model/methods/index.js";
import { withPlanted } from "./planted-trial.js";

describe("attention flow between groups of tokens", () => {
  for (const kind of ["late", "early"] as const) {
    it(`peaks in the head and the block that look at the image (${kind})`, async () => {
      await withPlanted(kind, async ({ model, batch, decides }) => {
        const { byHead, layers } = await attentionFlow(model, batch, { routes: ["Image→Last"] });
        const [, , heads, rows] = byHead.shape;
        for (const l of layers)
          for (let b = 0; b < rows; b++) {
            const first = byHead.data[l * heads * rows + b];
            assert.equal(first > 0.98, l === decides, `block ${l}, row ${b}: ${first}`);
          }
      });
    });
  }

  it("is even where nothing is planted: all keys are alike", async () => {
    await withPlanted("none", async ({ model, batch }) => {
      const { share, even, routes } = await attentionFlow(model, batch);
      routes.forEach((route, r) => {
        for (let i = 0; i < 8 * batch.size; i++) {
          const [got, want] = [
            share.data[r * 8 * batch.size + i],
            even.data[r * batch.size + (i % batch.size)],
          ];
          assert.ok(Math.abs(got - want) < 1e-5, `${route}: ${got}, even ${want}`);
        }
      });
    });
  });

  it("leaves out text before the image, and splits a query's attention among groups that cover all", async () => {
    await withPlanted("late", async ({ model, batch }) => {
      const { share, even, routes } = await attentionFlow(model, batch, {
        routes: ["Image→Text", "Text→Last", "Image→Last"],
        layers: [5],
      });
      assert.equal(routes.length, 3);
      const at = (r: number, b: number): number => share.data[r * batch.size + b];
      batch.visual.forEach((columns, b) => {
        assert.ok(Math.abs(at(1, b) + at(2, b) - 1) < 1e-5);
        const after = batch.tokenPositions[b].filter((c) => c > columns[0] && !columns.includes(c));
        const first = batch.tokenPositions[b][0];
        const want = after.reduce((sum, q) => sum + columns.length / (q - first + 1), 0) / after.length;
        assert.ok(Math.abs(even.data[b] - want) < 1e-12);
      });
    });
  });

  it("is refused without images", async () => {
    await withPlanted("none", async ({ model }) => {
      const blind = await model.prepare("what is it ?");
      await assert.rejects(attentionFlow(model, blind), /Row 0 has no tokens of the group Image/);
    });
  });
});

describe("sums of a pattern over groups of keys", () => {
  it("are kept instead of the pattern, of some queries and rows of other lengths too", async () => {
    await withPlanted("late", async ({ model, batch }) => {
      const hook = "blocks.5.attn.hook_pattern";
      const keys = [batch.visual, batch.question];
      const positions = batch.question.map((columns, b) => columns.slice(b % 2));
      const { cache } = await model.run(batch, {
        capture: [{ hook, positions, padRows: true, reduce: { keys } }],
        logits: "none",
      });
      const whole = await model.run(batch, { capture: [hook], logits: "none" });
      const { data, shape } = cache.get(`${hook}/keys`);
      const [rows, heads, places, groups] = shape;
      assert.deepEqual([rows, heads, groups], [batch.size, 4, 2]);
      const pattern = whole.cache.get(hook);
      const time = batch.seqLength;
      positions.forEach((queries, b) => {
        queries.forEach((q, i) => {
          for (let h = 0; h < heads; h++)
            keys.forEach((group, g) => {
              const row = ((b * heads + h) * time + q) * time;
              const want = group[b].reduce((sum, key) => sum + pattern.data[row + key], 0);
              assert.ok(Math.abs(data[((b * heads + h) * places + i) * groups + g] - want) < 1e-6);
            });
        });
      });
      const bad = (capture: object): Promise<unknown> =>
        model.run(batch, { capture: [capture as { hook: string }], logits: "none" });
      await assert.rejects(bad({ hook: "blocks.5.hook_resid_pre", reduce: { keys } }), /no keys to sum over/);
      await assert.rejects(bad({ hook, reduce: { keys: [[[0]]] } }), /columns for 1 rows/);
      await assert.rejects(bad({ hook, reduce: { keys: [batch.visual.map(() => [99])] } }), /the column 99/);
    });
  });
});

describe("attention to an image's tokens", () => {
  it("is the pattern's, and adds up to the flow", async () => {
    await withPlanted("late", async ({ model, batch }) => {
      const image = 2;
      const { byHead } = await attentionFlow(model, batch, { routes: ["Image→Last"] });
      const last = await imageAttention(model, batch, { image });
      const [layers, heads, tokens] = last.shape;
      for (let i = 0; i < layers * heads; i++) {
        const sum = last.data.subarray(i * tokens, (i + 1) * tokens).reduce((a, b) => a + b, 0);
        assert.ok(Math.abs(sum - byHead.data[i * batch.size + image]) < 1e-5);
      }
      const query = batch.question[image][1];
      const { cache } = await model.run(batch, { capture: ["blocks.3.attn.hook_pattern"], logits: "none" });
      const { data: pattern, shape } = cache.get("blocks.3.attn.hook_pattern");
      const { data } = await imageAttention(model, batch, { image, query, layers: [3] });
      batch.visual[image].forEach((key, t) => {
        for (let h = 0; h < heads; h++) {
          const want = pattern[((image * heads + h) * shape[2] + query) * shape[3] + key];
          assert.equal(data[h * tokens + t], want);
        }
      });
      await assert.rejects(imageAttention(model, batch, { image: 6 }), /no image 6/);
    });
  });
});
