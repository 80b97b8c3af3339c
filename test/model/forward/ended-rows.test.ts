import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edit, loadModel } from "../../../lib/model/index.js";
import { heldOutProblems, plainPrompt } from "../../../lib/tasks/index.js";

describe("rows that have ended leave a generation's passes", () => {
  it("and the others go on as they would alone, under edits of their prompts too", async () => {
    const model = await loadModel("maths-zh-en");
    const problems = heldOutProblems({ each: 2, reach: "wide" });
    const prompts = problems.flatMap((own) => [plainPrompt(own, "en"), plainPrompt(own, "zh")]);
    const hook = "blocks.8.hook_resid_pre";
    const changed = [1, 4, 9, 22];
    const editsOf = (rows: readonly number[]) => ({
      [hook]: edit.at({ rows, phase: "prompt" }, edit.scale(0.5)),
    });
    const options = { maxNewTokens: 20, outputLogits: true };
    const together = await model.generate(prompts, { ...options, edits: editsOf(changed) });
    const lengths = together.map(({ ids }) => ids.length).sort((a, b) => a - b);
    // A quarter has ended before the last.
    assert.ok(lengths[lengths.length >> 2] < lengths[lengths.length - 1], lengths.join());
    for (const [row, prompt] of prompts.entries()) {
      const edits = changed.includes(row) ? editsOf([0]) : {};
      const [alone] = await model.generate([prompt], { ...options, edits });
      const own = together[row];
      assert.deepEqual([own.text, own.ids, own.finishReason], [alone.text, alone.ids, alone.finishReason]);
      alone.logits.forEach(({ data }, step) => {
        const off = data.reduce((most, x, i) => Math.max(most, Math.abs(x - own.logits[step].data[i])), 0);
        assert.ok(off < 1e-3, `row ${row}, step ${step}: ${off}`);
      });
    }
    await model.close();
  });
});
