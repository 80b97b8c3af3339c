/** Cotangents on through the projector and the tower: what they read there adds up from patches, positions and biases. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { freeze, pullBack } from "../../../lib/model/methods/index.js";
import { seeded } from "../../../lib/random.js";
import { golden, open, prepared, variants } from "../vision/goldens.js";

for (const variant of variants) {
  it(`${variant}: features of the image are the sum of its patches, positions and biases`, async () => {
    const model = await open(variant);
    const batch = await prepared(model, golden(variant).cases.image);
    const random = seeded(5);
    const vector = (): Float32Array =>
      Float32Array.from({ length: model.config.hidden_size }, () => random.normal());
    const targets = [
      { hook: "ln_final.hook_normalized", column: batch.seqLength - 1, vector: vector() },
      { hook: "blocks.1.mlp.hook_in", column: batch.visual[0][1], vector: vector() },
    ];
    const outputs = model.hooks.filter((h) => /^projector\.(.*\.)?hook_out$/.test(h) && !h.includes("mlp"));
    const parts = ["vision.hook_patches", "vision.hook_pos_embed"];
    const run = await freeze(model, batch, { capture: [...outputs, ...parts, "vision.hook_embed"] });
    const classTokens = model.config.vision_config!.classTokens;
    const [wanted, found] = [new Float64Array(2), new Float64Array(2)];
    await pullBack(model, run, {
      targets,
      at: [...outputs, ...parts, "vision.hook_embed"].map((hook) => ({ hook })),
      biases: true,
      take: ({ hook, rows, values }) => {
        const size = values.data.length / rows.length;
        const isVision = /^(biases of )?(vision|projector)/.test(hook);
        if (!isVision) return;
        const x = hook.startsWith("biases") ? undefined : run.cache.get(hook);
        const into = outputs.includes(hook) ? wanted : found;
        const width = values.shape[values.shape.length - 1];
        const time = values.shape[values.shape.length - 2];
        rows.forEach((row, r) => {
          for (let i = 0; i < size; i++) {
            // Of the embedded patches only the class token is no image's.
            if (hook === "vision.hook_embed" && Math.floor(i / width) % time >= classTokens) continue;
            into[row] += values.data[r * size + i] * (x ? x.data[i] : 1);
          }
        });
      },
    });
    for (const row of [0, 1]) {
      assert.ok(Math.abs(wanted[row]) > 1e-3, "the target depends on the image");
      assert.ok(
        Math.abs(found[row] - wanted[row]) < 2e-5 * Math.abs(wanted[row]) + 1e-5,
        `${found[row]} ≠ ${wanted[row]}`,
      );
    }
    await model.close();
  });
}
