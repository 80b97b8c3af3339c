import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as edit from "../../../lib/model/edits/edit.js";
import { loadModel } from "../../../lib/model/load.js";
import { meanOf } from "../../../lib/model/methods/means.js";

const HOOK = "blocks.2.hook_resid_pre";
const PROMPTS = ["What is 9 plus 5?\n", "9加5等于几？\n", "What is 12 minus 4?\n"];

describe("the mean of a hook over prompts", () => {
  it("is the mean over rows of the mean over each row's tokens, however the prompts are batched", async () => {
    const model = await loadModel("maths-zh-en");
    const width = model.config.hidden_size;
    const want = new Float64Array(width);
    for (const prompt of PROMPTS) {
      const { cache } = await model.run(prompt, { capture: [HOOK], logits: "none" });
      const { data } = cache.get(HOOK);
      const tokens = data.length / width;
      data.forEach((v, i) => {
        want[i % width] += v / tokens / PROMPTS.length;
      });
    }
    for (const batchSize of [1, 2, 16]) {
      const { data, shape } = await meanOf(model, PROMPTS, HOOK, { batchSize });
      assert.deepEqual(shape, [width]);
      data.forEach((v, i) => {
        assert.ok(
          Math.abs(v - want[i]) < 1e-4,
          `${batchSize} at once, element ${i}: ${v}, by hand ${want[i]}`,
        );
      });
    }
    await model.close();
  });

  it("takes the positions that a function names in each batch, and fills in as an edit", async () => {
    const model = await loadModel("maths-zh-en");
    const last = await meanOf(model, PROMPTS, HOOK, { positions: (batch) => batch.last.map((c) => [c]) });
    const same = await meanOf(model, PROMPTS, HOOK, { positions: "last" });
    assert.deepEqual(last.data, same.data);
    const edits = { [HOOK]: edit.fill(last, { positions: "last" }) };
    const { cache } = await model.run(PROMPTS, { capture: [{ hook: HOOK, positions: "last" }], edits });
    const filled = cache.get(HOOK);
    for (const [i, v] of filled.data.entries()) assert.equal(v, last.data[i % last.data.length]);
    await model.close();
  });

  it("keeps heads apart", async () => {
    const model = await loadModel("maths-zh-en");
    const { num_attention_heads: heads, head_dim: size } = model.config;
    const { shape } = await meanOf(model, PROMPTS, "blocks.0.attn.hook_z");
    assert.deepEqual(shape, [heads, size]);
    await model.close();
  });

  it("of one prompt is that prompt's own, and not that of its parts", async () => {
    const model = await loadModel("maths-zh-en");
    const prompt = `${PROMPTS[0]}The answer is 14.`;
    const [whole, listed] = [await meanOf(model, prompt as never, HOOK), await meanOf(model, [prompt], HOOK)];
    assert.deepEqual(whole, listed);
    await model.close();
  });

  it("is refused for several hooks, keys and no prompts", async () => {
    const model = await loadModel("maths-zh-en");
    await assert.rejects(meanOf(model, PROMPTS, "blocks.*.hook_resid_pre"), /names 4 hooks|names \d+ hooks/);
    await assert.rejects(meanOf(model, PROMPTS, "blocks.0.attn.hook_pattern"), /has no mean over prompts/);
    await assert.rejects(meanOf(model, [], HOOK), /no prompts/);
    const batch = await model.prepare(PROMPTS);
    await assert.rejects(
      meanOf(model, batch as never, HOOK),
      /Prompt 0 cannot be read: its text is undefined/,
    );
    // A misspelt name in plain JavaScript: not all tokens.
    const positions = (own: object): never => (own as { visuals: never }).visuals;
    await assert.rejects(
      meanOf(model, PROMPTS, HOOK, { positions }),
      /function for the positions of meanOf gave undefined/,
    );
    await model.close();
  });
});
