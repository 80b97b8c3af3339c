import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readSafetensors, writeSafetensors } from "../../../lib/model/checkpoint/index.js";
import { loadModel } from "../../../lib/model/load.js";
import { directLogitAttribution } from "../../../lib/model/methods/attribution.js";
import { logit } from "../../../lib/model/methods/metrics.js";
import { initialWeights, saveCheckpoint } from "../../../lib/model/training/index.js";
import { temporaryFolder } from "../../kernels/temporary.js";
import { batchOf, deviation, fixture, golden, open } from "../goldens.js";

const variant = "gpt2-tied";
const folder = temporaryFolder();

describe("gpt2", () => {
  it("reads checkpoints as the Hub has them: without a prefix, with the masks of older releases", async () => {
    const path = join(folder, "hub");
    cpSync(fixture(variant), path, { recursive: true });
    cpSync(join(path, "config.hub.json"), join(path, "config.json"));
    const weights = [...readSafetensors(join(path, "model.safetensors"))].map(
      ([name, w]) => [name.replace("transformer.", ""), w] as const,
    );
    const mask = { data: new Float32Array(64 * 64).fill(1), shape: [1, 1, 64, 64] };
    writeSafetensors(
      join(path, "model.safetensors"),
      Object.fromEntries([...weights, ["h.0.attn.bias", mask] as const]),
      { format: "pt" },
    );
    const [hub, own] = [await loadModel(path, { threads: 1, cache: false }), await open(variant)];
    const given = golden(variant).cases.single;
    const [a, b] = [await hub.run(batchOf(hub, given)), await own.run(batchOf(own, given))];
    assert.equal(deviation(a.logits!, b.logits!), 0);
    await hub.close();
    await own.close();
  });

  it("splits a logit into all that is added to the stream, learned positions too", async () => {
    const model = await open(variant);
    const batch = batchOf(model, golden(variant).cases.single);
    const { labels, values } = await directLogitAttribution(model, batch, logit([7]));
    assert.deepEqual(labels.slice(0, 2), ["embed", "pos_embed"]);
    const { logits } = await model.run(batch, { logits: "last" });
    const sum = values.data.reduce((total, x) => total + x, 0);
    assert.ok(
      Math.abs(sum - logits!.data[7]) < 1e-4 * Math.abs(logits!.data[7]),
      `${sum}, ${logits!.data[7]}`,
    );
    await model.close();
  });

  it("is trained and saved under transformers' names", async () => {
    const raw = JSON.parse(readFileSync(join(fixture(variant), "config.json"), "utf8"));
    const path = join(folder, "fresh");
    const weights = initialWeights(raw, 3);
    saveCheckpoint(path, raw, weights);
    assert.deepEqual(
      [...readSafetensors(join(path, "model.safetensors")).keys()].sort(),
      [...readSafetensors(join(fixture(variant), "model.safetensors")).keys()].sort(),
    );
    assert.ok(weights.get("transformer.h.0.ln_1.weight")!.data.every((x) => x === 1));
    const model = await loadModel(path, { threads: 1, cache: false });
    await model.close();
  });

  it("refuses a config whose blocks are not those of the weights", async () => {
    const path = join(folder, "short");
    cpSync(fixture(variant), path, { recursive: true });
    const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8"));
    writeFileSync(join(path, "config.json"), JSON.stringify({ ...config, n_layer: 2 }));
    await assert.rejects(loadModel(path), /"n_layer": 2[\s\S]*3 blocks/);
  });
});
