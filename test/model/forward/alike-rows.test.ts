import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Edits, edit, loadModel } from "../../../lib/model/index.js";
import { heldOutProblems, plainPrompt } from "../../../lib/tasks/index.js";

describe("rows that share their prompt are generated as each would be alone", async () => {
  const model = await loadModel("maths-zh-en");
  after(() => model.close());
  const problems = heldOutProblems({ each: 1, reach: "wide" }).slice(0, 2);
  const prompts = problems.map((own) => plainPrompt(own, "en"));
  // Three copies of each, of which the second and third are edited.
  const rows = [0, 1, 2].flatMap((copy) => prompts.map((prompt) => ({ prompt, scale: 1 - 0.4 * copy })));
  const editedAt =
    (hook: string, phase: "prompt" | "both" = "prompt") =>
    (scales: readonly number[]): Edits => ({
      [hook]: scales.map((scale, row) => edit.at({ rows: [row], phase }, edit.scale(scale))),
    });
  const cases = {
    "before a block": { edits: editedAt("blocks.8.hook_resid_pre") },
    "inside a block, generated tokens too": { edits: editedAt("blocks.5.hook_mlp_out", "both") },
    "in the embedding": { edits: editedAt("hook_embed") },
    "behind all blocks": { edits: editedAt("ln_final.hook_normalized") },
    "beside blocks that are skipped": { edits: editedAt("blocks.9.hook_resid_pre"), skipLayers: [3, 8, 12] },
    nowhere: { edits: (): Edits => ({}) },
  };
  for (const [name, { edits, ...more }] of Object.entries(cases))
    it(`edited ${name}`, async () => {
      const options = { maxNewTokens: 4, outputLogits: true, ...more };
      const scales = rows.map(({ scale }) => scale);
      const together = await model.generate(
        rows.map(({ prompt }) => prompt),
        { ...options, edits: edits(scales) },
      );
      for (const [row, { prompt, scale }] of rows.entries()) {
        const [alone] = await model.generate([prompt], { ...options, edits: edits([scale]) });
        assert.deepEqual(together[row].ids, alone.ids);
        alone.logits.forEach(({ data }, step) => {
          const own = together[row].logits[step].data;
          const off = data.reduce((most, x, i) => Math.max(most, Math.abs(x - own[i])), 0);
          assert.ok(off < 1e-4, `row ${row}, step ${step}: ${off}`);
        });
      }
    });
});
