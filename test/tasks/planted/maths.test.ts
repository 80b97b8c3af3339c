import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { subspaceOverlap, zMask } from "../../../lib/analysis/index.js";
import { edit, loadModel, type Model, saveCheckpoint } from "../../../lib/model/index.js";
import { type PlantedMaths, type PlantedMechanism, plantedMaths } from "../../../lib/tasks/planted/maths.js";
import type { Tensor } from "../../../lib/tensor.js";

const folder = mkdtempSync(join(tmpdir(), "modalscope planted "));
after(() => rmSync(folder, { recursive: true, force: true }));

async function load(mechanism: PlantedMechanism): Promise<{ made: PlantedMaths; model: Model }> {
  const made = plantedMaths(mechanism);
  const path = join(folder, mechanism);
  saveCheckpoint(path, made.config, made.weights);
  writeFileSync(join(path, "tokenizer.json"), JSON.stringify(made.tokenizer));
  writeFileSync(join(path, "tokenizer_config.json"), JSON.stringify(made.tokenizerConfig));
  return { made, model: await loadModel(path, { threads: 1 }) };
}

/** The unit vectors of the planted axes, (k, width). */
function basisOf({ axes }: PlantedMaths, width: number): Tensor {
  const data = new Float32Array(axes.length * width);
  axes.forEach((a, i) => {
    data[i * width + a] = 1;
  });
  return { data, shape: [axes.length, width] };
}

/** Answers of English riddle 1 … n when the reading block's input is patched from the mean of Chinese riddle 2 … n, 1. */
async function patched(model: Model, made: PlantedMaths, part: "Z" | "complement", n = 6): Promise<string[]> {
  const hook = `blocks.${made.layer}.hook_resid_pre`;
  const basis = basisOf(made, model.config.hidden_size);
  const { cache } = await model.run(
    made.problems.slice(0, n).map((p) => p.zh),
    { capture: [{ hook, reduce: "mean" }], logits: "none" },
  );
  const means = cache.get(`${hook}/mean`);
  const width = means.shape[1];
  const plus = { data: new Float32Array(n * width), shape: [n, 1, width] };
  const inside = new Set(made.axes);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < width; j++)
      if (inside.has(j) === (part === "Z")) plus.data[i * width + j] = means.data[((i + 1) % n) * width + j];
  }
  const change = part === "Z" ? edit.ablate(basis, { plus }) : edit.projectOnto(basis, { plus });
  const out = await model.generate(
    made.problems.slice(0, n).map((p) => p.en),
    { maxNewTokens: 4, edits: { [hook]: edit.at({ phase: "prompt" }, change) } },
  );
  return out.map(({ text }) => text);
}

/** Expected answers: in which language, and for which riddle (1 … 6) each. */
const say = (word: string, answer: (i: number) => number): string[] =>
  [1, 2, 3, 4, 5, 6].map((i) => `${word} ${answer(i)}`);
const own = (i: number): number => i;
const donor = (i: number): number => (i % 6) + 1;

describe("planted checkpoints", () => {
  for (const mechanism of ["shared", "separate", "outside"] as const) {
    it(`${mechanism}: solves every riddle in both languages, and its Z is the planted axes`, async () => {
      const { made, model } = await load(mechanism);
      for (const [language, word] of [
        ["en", "answer"],
        ["zh", "答案"],
      ] as const) {
        const out = await model.generate(
          made.problems.map((p) => p[language]),
          { maxNewTokens: 4 },
        );
        assert.deepEqual(
          out.map(({ text }) => text),
          made.problems.map(({ answer }) => `${word} ${answer}`),
        );
      }
      const weight = (name: string) => model.weight(`model.layers.${made.layer}.self_attn.${name}.weight`);
      const { basis } = zMask(
        { query: weight("q_proj"), key: weight("k_proj"), heads: 4, keyValueHeads: 2 },
        made.axes.length,
      );
      assert.ok(subspaceOverlap(basis, basisOf(made, model.config.hidden_size)).overlap > 0.98);
      await model.close();
    });
  }

  it("shared: Z carries the content, its complement the language", async () => {
    const { made, model } = await load("shared");
    assert.deepEqual(await patched(model, made, "Z"), say("answer", donor));
    assert.deepEqual(await patched(model, made, "complement"), say("答案", own));
    await model.close();
  });

  it("separate: patching Z erases the answer and moves none", async () => {
    const { made, model } = await load("separate");
    assert.deepEqual(
      await patched(model, made, "Z"),
      say("answer", () => 0),
    );
    assert.deepEqual(await patched(model, made, "complement"), say("答案", own));
    await model.close();
  });

  it("outside: Z does nothing, its complement carries content and language", async () => {
    const { made, model } = await load("outside");
    assert.deepEqual(await patched(model, made, "Z"), say("answer", own));
    assert.deepEqual(await patched(model, made, "complement"), say("答案", donor));
    await model.close();
  });
});
