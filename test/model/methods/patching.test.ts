import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { logitLens, tunedLens } from "../../../lib/analysis/lens.js";
import * as edit from "../../../lib/model/edits/edit.js";
import { directLogitAttribution } from "../../../lib/model/methods/attribution.js";
import { logitDifference } from "../../../lib/model/methods/metrics.js";
import {
  activationPatching,
  attributionPatching,
  pathPatching,
  steeringVectors,
} from "../../../lib/model/methods/patching.js";
import { unembedding } from "../../../lib/model/methods/unembedding.js";
import type { Tensor } from "../../../lib/tensor.js";
import { deviation, open } from "../goldens.js";

const metric = logitDifference(5, 9);
const clean = [[11, 4, 60, 8, 33, 70]];
const corrupted = [[11, 4, 61, 8, 12, 70]];

describe("direct logit attribution", () => {
  for (const variant of ["qwen2-tied", "llama-bias", "gemma3_text-linear"]) {
    it(`of components sums to the logit difference of ${variant}`, async () => {
      const model = await open(variant);
      const batch = model.batch([...clean, [7, 8, 9]]);
      const { values, total, labels } = await directLogitAttribution(model, batch, metric);
      assert.equal(labels.length, 1 + 2 * model.layers.length);
      for (let b = 0; b < 2; b++) {
        let sum = 0;
        for (let i = 0; i < labels.length; i++) sum += values.data[i * 2 + b];
        assert.ok(
          Math.abs(sum - total[b]) <= 1e-4 * Math.max(1, Math.abs(total[b])),
          `${sum} against ${total[b]}`,
        );
      }
      await model.close();
    });
  }

  for (const variant of ["gemma3_text-linear", "llama-bias"]) {
    it(`of a layer's heads, and its bias, sums to the layer's (${variant})`, async () => {
      const model = await open(variant);
      const batch = model.batch(clean);
      const whole = await directLogitAttribution(model, batch, metric);
      const heads = await directLogitAttribution(model, batch, metric, { by: "head" });
      const valueAt = (from: typeof heads, label: string): number =>
        from.values.data[from.labels.indexOf(label)];
      const { data, shape } = (await model.run(batch, { capture: ["**"], logits: "last" })).cache.get(
        "ln_final.hook_scale",
      );
      const scale = data[shape[1] - 1];
      for (const l of model.layers) {
        const own = heads.labels.filter((label) => label.startsWith(`blocks.${l}.attn.`));
        const sum = own.reduce((s, label) => s + valueAt(heads, label), 0);
        const want = valueAt(whole, `blocks.${l}.attn`);
        assert.ok(Math.abs(want - sum) < 1e-4, `block ${l}: ${sum} against ${want}`);
        const biased = model.engine.checkpoint.weights.has(`model.layers.${l}.self_attn.o_proj.bias`);
        assert.equal(own.length, model.config.num_attention_heads + (biased ? 1 : 0));
        if (!biased) continue;
        // By hand: (W[5] − W[9]) · gain · bias / scale.
        const [bias, gain, matrix] = [
          `model.layers.${l}.self_attn.o_proj.bias`,
          "model.norm.weight",
          model.config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
        ].map((name) => model.weight(name).data);
        const d = model.config.hidden_size;
        const byHand = bias.reduce(
          (s, v, i) => s + (v * gain[i] * (matrix[5 * d + i] - matrix[9 * d + i])) / scale,
          0,
        );
        assert.ok(Math.abs(byHand) > 1e-4);
        assert.ok(Math.abs(valueAt(heads, `blocks.${l}.attn.bias`) - byHand) < 1e-5, `block ${l}`);
      }
      await model.close();
    });
  }
});

describe("patching", () => {
  it("restores everything with the whole stream, and what a rerun restores with a part of it", async () => {
    const model = await open("llama-gqa2");
    const contrast = { clean: model.batch(clean), corrupted: model.batch(corrupted), metric };
    const hook = (l: number): string => `blocks.${l}.hook_resid_pre`;
    const whole = await activationPatching(model, contrast, { hook });
    for (const r of whole.restored.data) assert.ok(Math.abs(r - 1) < 1e-3);
    const parts = await activationPatching(model, contrast, { hook, positions: [2, 4, 5] });
    assert.deepEqual(parts.values.shape, [model.layers.length, 3, 1]);
    const { cache } = await model.run(contrast.clean, { capture: [hook(1)] });
    const { logits } = await model.run(contrast.corrupted, {
      edits: { [hook(1)]: edit.patch(cache, hook(1), { positions: [4] }) },
      logits: "last",
    });
    assert.ok(Math.abs(parts.values.data[3 + 1] - metric.value(logits!)[0]) < 1e-4);
    await model.close();
  });

  it("says NaN where there is nothing to restore", async () => {
    const model = await open("llama-gqa2");
    const contrast = { clean: model.batch(clean), corrupted: model.batch(clean), metric };
    const { restored } = await activationPatching(model, contrast, {
      hook: (l) => `blocks.${l}.hook_resid_pre`,
    });
    assert.ok(restored.data.every(Number.isNaN));
    await model.close();
  });

  it("by attribution is exact where the metric is linear", async () => {
    const model = await open("qwen2-untied");
    const contrast = { clean: model.batch(clean), corrupted: model.batch(corrupted), metric };
    const found = await attributionPatching(model, contrast, ["ln_final.hook_normalized"]);
    const at = async (batch: typeof contrast.clean): Promise<number> =>
      metric.value((await model.run(batch, { logits: "last" })).logits!)[0];
    const change = (await at(contrast.clean)) - (await at(contrast.corrupted));
    const estimate = found.get("ln_final.hook_normalized")!.data.reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(estimate - change) < 1e-4, `${estimate} against ${change}`);
    await model.close();
  });

  it("along a path changes what the path alone carries", async () => {
    const model = await open("llama-gqa2");
    const contrast = { clean: model.batch(clean), corrupted: model.batch(corrupted), metric };
    const last = model.layers.length - 1;
    const sender = { hook: `blocks.${last}.attn.hook_z`, heads: [1] };
    const { patched, clean: before } = await pathPatching(model, contrast, {
      sender,
      receivers: [`blocks.${last}.hook_resid_post`],
    });
    // From the last block's head straight to the stream: its MLP keeps its clean value.
    const a = await model.run(contrast.corrupted, { capture: [sender.hook] });
    const b = await model.run(contrast.clean, { capture: [`blocks.${last}.hook_mlp_out`] });
    const edits = {
      [sender.hook]: edit.patch(a.cache, sender.hook, { heads: [1] }),
      [`blocks.${last}.hook_mlp_out`]: edit.patch(b.cache, `blocks.${last}.hook_mlp_out`),
    };
    const { logits } = await model.run(contrast.clean, { edits, logits: "last" });
    assert.ok(Math.abs(patched[0] - metric.value(logits!)[0]) < 1e-4);
    assert.ok(Math.abs(patched[0] - before[0]) > 1e-3, "the path carries something");
    await model.close();
  });

  it("steers by the difference of two sets' means", async () => {
    const model = await open("qwen2-tied");
    const sets = {
      positive: model.batch([
        [1, 2, 3],
        [4, 5, 6],
      ]),
      negative: model.batch([
        [7, 8],
        [9, 10],
      ]),
    };
    const hooks = ["blocks.{0,1}.hook_resid_pre", "blocks.1.attn.hook_z"];
    let told = 0;
    const found = await steeringVectors(model, sets, hooks, {
      onProgress: (done, total) => {
        assert.ok(done >= told && done <= total, "progress goes up");
        told = done;
      },
    });
    assert.deepEqual(
      [...found.keys()],
      ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre", "blocks.1.attn.hook_z"],
    );
    for (const [hook, vector] of found) {
      const last = async (ids: number[]): Promise<Tensor> =>
        (await model.run(model.batch([ids]), { capture: [{ hook, positions: "last" }] })).cache.get(hook);
      const one = await last([1, 2, 3]);
      const [a, b, c, d] = [one, await last([4, 5, 6]), await last([7, 8]), await last([9, 10])].map(
        (x) => x.data,
      );
      const want = a.map((_, i) => (a[i] + b[i]) / 2 - (c[i] + d[i]) / 2);
      assert.deepEqual(vector.shape, one.shape.slice(2), hook);
      assert.ok(deviation(vector, { data: want, shape: vector.shape }) < 1e-4, hook);
    }
    await assert.rejects(
      steeringVectors(model, sets, ["blocks.0.attn.hook_pattern"]),
      /has no mean over prompts/,
    );
    const stop = AbortSignal.abort(new Error("enough"));
    await assert.rejects(steeringVectors(model, sets, hooks, { signal: stop }), /enough/);
    await model.close();
  });
});

describe("lenses", () => {
  it("read the model's own logits off the last layer, and a tuned one comes nearer to them elsewhere", async () => {
    const model = await open("qwen2-untied");
    const rows = Array.from({ length: 12 }, (_, r) =>
      Array.from({ length: 10 }, (_, i) => (r * 17 + i * i * 5 + 3) % 90),
    );
    const { logits, cache } = await model.run(model.batch(rows), { capture: ["blocks.*.hook_resid_post"] });
    const flat = ({ data, shape }: { data: Float32Array; shape: readonly number[] }) => ({
      data,
      shape: [120, shape[2]],
    });
    const residuals = model.layers.map((l) => flat(cache.get(`blocks.${l}.hook_resid_post`)));
    const lens = await logitLens(residuals, unembedding(model));
    assert.ok(deviation(lens[model.layers.length - 1], flat(logits!)) < 1e-5);
    assert.ok(deviation(lens[0], flat(logits!)) > 0.1);
    const tuned = await tunedLens([residuals[0]], flat(logits!), unembedding(model), {
      steps: 150,
      learningRate: 5e-3,
    });
    assert.ok(tuned.after[0] < 0.8 * tuned.before[0], `KL ${tuned.before[0]} → ${tuned.after[0]}`);
    await model.close();
  });

  it("derive through the head what finite differences say", async () => {
    const model = await open("gemma3_text-softcap", { float: "float64" });
    const { pullback, forward } = unembedding(model);
    const width = model.config.hidden_size;
    const wide = (n: number, f: (i: number) => number) =>
      Float64Array.from({ length: n }, (_, i) => f(i)) as unknown as Float32Array;
    const x = { data: wide(width, (i) => Math.sin(i + 1)), shape: [1, width] };
    const g = {
      data: wide(model.config.vocab_size, (i) => Math.cos(3 * i)),
      shape: [1, model.config.vocab_size],
    };
    const d = await pullback(x, g);
    const value = async (i: number, h: number): Promise<number> => {
      const moved = { data: x.data.map((v, j) => (j === i ? v + h : v)), shape: x.shape };
      return (await forward(moved)).data.reduce((s, v, j) => s + v * g.data[j], 0);
    };
    for (const i of [0, 7, width - 1]) {
      const slope = ((await value(i, 1e-5)) - (await value(i, -1e-5))) / 2e-5;
      assert.ok(
        Math.abs(slope - d.data[i]) < 1e-6 * Math.max(1, Math.abs(slope)),
        `${slope} against ${d.data[i]}`,
      );
    }
    await model.close();
  });
});

// Knocking out must change something, or the tests above compare nothing with nothing.
describe("an edit", () => {
  it("changes the logits", async () => {
    const model = await open("llama-gqa2");
    const plain = await model.run(model.batch(clean));
    const cut = await model.run(model.batch(clean), { edits: { "blocks.0.attn.hook_z": edit.fill(0) } });
    assert.ok(deviation(cut.logits!, plain.logits!) > 1e-2);
    await model.close();
  });
});
