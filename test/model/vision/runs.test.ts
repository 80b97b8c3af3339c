import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import type { Batch } from "../../../lib/model/batch/batch.js";
import { ActivationCache } from "../../../lib/model/captures/activation-cache.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { EncodedImages } from "../../../lib/model/engine/encoded-images.js";
import { loadModel } from "../../../lib/model/load.js";
import { directLogitAttribution } from "../../../lib/model/methods/attribution.js";
import { logitDifference } from "../../../lib/model/methods/metrics.js";
import { activationPatching } from "../../../lib/model/methods/patching.js";
import { unembedding } from "../../../lib/model/methods/unembedding.js";
import { Model } from "../../../lib/model/model.js";
import type { Tensor } from "../../../lib/tensor.js";
import { drift, fixtures, golden, open, prepared, variants } from "./goldens.js";

const mixed = (model: Model, variant: string, side: "left" | "right" = "left"): Promise<Batch> => {
  const { cases } = golden(variant);
  return prepared(model, cases.batch ?? cases.turns, { paddingSide: side });
};

/** The last logits of the batch with several images. */
async function lastLogits(model: Model, variant: string, side?: "left" | "right"): Promise<Tensor> {
  return (await model.run(await mixed(model, variant, side), { logits: "last" })).logits!;
}

for (const variant of variants) {
  it(`${variant}: the same numbers by every way through the engine`, async () => {
    const model = await open(variant);
    const expected = await lastLogits(model, variant);
    const same = (found: Tensor, what: string, tolerance = 1e-5): void => {
      const off = drift(found.data, expected.data);
      assert.ok(off <= tolerance, `${variant}, ${what}: ${off.toExponential(2)}`);
    };
    same(await lastLogits(model, variant, "right"), "padded on the right");

    const streamed = await open(variant, { memory: "60KB" });
    assert.equal(streamed.engine.resident, false);
    await assert.rejects(lastLogits(streamed, variant), /values inside a block would take/);
    Object.assign(streamed.engine, { captureBytes: 2 ** 20 });
    same(await lastLogits(streamed, variant), "streamed");
    await streamed.close();

    const exact = await open(variant, { float: "float64" });
    same(await lastLogits(exact, variant), "float64", 1e-4);
    await exact.close();

    // Few queries at once: where an image's tokens all see each other they stay together.
    for (const workBytes of [1, 2000]) {
      const encodedImages = new EncodedImages(0);
      const parts = new Model({ ...model.engine, workBytes, encodedImages }, model.tokenizer, model.path);
      same(await lastLogits(parts, variant), `scores of ${workBytes} bytes at once`);
    }

    const batch = await mixed(model, variant);
    const middle = 1;
    const { cache } = await model.run(batch, {
      capture: [`blocks.${middle}.hook_resid_pre`],
      logits: "none",
    });
    const start = { startAtLayer: middle, residual: cache.get(`blocks.${middle}.hook_resid_pre`) };
    same((await model.run(batch, { ...start, logits: "last" })).logits!, "from the middle");
    const { residual } = await model.run(batch, { stopAtLayer: middle });
    assert.ok(drift(residual!.data, start.residual.data) < 1e-5 || batch.attentionMask.includes(0));
    const skipped = await model.run(batch, { skipLayers: [middle], logits: "last" });
    const resumed = await model.run(batch, { ...start, skipLayers: [middle], logits: "last" });
    assert.ok(drift(skipped.logits!.data, resumed.logits!.data) <= 1e-5);
    assert.ok(drift(skipped.logits!.data, expected.data) > 1e-3);
    await model.close();
  });

  for (const layout of golden(variant).layouts ?? []) {
    it(`${variant}: weights named as in ${layout}/`, async () => {
      const plain = await open(variant);
      const other = await loadModel(join(fixtures, variant, layout), { threads: 1 });
      const found = await lastLogits(other, variant);
      assert.ok(drift(found.data, (await lastLogits(plain, variant)).data) <= 1e-6);
      await other.close();
      await plain.close();
    });
  }

  it(`${variant}: config.json as on the Hub`, async () => {
    const parent = mkdtempSync(join(tmpdir(), "modalscope-"));
    const folder = join(parent, variant);
    try {
      const own = join(fixtures, variant);
      cpSync(own, folder, { recursive: true });
      cpSync(join(own, "config.hub.json"), join(folder, "config.json"));
      const plain = await open(variant);
      const other = await loadModel(folder, { threads: 1 });
      assert.deepEqual((await lastLogits(other, variant)).data, (await lastLogits(plain, variant)).data);
      await other.close();
      await plain.close();
    } finally {
      rmSync(parent, { recursive: true });
    }
  });

  it(`${variant}: captures of what is seen, whole, in part, reduced, in a file`, async () => {
    const model = await open(variant);
    const batch = await mixed(model, variant);
    const block = "vision.blocks.0";
    const hooks = [
      "vision.hook_patches",
      "vision.hook_embed",
      `${block}.hook_resid_pre`,
      `${block}.attn.hook_z`,
      `${block}.attn.hook_pattern`,
      "projector.hook_out",
    ];
    const { cache } = await model.run(batch, { capture: hooks, logits: "none" });
    const counts = batch.images!.flatMap(({ image }) => image.tiles.map(() => image.grid[1] * image.grid[2]));
    const classes = model.config.vision_config!.classTokens;
    const z = cache.get(`${block}.attn.hook_z`);
    assert.deepEqual(z.shape.slice(0, 2), [counts.length, Math.max(...counts) + classes]);
    assert.equal(cache.get("vision.hook_patches").shape[1], Math.max(...counts));
    const row = z.shape[1] * z.shape[2] * z.shape[3];
    counts.forEach((n, i) => {
      const from = i * row + (n + classes) * z.shape[2] * z.shape[3];
      assert.ok(
        z.data.subarray(from, (i + 1) * row).every((v) => v === 0),
        "patches that fill a row up are zero",
      );
      assert.ok(z.data.subarray(i * row, from).some((v) => v !== 0));
    });
    const pattern = cache.get(`${block}.attn.hook_pattern`);
    const time = pattern.shape[3];
    for (let i = 0; i < pattern.data.length; i += time) {
      const image = Math.floor(i / (pattern.shape[1] * time * time));
      const padded = (i / time) % time >= counts[image] + classes;
      const sum = pattern.data.subarray(i, i + time).reduce((a, b) => a + b, 0);
      assert.ok(Math.abs(sum - (padded ? 0 : 1)) < 1e-5);
      assert.ok(pattern.data.subarray(i + counts[image] + classes, i + time).every((v) => v === 0));
    }
    const heads = z.shape[2];
    const part = await model.run(batch, {
      capture: [
        { hook: `${block}.attn.hook_z`, positions: [1, 2], heads: [heads - 1] },
        { hook: `${block}.hook_resid_pre`, reduce: "mean" },
        { hook: "projector.hook_out", reduce: "norm" },
      ],
      logits: "none",
    });
    const some = part.cache.get(`${block}.attn.hook_z`);
    assert.deepEqual(some.shape, [counts.length, 2, 1, z.shape[3]]);
    const from = ((z.shape[1] + 2) * heads + heads - 1) * z.shape[3];
    // Where nobody asks for the pattern, attention is one operation, which rounds otherwise.
    const found = some.data.subarray(3 * z.shape[3], 4 * z.shape[3]);
    assert.ok(drift(found, z.data.subarray(from, from + z.shape[3])) <= 1e-6);
    const resid = cache.get(`${block}.hook_resid_pre`);
    const average = part.cache.get(`${block}.hook_resid_pre/mean`);
    const width = resid.shape[2];
    counts.forEach((n, i) => {
      let sum = 0;
      for (let t = 0; t < n + classes; t++) sum += resid.data[(i * resid.shape[1] + t) * width + 1];
      assert.ok(Math.abs(average.data[i * width + 1] - sum / (n + classes)) < 1e-5);
    });
    assert.deepEqual(
      part.cache.get("projector.hook_out/norm").shape,
      cache.get("projector.hook_out").shape.slice(0, 2),
    );
    const folder = mkdtempSync(join(tmpdir(), "modalscope-"));
    try {
      const path = join(folder, "captures.safetensors");
      await model.run(batch, { capture: hooks, captureTo: path, logits: "none" });
      const stored = ActivationCache.open(path);
      for (const name of cache.names) assert.deepEqual(stored.get(name).data, cache.get(name).data, name);
    } finally {
      rmSync(folder, { recursive: true });
    }
    // A row at a time, with captures and edits inside.
    const parts = new Model({ ...model.engine, workBytes: 1 }, model.tokenizer, model.path);
    const edits = {
      [`${block}.attn.hook_z`]: [edit.add(0.5, { positions: [1] }), edit.mean({ rows: [1] })],
      [`${block}.attn.hook_attn_scores`]: [
        edit.blockAttention({ from: [2], to: [0], rows: [1] }),
        edit.scale(0.5),
      ],
      [`${block}.hook_mlp_out`]: edit.noise(0.3, { seed: 2 }),
    };
    const capture = [...hooks, `${block}.hook_mlp_out`];
    const whole = (await model.run(batch, { capture, edits, logits: "none" })).cache;
    const apart = (await parts.run(batch, { capture, edits, logits: "none" })).cache;
    for (const name of whole.names)
      assert.ok(drift(apart.get(name).data, whole.get(name).data) <= 1e-5, name);
    // A query at a time: nothing that is edited needs all of them.
    const inside = ["hook_q", "hook_v", "hook_attn_scores", "hook_pattern", "hook_z"];
    const request = {
      capture: [...inside.map((hook) => `${block}.attn.${hook}`), `${block}.hook_resid_post`],
      edits: {
        [`${block}.attn.hook_attn_scores`]: [
          edit.blockAttention({ from: [2], to: [0, 4], rows: [1] }),
          edit.blockAttention({ from: [-1], to: [1] }),
        ],
        [`${block}.attn.hook_v`]: edit.add(0.5, { positions: [1] }),
        [`${block}.attn.hook_q`]: edit.scale(0.5, { rows: [0] }),
        [`${block}.hook_mlp_out`]: edit.noise(0.3, { seed: 2, positions: [3] }),
      },
      logits: "none" as const,
    };
    const [wide, narrow] = [await model.run(batch, request), await parts.run(batch, request)];
    for (const name of wide.cache.names)
      assert.ok(drift(narrow.cache.get(name).data, wide.cache.get(name).data) <= 1e-5, `${name} by query`);
    assert.ok(
      drift(wide.cache.get(`${block}.attn.hook_z`).data, z.data) > 1e-3,
      "the edits change something",
    );
    const few = new Model({ ...model.engine, captureBytes: 100 }, model.tokenizer, model.path);
    await assert.rejects(few.run(batch, { capture: hooks, logits: "none" }), /captures would take/);
    await model.close();
  });

  it(`${variant}: patched from another run, attributed, stopped`, async () => {
    const model = await open(variant);
    const given = golden(variant).cases.image;
    const clean = await prepared(model, given);
    const plain = (await model.run(clean, { logits: "last" })).logits!;
    const { image } = clean.images![0];
    // The same image in its negative: as many tokens, other features.
    const inverted = {
      ...clean,
      images: [
        {
          ...clean.images![0],
          image: { ...image, pixels: { ...image.pixels, data: image.pixels.data.map((v) => -v) } },
        },
      ],
    };
    const other = await model.run(inverted, { logits: "last" });
    assert.ok(drift(other.logits!.data, plain.data) > 1e-3);
    const last = `vision.blocks.${model.config.vision_config!.num_hidden_layers - 1}.hook_resid_post`;
    const wanted = ["vision.hook_patches", last, "hook_embed", "blocks.*.hook_resid_post"];
    const source = await model.run(clean, { capture: wanted, logits: "none" });
    const patched = await model.run(inverted, {
      edits: { "vision.hook_patches": edit.patch(source.cache, "vision.hook_patches") },
      logits: "last",
    });
    assert.ok(drift(patched.logits!.data, plain.data) <= 1e-6, "the patches are all that differs");
    const metric = logitDifference(3, 8);
    const { restored } = await activationPatching(
      model,
      { clean, corrupted: inverted, metric },
      { hook: (l) => `blocks.${l}.hook_resid_post` },
    );
    assert.ok(
      Math.abs(restored.data[restored.data.length - 1] - 1) < 1e-4,
      "the last stream restores everything",
    );
    const lens = unembedding(model);
    const depth = model.layers.length - 1;
    const stream = source.cache.get(`blocks.${depth}.hook_resid_post`);
    const width = model.config.hidden_size;
    const end = {
      data: stream.data.slice(clean.last[0] * width, (clean.last[0] + 1) * width),
      shape: [1, width],
    };
    assert.ok(drift((await lens.forward(end)).data, plain.data) <= 1e-4, "the lens at the last block");
    const { labels, values, total } = await directLogitAttribution(model, clean, metric);
    const sum = values.data.reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(sum - total[0]) <= 1e-4 * Math.abs(total[0]), `${labels}: ${sum} of ${total[0]}`);
    const stop = new AbortController();
    const blocks: string[] = [];
    await assert.rejects(
      model.run(clean, {
        // Images that were encoded before would not pass the tower.
        capture: ["vision.hook_patches"],
        signal: stop.signal,
        onProgress: (_, __, label) => {
          blocks.push(label ?? "");
          if (label === "vision block 0") stop.abort();
        },
      }),
      { name: "AbortError" },
    );
    assert.ok(
      blocks.every((label) => label.startsWith("vision")),
      "nothing of the language model runs",
    );
    await model.close();
  });
}
