import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Batch } from "../../../lib/model/batch/batch.js";
import type { Edit, Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logitDifference, logProb } from "../../../lib/model/methods/metrics.js";
import type { Model } from "../../../lib/model/model.js";
import { at0, type Tensor } from "../../../lib/tensor.js";
import { says } from "../../refusals.js";
import { deviation, open } from "../goldens.js";

const metric = logProb([3, 7]);
const rows = [
  [11, 4, 60, 8, 33, 70],
  [7, 8, 9],
];

const wide = (n: number, f: (i: number) => number): Float32Array =>
  Float64Array.from({ length: n }, (_, i) => f(i)) as unknown as Float32Array;

function direction(width: number): Tensor {
  const raw = Array.from({ length: width }, (_, i) => Math.sin(3 * i + 1));
  const norm = Math.hypot(...raw);
  return { data: Float32Array.from(raw, (v) => v / norm), shape: [1, width] };
}

/** Edits of every kind that has a derivative, on the stream and inside, one after the other on one hook too. */
function editsOf(width: number, inner: number): Edits {
  return {
    hook_embed: edit.scale(1.1),
    "blocks.0.attn.hook_v": edit.mean(),
    "blocks.0.attn.hook_z": [edit.scale(0.5, { heads: [1] }), edit.add(0.02, { positions: [-1] })],
    "blocks.0.hook_resid_mid": edit.ablate(direction(width)),
    "blocks.0.mlp.hook_post": [
      edit.fill(0.1, { positions: [-2] }),
      edit.projectOnto(direction(inner), { plus: 0.05 }),
      edit.scale(1.5),
    ],
    "blocks.0.hook_resid_post": [edit.mean({ positions: [-1, -2] }), edit.ablate(direction(width))],
    "blocks.1.hook_resid_pre": [
      edit.scale({ data: Float32Array.from({ length: width }, (_, i) => 1 + i / 50), shape: [width] }),
      edit.add(0.1, { positions: [-3] }),
    ],
    "blocks.1.ln1.hook_scale": edit.scale(1.2, { positions: [-1] }),
    "blocks.1.attn.hook_attn_scores": [
      edit.blockAttention({ from: [-1], to: [-3] }),
      edit.scale(0.7, { heads: [0] }),
    ],
    "blocks.1.attn.hook_pattern": edit.scale(0.9, { heads: [2] }),
    "blocks.1.hook_mlp_out": { ...edit.add(0.03), rows: [1] },
    "ln_final.hook_normalized": [edit.mean(), edit.scale(1.3)],
  };
}

/** The metric's slope along a seeded direction added to a hook's value after all its edits. */
async function slope(model: Model, batch: Batch, hook: string, edits: Edits, along: Tensor): Promise<number> {
  const value = async (h: number): Promise<number> => {
    const own = edits[hook] ?? [];
    const step = edit.add({ data: along.data.map((v) => v * h), shape: along.shape });
    const list: Edit[] = [...(Array.isArray(own) ? own : [own as Edit]), step];
    const { logits } = await model.run(batch, { edits: { ...edits, [hook]: list }, logits: "last" });
    return metric.value(logits!).reduce((a, b) => a + b, 0);
  };
  return ((await value(1e-4)) - (await value(-1e-4))) / 2e-4;
}

async function check(model: Model, batch: Batch, found: Tensor, hook: string, edits: Edits): Promise<void> {
  const along = { data: wide(found.data.length, (i) => Math.cos(7 * i + 2)), shape: found.shape };
  const want = await slope(model, batch, hook, edits, along);
  const got = found.data.reduce((sum, g, i) => sum + g * along.data[i], 0);
  assert.ok(Math.abs(want) > 1e-4, `${hook} has a slope`);
  assert.ok(Math.abs(got - want) <= 1e-5 * Math.max(1, Math.abs(want)), `${hook}: ${got} against ${want}`);
}

describe("gradients at an edited run are its finite differences", () => {
  for (const [variant, side] of [
    ["qwen2-tied", "left"],
    ["llama-bias", "right"],
    ["gemma3_text-tied", "left"],
    ["qwen3_moe-mixed", "left"],
    ["qwen3_moe-normalised", "right"],
  ] as const) {
    it(`${variant}, padded on the ${side}`, async () => {
      const model = await open(variant, { float: "float64" });
      const { hidden_size, intermediate_size, vocab_size } = model.config;
      const batch = model.batch(
        rows.map((ids) => ids.map((id) => id % vocab_size)),
        { paddingSide: side },
      );
      const { "blocks.0.mlp.hook_post": ofDense, ...edits } = editsOf(hidden_size, intermediate_size);
      // The inner values of experts are edited apart from their graphs.
      const sparse = model.hooks.includes("blocks.0.mlp.hook_expert_weights");
      if (!sparse) Object.assign(edits, { "blocks.0.mlp.hook_post": ofDense });
      const wrt = [
        "hook_embed",
        "blocks.0.hook_resid_pre",
        "blocks.0.attn.hook_v",
        "blocks.0.attn.hook_z",
        "blocks.0.hook_mlp_out",
        "blocks.1.hook_resid_pre",
        "blocks.1.attn.hook_q",
        "blocks.1.attn.hook_pattern",
        "blocks.1.hook_resid_post",
        "ln_final.hook_normalized",
      ];
      const { gradients: found, values } = await gradients(model, batch, [logitDifference(5, 9), metric], {
        wrt,
        edits,
      });
      const { logits } = await model.run(batch, { edits, logits: "last" });
      assert.ok(Math.abs(values[1][0] - metric.value(logits!)[0]) < 1e-9);
      for (const hook of wrt) await check(model, batch, at0(found.get(hook), 1), hook, edits);
      await model.close();
    });
  }

  it("with a block left out", async () => {
    const model = await open("llama-gqa2", { float: "float64" });
    const batch = model.batch(rows);
    const { gradients: found } = await gradients(model, batch, [metric], {
      wrt: ["hook_embed"],
      skipLayers: [1],
    });
    const x = at0(found.get("hook_embed"), 0);
    const along = { data: wide(x.data.length, (i) => Math.cos(i)), shape: x.shape };
    const value = async (h: number): Promise<number> => {
      const edits = { hook_embed: edit.add({ data: along.data.map((v) => v * h), shape: along.shape }) };
      return metric
        .value((await model.run(batch, { edits, skipLayers: [1], logits: "last" })).logits!)
        .reduce((a, b) => a + b, 0);
    };
    const want = ((await value(1e-4)) - (await value(-1e-4))) / 2e-4;
    const got = x.data.reduce((sum, g, i) => sum + g * along.data[i], 0);
    assert.ok(Math.abs(got - want) < 1e-6 * Math.abs(want), `${got} against ${want}`);
    await model.close();
  });
});

describe("a hook frozen at another run's value", () => {
  for (const side of ["left", "right"] as const) {
    it(`is that run's in the primal and a constant in the derivative (padded on the ${side})`, async () => {
      const model = await open("gemma3_text-tied", { float: "float64" });
      const batch = model.batch(rows, { paddingSide: side });
      const other = model.batch(
        [
          [5, 9, 61, 2, 12, 44],
          [1, 2, 3],
        ],
        { paddingSide: side },
      );
      const held = model.hooks.filter((h) => /hook_(pattern|scale)$/.test(h));
      const { cache } = await model.run(other, { capture: held, logits: "none" });
      const frozen = held.map((hook) => ({ hook, value: cache.get(hook) }));
      const wrt = ["hook_embed", "blocks.1.attn.hook_v", "blocks.2.hook_resid_pre"];
      const { gradients: found, values } = await gradients(model, batch, [metric], { wrt, frozen });
      const edits = Object.fromEntries(held.map((hook) => [hook, edit.fill(cache.get(hook))]));
      const { logits } = await model.run(batch, { edits, logits: "last" });
      assert.ok(Math.abs(values[0][1] - metric.value(logits!)[1]) < 1e-9);
      for (const hook of wrt) await check(model, batch, at0(found.get(hook), 0), hook, edits);
      await model.close();
    });
  }

  it("is one that the run itself has, when that is given", async () => {
    const model = await open("qwen2-tied", { float: "float64" });
    const batch = model.batch(rows);
    const hook = "blocks.1.attn.hook_pattern";
    const { cache } = await model.run(batch, { capture: [hook] });
    const wrt = ["blocks.0.hook_resid_pre"];
    const plain = await gradients(model, batch, [metric], { wrt, frozen: [hook] });
    const given = await gradients(model, batch, [metric], {
      wrt,
      frozen: [{ hook, value: cache.get(hook) }],
    });
    assert.ok(deviation(given.gradients.get(wrt[0]), plain.gradients.get(wrt[0])) < 1e-9);
    await model.close();
  });
});

describe("gradients are refused", () => {
  const refused = async (options: Parameters<typeof gradients>[3], message: RegExp): Promise<void> => {
    const model = await open("qwen2-tied");
    await assert.rejects(gradients(model, model.batch(rows), [metric], options), says(message));
    await model.close();
  };
  const wrt = ["blocks.0.hook_resid_pre"];

  it("through a function or a resampling, not after one", async () => {
    for (const opaque of [edit.apply((x) => x), edit.resample({ seed: 1 })]) {
      await refused({ wrt, edits: { "blocks.1.hook_mlp_out": opaque } }, /No gradient passes the edit/);
      const model = await open("qwen2-tied");
      const later = { wrt: ["blocks.1.hook_mlp_out"], edits: { "blocks.1.hook_mlp_out": opaque } };
      await gradients(model, model.batch(rows), [metric], later);
      await model.close();
    }
  });

  it("for a frozen value of another shape, and by a hook that does not run", async () => {
    const value = { data: new Float32Array(4), shape: [4] };
    await refused(
      { wrt, frozen: [{ hook: "blocks.1.attn.hook_pattern", value }] },
      /In this batch the hook has/,
    );
    await refused({ wrt: ["blocks.1.attn.hook_q"], skipLayers: [1] }, /does not run with these options/);
  });
});
