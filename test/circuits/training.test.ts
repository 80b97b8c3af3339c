import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Activations,
  initialTranscoderWeights,
  type TranscoderSpec,
  TranscoderTrainer,
  transcoderQuality,
  transcodersFrom,
  varianceOf,
} from "../../lib/circuits/index.js";
import { unusedName } from "../../lib/circuits/training/trainer.js";
import { createAdamState, seeded, type Tensor, train, type Weights } from "../../lib/index.js";

const WIDTH = 12;
const TOKENS = 256;
const NAMES = { model: "made-up", hookIn: "mlp.hook_in", hookOut: "mlp.hook_out" };

/** Inputs of a few of 24 directions each, and outputs that are other directions of the same strength. */
function planted(seed: number, layers = 1): Activations {
  const random = seeded(7);
  const directions = (): Float32Array[] =>
    Array.from({ length: 24 }, () => Float32Array.from({ length: WIDTH }, () => random.normal()));
  const [reads, writes] = [directions(), directions()];
  const draw = seeded(seed);
  const made = Array.from({ length: layers }, () => {
    const [x, y] = [new Float32Array(TOKENS * WIDTH), new Float32Array(TOKENS * WIDTH)];
    for (let t = 0; t < TOKENS; t++) {
      for (let n = 0; n < 2; n++) {
        const [f, strength] = [draw.int(24), 1 + draw.uniform()];
        for (let j = 0; j < WIDTH; j++) {
          x[t * WIDTH + j] += strength * reads[f][j];
          y[t * WIDTH + j] += strength * writes[f][j];
        }
      }
    }
    return { x: { data: x, shape: [TOKENS, WIDTH] }, y: { data: y, shape: [TOKENS, WIDTH] } };
  });
  return { inputs: made.map(({ x }) => x), outputs: made.map(({ y }) => y) };
}

/** The same inputs with other tokens' outputs: nothing to learn but the mean. */
function shuffled({ inputs, outputs }: Activations): Activations {
  const order = seeded(3).shuffle(Array.from({ length: TOKENS }, (_, t) => t));
  const moved = ({ data, shape }: Tensor): Tensor => ({
    data: Float32Array.from(order.flatMap((t) => [...data.subarray(t * WIDTH, (t + 1) * WIDTH)])),
    shape,
  });
  return { inputs, outputs: outputs.map(moved) };
}

interface Trained {
  readonly weights: Weights;
  readonly losses: readonly number[];
}

async function trained(
  spec: TranscoderSpec,
  data: (step: number) => Activations,
  { steps, deadAfter }: { steps: number; deadAfter?: number },
): Promise<Trained> {
  const sample = data(0);
  const weights = initialTranscoderWeights(spec, sample, 5);
  const variance = sample.outputs.map(varianceOf);
  const trainer = new TranscoderTrainer(spec, { threads: 1, deadAfter });
  const losses: number[] = [];
  await train(trainer, weights, (step) => ({ ...data(step), variance }), {
    ...{ steps, betas: [0.9, 0.999], state: createAdamState() },
    learningRate: () => 5e-3,
    onStep: (_, loss) => losses.push(loss),
  });
  await trainer.close();
  return { weights, losses };
}

const PER_LAYER = { kind: "per-layer", layers: 1, width: WIDTH, features: 48, k: 3 } as const;

describe("training of transcoders", () => {
  it("finds planted features, and on shuffled pairs nothing but the mean", async () => {
    const share = async (change: (data: Activations) => Activations): Promise<number> => {
      const { weights } = await trained(PER_LAYER, (step) => change(planted(100 + step)), { steps: 200 });
      const set = transcodersFrom(PER_LAYER, weights, NAMES);
      const kinds = Array.from({ length: TOKENS }, (_, t) => (t % 2 ? "text" : "image"));
      const [quality] = await transcoderQuality(set, change(planted(1)), kinds);
      assert.deepEqual(Object.keys(quality.fvu), ["all", "image", "text"]);
      set.close();
      return quality.fvu.all;
    };
    const [learned, nothing] = [await share((data) => data), await share(shuffled)];
    assert.ok(learned < 0.2, `FVU ${learned}`);
    assert.ok(nothing > 0.95, `FVU on shuffled pairs ${nothing}`);
  });

  it("a gradient is the slope of the loss, decoders and biases alike", async () => {
    const spec = { kind: "cross-layer", layers: 2, width: WIDTH, features: 16, k: 3, skip: true } as const;
    const data = planted(2, 2);
    const random = seeded(8);
    const weights = initialTranscoderWeights(spec, data, 1);
    for (const [name, { data: w }] of weights)
      if (/W_dec|W_skip/.test(name)) for (let i = 0; i < w.length; i++) w[i] = random.normal() * 0.3;
    const trainer = new TranscoderTrainer(spec, { threads: 1 });
    const batch = { ...data, variance: data.outputs.map(varianceOf) };
    const { weights: gradients } = await trainer.gradients(weights, batch);
    assert.equal(gradients.size, 3 * 2 + 3 + 2);
    for (const [name, g] of gradients) {
      const w = weights.get(name)!.data;
      const at = g.reduce((best, x, i) => (Math.abs(x) > Math.abs(g[best]) ? i : best), 0);
      const step = 2e-3;
      const lossWith = async (by: number): Promise<number> => {
        const before = w[at];
        w[at] += by;
        const { loss } = await trainer.gradients(weights, batch);
        w[at] = before;
        return loss;
      };
      const slope = ((await lossWith(step)) - (await lossWith(-step))) / (2 * step);
      assert.ok(Math.abs(slope - g[at]) < 0.02 * Math.abs(g[at]) + 1e-4, `${name}: ${g[at]} and ${slope}`);
    }
    await trainer.close();
  });

  it("a cross-layer transcoder of one layer is a per-layer one", async () => {
    const [a, b] = await Promise.all(
      (["per-layer", "cross-layer"] as const).map((kind) =>
        trained({ ...PER_LAYER, kind }, (step) => planted(step), { steps: 5 }),
      ),
    );
    assert.deepEqual(a.losses, b.losses);
    assert.deepEqual(a.weights, b.weights);
  });

  describe("the auxiliary loss", () => {
    const data = planted(2);
    // All four dead features explain what is left, or the two largest of each token.
    for (const auxiliaryK of [8, 2])
      it(`teaches the ${Math.min(4, auxiliaryK)} largest dead features, and them alone, what the others leave`, async () => {
        const spec = { ...PER_LAYER, features: 8, k: 2, auxiliaryK, auxiliaryCoefficient: 0.5 };
        const weights = weightsWithDead(spec, data);
        const batch = { ...data, variance: data.outputs.map(varianceOf) };
        const gradients = async (unused: number): Promise<(name: keyof ByHand) => Float32Array> => {
          weights.get(unusedName(0))!.data.fill(unused, 0, 4);
          const trainer = new TranscoderTrainer(spec, { threads: 1, deadAfter: 1000 });
          const found = await trainer.gradients(weights, batch);
          await trainer.close();
          return (name) => found.weights.get(`layers.0.${name}`)!;
        };
        const [alive, dead] = [await gradients(0), await gradients(1000)];
        const wanted = byHand(weights, data, spec);
        for (const name of ["W_dec.0", "W_enc", "b_enc"] as const) {
          const own = wanted[name];
          assert.ok(
            alive(name)
              .subarray(0, own.length)
              .every((g) => g === 0),
          );
          assert.deepEqual(dead(name).subarray(own.length), alive(name).subarray(own.length));
          const most = own.reduce((m, g) => Math.max(m, Math.abs(g)), 0);
          own.forEach((g, i) => {
            assert.ok(
              Math.abs(dead(name)[i] - g) < 1e-5 * most,
              `${name} ${i}: ${dead(name)[i]}, by hand ${g}`,
            );
          });
        }
      });
  });

  it("the auxiliary loss revives features that were planted dead, and the rest is explained better", async () => {
    const [without, revived] = [await deadPlanted(1e9), await deadPlanted(5 * TOKENS)];
    assert.ok(without.dead >= 0.6, `${without.dead} of the features are dead without it`);
    assert.ok(revived.dead < 0.5 * without.dead, `${revived.dead} are with it`);
    assert.ok(revived.fvu < 0.7 * without.fvu, `FVU ${without.fvu} and ${revived.fvu}`);
  });

  it("refuses sizes that cannot be", () => {
    assert.throws(() => new TranscoderTrainer({ ...PER_LAYER, k: 49 }), /TopK cannot keep 49 of 48 features/);
    assert.throws(() => new TranscoderTrainer({ ...PER_LAYER, features: 0 }), /cannot have features 0/);
  });
});

/** Weights whose features 0 … 3 are far below the others, so that TopK never takes them. */
function weightsWithDead(spec: TranscoderSpec, data: Activations): Weights {
  const random = seeded(8);
  const weights = initialTranscoderWeights(spec, data, 1);
  const decoder = weights.get("layers.0.W_dec.0")!.data;
  for (let i = 0; i < decoder.length; i++) decoder[i] = random.normal() * 0.3;
  weights.get("layers.0.b_enc")!.data.forEach((_, f, bias) => {
    bias[f] += f < 4 ? 2 : 20;
  });
  return weights;
}

/** Trains a transcoder of which 32 of 48 features begin far below the others. */
async function deadPlanted(deadAfter: number): Promise<{ dead: number; fvu: number }> {
  const spec = PER_LAYER;
  const weights = initialTranscoderWeights(spec, planted(100), 5);
  const [encoder, bias] = ["W_enc", "b_enc"].map((part) => weights.get(`layers.0.${part}`)!.data);
  for (let f = 0; f < 32; f++) {
    for (let j = 0; j < WIDTH; j++) encoder[f * WIDTH + j] *= 0.02;
    bias[f] *= 0.02;
  }
  const variance = planted(100).outputs.map(varianceOf);
  const trainer = new TranscoderTrainer(spec, { threads: 1, deadAfter });
  await train(trainer, weights, (step) => ({ ...planted(100 + step), variance }), {
    ...{ steps: 300, betas: [0.9, 0.999], state: createAdamState() },
    learningRate: () => 2e-3,
  });
  await trainer.close();
  const set = transcodersFrom(spec, weights, NAMES);
  const kinds = new Array<string>(TOKENS).fill("text");
  const [{ dead, fvu }] = await transcoderQuality(set, planted(1), kinds);
  set.close();
  return { dead, fvu: fvu.all };
}

/** Derivatives by the dead features 0 … 3, in float64. */
interface ByHand {
  readonly "W_dec.0": Float64Array;
  readonly W_enc: Float64Array;
  readonly b_enc: Float64Array;
}

/**
 * AuxK: coefficient · Σ‖e − ê‖² / Σ‖e‖², e = y − ŷ as given, where the largest `auxiliaryK` of the dead features 0 … 3
 * make ê at each token, and the largest two of the rest ŷ.
 */
function byHand(
  weights: Weights,
  { inputs: [x], outputs: [y] }: Activations,
  { auxiliaryK, auxiliaryCoefficient: coefficient }: { auxiliaryK: number; auxiliaryCoefficient: number },
): ByHand {
  const part = (name: string): Float32Array => weights.get(`layers.0.${name}`)!.data;
  const [w, b, d, mean] = [part("W_enc"), part("b_enc"), part("W_dec.0"), part("b_dec")];
  const rows = (): Float64Array => new Float64Array(4 * WIDTH);
  const found = { "W_dec.0": rows(), W_enc: rows(), b_enc: new Float64Array(4) };
  let squares = 0;
  for (let t = 0; t < TOKENS; t++) {
    const z = Array.from(b, (bias, f) => {
      let sum = bias;
      for (let j = 0; j < WIDTH; j++) sum += w[f * WIDTH + j] * x.data[t * WIDTH + j];
      return Math.max(0, sum);
    });
    const largest = (features: number[], k: number): number[] =>
      features.sort((p, q) => z[q] - z[p]).slice(0, k);
    const best = largest([4, 5, 6, 7], 2);
    const revived = largest([0, 1, 2, 3], auxiliaryK).filter((f) => z[f] > 0);
    const left = Array.from({ length: WIDTH }, (_, j) => {
      let error = y.data[t * WIDTH + j] - mean[j];
      for (const f of best) error -= z[f] * d[f * WIDTH + j];
      squares += error * error;
      for (const f of revived) error -= z[f] * d[f * WIDTH + j];
      return error;
    });
    for (const f of revived) {
      const byActivation = left.reduce(
        (sum, error, j) => sum - 2 * coefficient * error * d[f * WIDTH + j],
        0,
      );
      found.b_enc[f] += byActivation;
      for (let j = 0; j < WIDTH; j++) {
        found["W_dec.0"][f * WIDTH + j] -= 2 * coefficient * left[j] * z[f];
        found.W_enc[f * WIDTH + j] += byActivation * x.data[t * WIDTH + j];
      }
    }
  }
  for (const own of Object.values(found)) for (let i = 0; i < own.length; i++) own[i] /= squares;
  return found;
}
