/** Cotangents through a frozen run: against `gradients`, and against values that they must add up to. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type FrozenRun,
  freeze,
  gradients,
  logit,
  logitTargets,
  type Pulled,
  type PullTarget,
  pullBack,
  type SkipConnection,
} from "../../../lib/model/methods/index.js";
import type { Model } from "../../../lib/model/model.js";
import { seeded } from "../../../lib/random.js";
import type { Tensor } from "../../../lib/tensor.js";
import { open, variants } from "../goldens.js";

const IDS = [5, 9, 3, 17, 2, 11, 7];

/** Random vectors at random columns of hooks of every kind that has one at each token. */
function randomTargets(model: Model, time: number): PullTarget[] {
  const random = seeded(3);
  const last = model.layers.length - 1;
  const hooks = [
    "ln_final.hook_normalized",
    `blocks.${last}.mlp.hook_in`,
    `blocks.${last}.ln2.hook_normalized`,
  ];
  hooks.push(
    "blocks.0.mlp.hook_in",
    "blocks.1.hook_resid_mid",
    "blocks.0.hook_resid_post",
    "blocks.1.hook_resid_pre",
  );
  const width = model.config.hidden_size;
  return hooks.flatMap((hook) =>
    [0, 2, time - 1].map((column) => ({
      hook,
      column,
      vector: Float32Array.from({ length: width }, () => random.normal()),
    })),
  );
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

/** Σ over tokens and width of each row's cotangents by a hook's values. */
function addProducts({ rows, values }: Pulled, x: Tensor, into: Float64Array): void {
  const size = values.data.length / rows.length;
  rows.forEach((row, i) => {
    into[row] += dot(values.data.subarray(i * size, (i + 1) * size), x.data);
  });
}

/** A hook's values without what a skip connection adds to them. */
function withoutSkip(run: FrozenRun, hook: string, skips: readonly SkipConnection[]): Tensor {
  const x = run.cache.get(hook);
  const skip = skips.find(({ to }) => to === hook);
  if (!skip) return x;
  const width = skip.matrix.shape[1];
  const read = run.cache.get(skip.from).data;
  const data = x.data.map((v, i) => {
    const token = Math.floor(i / width) * width;
    const row = (i % width) * width;
    return v - dot(read.subarray(token, token + width), skip.matrix.data.subarray(row, row + width));
  });
  return { data, shape: x.shape };
}

/** A random skip connection of each block, about as strong as its MLP. */
function randomSkips(model: Model): SkipConnection[] {
  const random = seeded(7);
  const width = model.config.hidden_size;
  return model.layers.map((l) => ({
    from: `blocks.${l}.mlp.hook_in`,
    to: `blocks.${l}.mlp.hook_out`,
    matrix: {
      data: Float32Array.from({ length: width * width }, () => random.normal() / Math.sqrt(width)),
      shape: [width, width],
    },
  }));
}

const SOURCES = ["mlp.hook_out", "hook_embed", "hook_pos_embed"];

async function sums(
  model: Model,
  run: FrozenRun,
  targets: readonly PullTarget[],
  skips: readonly SkipConnection[] = [],
): Promise<Float64Array> {
  const found = new Float64Array(targets.length);
  await pullBack(model, run, {
    targets,
    skips,
    at: model.hooks
      .filter((h) => SOURCES.some((end) => h === end || h.endsWith(`.${end}`)))
      .map((hook) => ({ hook })),
    biases: true,
    atOnce: 5,
    take: (pulled) => {
      if (!pulled.hook.startsWith("biases")) addProducts(pulled, withoutSkip(run, pulled.hook, skips), found);
      else {
        pulled.rows.forEach((row, i) => {
          found[row] += pulled.values.data[i];
        });
      }
    },
  });
  return found;
}

/** One variant of each architecture. */
const chosen = variants.filter(
  (v, i) => variants.findIndex((w) => w.split("-")[0] === v.split("-")[0]) === i,
);

for (const variant of [...chosen, "gemma3_text-softcap"]) {
  describe(`${variant}: pulled back through a frozen run`, () => {
    it("what a target reads is the sum of embeddings, MLP outputs and biases by their cotangents", async () => {
      const model = await open(variant, {});
      const batch = model.batch([IDS]);
      const targets = randomTargets(model, IDS.length);
      const read = [...new Set(targets.map((t) => t.hook))];
      const sources = model.hooks.filter((h) => SOURCES.some((end) => h === end || h.endsWith(`.${end}`)));
      const inputs = ["blocks.*.mlp.hook_in"];
      const run = await freeze(model, batch, { capture: [...read, ...inputs, ...sources] });
      const [found, skipped] = [
        await sums(model, run, targets),
        await sums(model, run, targets, randomSkips(model)),
      ];
      targets.forEach(({ hook, column, vector }, i) => {
        const value = run.cache.get(hook).data.subarray(column * vector.length, (column + 1) * vector.length);
        const scale = Math.sqrt(dot(vector, vector) * dot(value, value));
        assert.ok(
          Math.abs(found[i] - dot(vector, value)) < 2e-6 * scale,
          `${hook} at ${column}: ${found[i]} ≠ ${dot(vector, value)}`,
        );
        assert.ok(
          Math.abs(skipped[i] - dot(vector, value)) < 1e-5 * scale,
          `${hook} at ${column}, past the MLPs: ${skipped[i]} ≠ ${dot(vector, value)}`,
        );
      });
      await model.close();
    });

    it("a logit's cotangents are the gradients with the same hooks frozen", async () => {
      const model = await open(variant, {});
      const batch = model.batch([IDS]);
      const wrt = ["hook_embed", "blocks.*.mlp.hook_out", "blocks.0.hook_attn_out"];
      const scales = model.hooks.filter((h) => h.endsWith("hook_scale"));
      const frozen = ["blocks.*.attn.hook_pattern", ...scales, "blocks.*.mlp.hook_out"];
      const run = await freeze(model, batch);
      const ids = [4, 8, 1];
      const capped = (model.config as { final_logit_softcapping?: number }).final_logit_softcapping;
      const metrics = ids.map((id) => logit(id));
      const wanted = await gradients(model, batch, metrics, { wrt, frozen });
      const vocabulary = model.config.vocab_size;
      const cotangents = { data: new Float32Array(ids.length * vocabulary), shape: [ids.length, vocabulary] };
      ids.forEach((id, i) => {
        cotangents.data[i * vocabulary + id] = 1;
      });
      const { targets } = await logitTargets(run, cotangents);
      let compared = 0;
      await pullBack(model, run, {
        targets,
        at: wrt.map((hook) => ({ hook })),
        take: ({ hook, rows, values }) => {
          const want = wanted.gradients.get(hook);
          const most = want.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
          const size = values.data.length / rows.length;
          rows.forEach((row, i) => {
            // The derivative of a soft cap: 1 − (logit / cap)².
            const value = wanted.logits.data[ids[row]];
            const slope = capped ? 1 - (value / capped) ** 2 : 1;
            for (let j = 0; j < size; j++) {
              const drift = Math.abs(slope * values.data[i * size + j] - want.data[row * size + j]);
              assert.ok(drift <= 1e-5 * most, `${hook}: ${drift} of ${most}`);
            }
          });
          compared++;
        },
      });
      assert.equal(compared, 2 + model.layers.length);
      await model.close();
    });
  });
}

it("a skip connection joins hooks of one block, with a matrix of their widths", async () => {
  const model = await open(chosen[0], {});
  const run = await freeze(model, model.batch([IDS]));
  const [skip] = randomSkips(model);
  const pulled = (skips: readonly SkipConnection[]): Promise<void> =>
    pullBack(model, run, {
      targets: randomTargets(model, IDS.length),
      at: [{ hook: "hook_embed" }],
      skips,
      take: () => {},
    });
  await assert.rejects(pulled([{ ...skip, to: "blocks.1.mlp.hook_out" }]), /inside one block/);
  await assert.rejects(pulled([{ ...skip, from: "blocks.0.hook_nowhere" }]), /inside one block/);
  const short = { ...skip.matrix, shape: [skip.matrix.shape[0], 3] };
  await assert.rejects(pulled([{ ...skip, matrix: short }]), /has the shape \(\d+, 3\), and not \(/);
  await model.close();
});
