import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Edits } from "../../../lib/model/edits/edit.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logitDifference, logProb } from "../../../lib/model/methods/metrics.js";
import { Model } from "../../../lib/model/model.js";
import { patchesOf } from "../../../lib/model/vision/patches.js";
import { at0 } from "../../../lib/tensor.js";
import { rounds } from "../../rounds.js";
import { drift, golden, open, prepared, tensors, variants } from "../vision/goldens.js";

/** Of each derivative's largest element; autograd's are float32 too. */
const TOLERANCE = 1e-4;

for (const variant of variants.filter((v) => golden(v).gradients)) {
  it(`${variant}: derivatives down to the pixels agree with autograd`, async () => {
    const { cases, gradients: given } = golden(variant);
    const { difference } = given!;
    const reference = tensors(variant, "gradients.safetensors");
    const names = [...reference.keys()].map((n) => n.replace("difference/", ""));
    // What enters a block of transformers' tower is what readouts read; here these read hook_resid_post of the one before.
    const ours = (name: string): string =>
      name.replace(
        /^vision\.blocks\.([1-9])\.hook_resid_pre$/,
        (_, l) => `vision.blocks.${l - 1}.hook_resid_post`,
      );
    const model = await open(variant);
    const batch = await prepared(model, cases[difference.case]);
    const wrt = names.filter((n) => model.hooks.includes(ours(n)));
    const unknown = names.filter((n) => !wrt.includes(n));
    assert.deepEqual(unknown.sort(), ["pixel_values", "value"]);
    const { gradients: found, values } = await gradients(model, batch, [logitDifference(...difference.of)], {
      wrt: [...wrt.map(ours), "vision.hook_patches"],
    });
    assert.ok(drift(values[0], reference.get("difference/value")!.data) < TOLERANCE);
    const { image } = batch.images![0];
    const pixels = {
      ...image,
      pixels: fitted(reference.get("difference/pixel_values")!, image.pixels.shape),
    };
    const expected = patchesOf(pixels, model.config.vision_config!);
    const drifts = wrt.map((h) => ({
      h,
      drift: drift(found.get(ours(h)).data, reference.get(`difference/${h}`)!.data),
    }));
    drifts.push({ h: "pixels", drift: drift(found.get("vision.hook_patches").data, expected.data) });
    const misses = drifts.filter((d) => !(d.drift <= TOLERANCE)).map(({ h, drift }) => `${h}: ${drift}`);
    assert.deepEqual(misses, [], `${variant}: beyond ${TOLERANCE}`);
    await model.close();
  });
}

/** transformers has an axis for images, and tiles of none, where there is one image. */
function fitted<T extends { data: Float32Array }>(
  { data }: T,
  shape: readonly number[],
): { data: Float32Array; shape: readonly number[] } {
  const size = shape.reduce((a, b) => a * b);
  assert.ok(data.subarray(size).every((v) => v === 0));
  return { data: data.subarray(0, size), shape };
}

describe("derivatives at what is seen are finite differences", () => {
  for (const variant of variants) {
    it(variant, async () => {
      const model = await open(variant, { float: "float64" });
      const { turns, batch: mixed } = golden(variant).cases;
      const batch = await prepared(model, mixed ?? turns);
      const layers = model.config.vision_config!.num_hidden_layers;
      const direction = (n: number): Float32Array =>
        Float64Array.from({ length: n }, (_, i) => Math.cos(7 * i + 2)) as unknown as Float32Array;
      // An edit of every kind that has a derivative stands on the way; a token of the class, a head, all rows.
      const edits: Edits = {
        "vision.hook_patches": edit.scale(1.1),
        "vision.hook_embed": edit.scale(0.7, { positions: [0, 1] }),
        "vision.blocks.0.attn.hook_attn_scores": [
          edit.blockAttention({ from: [0], to: [1] }),
          edit.scale(0.8),
        ],
        "vision.blocks.0.attn.hook_v": edit.mean(),
        "vision.blocks.0.hook_mlp_out": edit.add(0.1),
        [`vision.blocks.${layers - 1}.hook_resid_post`]: edit.mean({ positions: [1, 2] }),
        "projector.hook_out": edit.scale(1.3, { positions: [0, 1] }),
        "blocks.0.hook_resid_post": edit.add(0.2, { positions: [-1, -2] }),
        ...(model.hooks.includes("blocks.0.hook_deepstack")
          ? { "blocks.*.hook_deepstack": edit.scale(0.6) }
          : {}),
      };
      const last = `vision.blocks.${layers - 1}`;
      const wrt = model.hooks.filter(
        (h) =>
          /^(vision\.hook_|projector|hook_embed|blocks\.0\.hook_(resid|deep))/.test(h) ||
          h.startsWith("vision.blocks.0.") ||
          h.startsWith(`${last}.hook`) ||
          /vision\.ln/.test(h),
      );
      assert.ok(wrt.length > 20);
      const metric = logProb(3);
      const value = async (more: Edits): Promise<number> =>
        metric
          .value((await model.run(batch, { edits: more, logits: "last" })).logits!)
          .reduce((a, b) => a + b, 0);
      const { gradients: found } = await gradients(model, batch, [metric], { wrt, edits });
      const placed = Object.fromEntries(
        Object.entries(edits).flatMap(([name, own]) =>
          name === "blocks.*.hook_deepstack"
            ? model.hooks.filter((hook) => hook.endsWith("hook_deepstack")).map((hook) => [hook, own])
            : [[name, own]],
        ),
      ) as Edits;
      const nudged = (hooks: readonly string[], h: number): Edits => ({
        ...placed,
        ...Object.fromEntries(
          hooks.map((hook) => {
            const { data, shape } = at0(found.get(hook), 0);
            const nudge = edit.add({ data: direction(data.length).map((v) => v * h), shape });
            return [hook, [...[placed[hook] ?? []].flat(), nudge]];
          }),
        ),
      });
      const misses: string[] = [];
      // By the chain rule nudges of several hooks at once add up; by itself each shows which one is wrong.
      const together = rounds(16, 1);
      for (let from = 0; from < wrt.length; from += together) {
        const hooks = wrt.slice(from, from + together);
        const want = ((await value(nudged(hooks, 1e-5))) - (await value(nudged(hooks, -1e-5)))) / 2e-5;
        const parts = hooks.map((hook) => {
          const { data } = at0(found.get(hook), 0);
          const along = direction(data.length);
          return data.reduce((sum, g, i) => sum + g * along[i], 0);
        });
        const got = parts.reduce((sum, part) => sum + part, 0);
        const size = Math.max(1, ...parts.map(Math.abs));
        if (!(Math.abs(got - want) <= 1e-5 * size)) misses.push(`${hooks.join(", ")}: ${got} for ${want}`);
      }
      assert.deepEqual(misses, []);
      await model.close();
    });
  }
});

it("derivatives of several images are the same a row at a time", async () => {
  for (const variant of ["qwen3_vl_moe-top2", "llava_next-vicuna"]) {
    const model = await open(variant);
    const { cases } = golden(variant);
    const batch = await prepared(model, cases.batch ?? cases.turns);
    const block = "vision.blocks.0";
    const options = {
      wrt: ["vision.hook_patches", `${block}.attn.hook_pattern`, `${block}.hook_mlp_out`],
      edits: {
        [`${block}.attn.hook_z`]: [edit.add(0.5, { positions: [1] }), edit.scale(0.5, { rows: [1] })],
      },
      frozen: ["vision.blocks.1.ln1.hook_scale"],
    };
    const metrics = [logProb(3), logProb(5)];
    const whole = await gradients(model, batch, metrics, options);
    const apart = new Model({ ...model.engine, workBytes: 1 }, model.tokenizer, model.path);
    const rows = await gradients(apart, batch, metrics, options);
    for (const name of options.wrt)
      assert.ok(
        drift(rows.gradients.get(name).data, whole.gradients.get(name).data) <= 1e-5,
        `${variant} ${name}`,
      );
    await model.close();
  }
});
