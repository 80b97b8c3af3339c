import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gradients } from "../../../lib/model/methods/gradients.js";
import { logitDifference } from "../../../lib/model/methods/metrics.js";
import { Trainer, type Weights } from "../../../lib/model/training/index.js";
import { at0 } from "../../../lib/tensor.js";
import { batchOf, deviation, golden, open, tensors, variants } from "../goldens.js";

/** float32 autograd itself differs from float64 by up to 1e-5 on these models (golden.json, float32_error). */
const TOLERANCE = 1e-4;

for (const variant of variants.filter((v) => golden(v).gradients)) {
  describe(`derivatives of ${variant} agree with autograd`, () => {
    const { difference, cross_entropy } = golden(variant).gradients!;
    const cases = golden(variant).cases;
    const reference = tensors(variant, "gradients.safetensors");

    for (const [group, patterns] of [
      ["difference", []],
      ["frozen", ["**.hook_pattern", "**.hook_scale"]],
    ] as const) {
      it(`a logit difference by activations (${group})`, async () => {
        const model = await open(variant);
        const names = [...reference.keys()]
          .filter((n) => n.startsWith(`${group}/`))
          .map((n) => n.slice(group.length + 1));
        const hooks = names.filter((n) => model.hooks.includes(n));
        assert.ok(hooks.length >= model.layers.length, `the golden names ${hooks.length} hooks of the model`);
        const metric = logitDifference(...difference.of);
        const batch = batchOf(model, cases[difference.case]);
        const { gradients: found } = await gradients(model, batch, [metric], {
          wrt: hooks,
          frozen: patterns,
        });
        const misses = hooks
          .map((h) => ({ h, drift: deviation(at0(found.get(h), 0), reference.get(`${group}/${h}`)!) }))
          .filter(({ drift }) => !(drift <= TOLERANCE))
          .map(({ h, drift }) => `${h}: ${drift.toExponential(2)}`);
        assert.deepEqual(misses, [], `${variant}, ${group}: beyond ${TOLERANCE}`);
        await model.close();
      });
    }

    it("nothing passes a frozen stream", async () => {
      const model = await open(variant);
      const wrt = ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre"];
      const options = { wrt, frozen: ["blocks.1.hook_resid_pre"] };
      const batch = batchOf(model, cases[difference.case]);
      const found = (await gradients(model, batch, [logitDifference(...difference.of)], options)).gradients;
      assert.ok(found.get(wrt[0]).data.every((v) => v === 0));
      assert.ok(found.get(wrt[1]).data.some((v) => v !== 0));
      await model.close();
    });

    it("the language-model loss by every weight", async () => {
      const model = await open(variant);
      const batch = batchOf(model, cases[cross_entropy.case]);
      const { targets, counts: lossWeights } = nextTokens(
        batch.inputIds,
        batch.attentionMask,
        batch.size,
        batch.seqLength,
      );
      const weights: Weights = new Map(
        [...model.engine.checkpoint.weights.keys()].map((n) => [n, model.weight(n)]),
      );
      const trainer = await Trainer.open(model.engine.checkpoint.config, { threads: 1 });
      const { loss, weights: found } = await trainer.gradients(weights, { batch, targets, lossWeights });
      const value = reference.get("cross_entropy/value")!.data[0];
      assert.ok(Math.abs(loss - value) <= TOLERANCE * value, `loss ${loss}, autograd ${value}`);
      const names = [...reference.keys()].filter((n) =>
        /^cross_entropy\/(model|transformer|lm_head)/.test(n),
      );
      assert.ok(names.length > 9 * model.layers.length);
      const misses = names
        .map((n) => ({ n, w: reference.get(n)!, data: found.get(n.slice("cross_entropy/".length))! }))
        .map(({ n, w, data }) => ({ n, drift: deviation({ data, shape: w.shape }, w) }))
        .filter(({ drift }) => !(drift <= TOLERANCE))
        .map(({ n, drift }) => `${n}: ${drift.toExponential(2)}`);
      assert.deepEqual(misses, [], `${variant}: beyond ${TOLERANCE}`);
      await trainer.close();
      await model.close();
    });
  });
}

/** Each token's successor, where both are tokens. */
function nextTokens(
  ids: Int32Array,
  mask: Uint8Array,
  size: number,
  time: number,
): { targets: Int32Array; counts: Float32Array } {
  const targets = new Int32Array(size * time);
  const counts = new Float32Array(size * time);
  for (let b = 0; b < size; b++) {
    for (let t = 0; t + 1 < time; t++) {
      const i = b * time + t;
      targets[i] = ids[i + 1];
      counts[i] = mask[i] && mask[i + 1] ? 1 : 0;
    }
  }
  return { targets, counts };
}
