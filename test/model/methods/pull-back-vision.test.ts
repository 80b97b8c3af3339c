/** Cotangents on through the projector and the tower: what they read there adds up from patches, positions and biases. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { freeze, type PullPoint, pullBack } from "../../../lib/model/methods/index.js";
import { seeded } from "../../../lib/random.js";
import { golden, open, prepared, variants } from "../vision/goldens.js";

const PATCHES = "vision.hook_patches";

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

/** One variant of each architecture. */
const chosen = variants.filter(
  (v, i) => variants.findIndex((w) => w.split("-")[0] === v.split("-")[0]) === i,
);

for (const variant of chosen) {
  it(`${variant}: many rows go through the tower's matrix to the same products with the patches`, async () => {
    const model = await open(variant);
    const batch = await prepared(model, golden(variant).cases.image);
    const random = seeded(6);
    const units = batch.images!.flatMap(({ positions }) => positions).length * model.config.hidden_size;
    const injections = new Set(model.config.vision_config!.readouts.map(({ toLayer }) => toLayer)).size;
    const count = units * injections + 3;
    const targets = Array.from({ length: count }, (_, i) => ({
      hook: `blocks.${i % 2}.mlp.hook_in`,
      column: batch.seqLength - 1 - (i % 3),
      vector: Float32Array.from({ length: model.config.hidden_size }, () => random.normal()),
    }));
    const run = await freeze(model, batch, { capture: [PATCHES] });
    const pixels = run.cache.get(PATCHES);
    const [images, time, width] = pixels.shape;
    const places = images * time;
    const patches = { data: pixels.data, shape: [images, time, 1, width] };
    const products = async (some: typeof targets, point: PullPoint): Promise<Float32Array> => {
      const found = new Float32Array(some.length * places);
      await pullBack(model, run, {
        targets: some,
        at: [point],
        take: ({ rows, values }) => {
          const size = values.data.length / rows.length / places;
          rows.forEach((row, r) => {
            for (let p = 0; p < places; p++) {
              for (let j = 0; j < size; j++) {
                const by = point.vectors ? 1 : pixels.data[p * width + j];
                found[row * places + p] += values.data[(r * places + p) * size + j] * by;
              }
            }
          });
        },
      });
      return found;
    };
    const many = await products(targets, { hook: PATCHES, vectors: patches });
    const some = targets.slice(0, 7);
    for (const point of [{ hook: PATCHES, vectors: patches }, { hook: PATCHES }]) {
      const few = await products(some, point);
      const most = few.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      assert.ok(most > 1e-3, "the targets depend on the image");
      few.forEach((value, i) => {
        assert.ok(Math.abs(value - many[i]) < 2e-5 * most, `${i}: ${many[i]} ≠ ${value}, of ${most}`);
      });
    }
    await assert.rejects(products(some, { hook: PATCHES, vectors: pixels }), /In the tower they are/);
    await model.close();
  });
}
