import { ModalscopeError } from "../errors.js";
import { abortSignal, callback, checkOptions, integer, numeric, type OptionChecks } from "../options.js";
import type { TaskOptions } from "../progress.js";
import { seeded } from "../random.js";
import { sizeOf, type Tensor } from "../tensor.js";
import { adamStep } from "./learn/adam.js";

/** From a residual stream to logits, and back: what a lens looks through. */
export interface Unembedding {
  /** (rows, hidden) → logits (rows, vocabulary) */
  forward(x: Tensor): Promise<Tensor>;
  /** Cotangents (rows, vocabulary) at x → (rows, hidden) */
  pullback(x: Tensor, cotangent: Tensor): Promise<Tensor>;
  /**
   * Readings of states (positions, states, hidden) without their logits, where whoever unembeds can make them: of a
   * large vocabulary they are most of the work.
   */
  read?(states: Tensor, request: ReadingRequest): Promise<Readings>;
}

/** Readings that are asked for at some positions, each with several states. */
export interface ReadingRequest {
  /** By position, tokens whose probability is read, as many everywhere; the first one's rank is read too. */
  readonly ids: readonly (readonly number[])[];
  /** How many of the tokens that are likeliest at any of the states from `topFrom` on. */
  readonly top: number;
  readonly topFrom: number;
  /** Logits (positions, vocabulary) of distributions that every state is compared with. */
  readonly references: readonly Tensor[];
  /** How many of the states, the last ones, are not read themselves but compared with, as references are. */
  readonly referenceStates: number;
}

/** In float32 from a graph, in float64 from logits. */
type Values = Tensor<Float32Array | Float64Array>;

/** Probabilities are of all tokens; entropies and divergences are in bits. */
export interface Readings {
  /** (positions, states, ids) */
  readonly probability: Values;
  /** (positions, states): place of the first id among all tokens; 1 is the likeliest. */
  readonly rank: Values;
  /** (positions, states) */
  readonly entropy: Values;
  /** (positions, states − 1): Jensen–Shannon divergence of neighbouring states. */
  readonly change: Values;
  /** By reference, those given as logits first, (positions, states): Jensen–Shannon divergence from it. */
  readonly distances: readonly Values[];
  /** (positions, top): token ids, the likeliest first. */
  readonly topIds: Values;
  /** (positions, states, top) */
  readonly topProbability: Values;
}

/**
 * The logit lens (nostalgebraist 2020): each layer's residual stream read by the final norm and language head.
 * @param residuals by layer, (rows, hidden)
 * @returns by layer, logits (rows, vocabulary)
 */
export async function logitLens(
  residuals: readonly Tensor[],
  unembedding: Pick<Unembedding, "forward">,
): Promise<Tensor[]> {
  const logits: Tensor[] = [];
  for (const x of residuals) logits.push(await unembedding.forward(x));
  return logits;
}

/** x ← x + x Aᵀ + b, one pair for each layer. */
export interface AffineMap {
  /** (hidden, hidden) */
  readonly a: Float32Array;
  /** (hidden) */
  readonly b: Float32Array;
}

/** Options of {@link tunedLens}. */
export interface TunedLensOptions extends TaskOptions {
  /** Optimizer steps for each layer; 200 when left out. */
  readonly steps?: number;
  /** Rows of one step; 64 when left out. */
  readonly batchSize?: number;
  /** Adam's learning rate; 1e-3 when left out. */
  readonly learningRate?: number;
  /** Seed of the held-out rows and of the order of training; 0 when left out. */
  readonly seed?: number;
}

const TUNED_LENS_OPTIONS: OptionChecks<TunedLensOptions> = {
  steps: numeric,
  batchSize: numeric,
  learningRate: numeric,
  seed: integer(),
  onProgress: callback,
  signal: abortSignal,
};

/** A trained tuned lens. */
export interface TunedLens {
  readonly translators: readonly AffineMap[];
  /** By layer, the mean KL(final ‖ lens) in nats on held-out rows, before and after training. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Share of rows that measure a lens instead of training it. */
const HELD_OUT = 0.2;

/**
 * The tuned lens (Belrose et al. 2023): for each layer an affine translator, trained so that the head reads from
 * it what the model says at the end. Loss: KL(final ‖ lens), by Adam.
 * @param residuals by layer, (rows, hidden)
 * @param final the model's logits at the same rows, (rows, vocabulary)
 */
export async function tunedLens(
  residuals: readonly Tensor[],
  final: Tensor,
  unembedding: Unembedding,
  options: TunedLensOptions = {},
): Promise<TunedLens> {
  checkOptions("tunedLens", options, TUNED_LENS_OPTIONS);
  const rows = final.shape[0];
  if (rows < 10)
    throw new ModalscopeError(
      `A tuned lens cannot be trained on ${rows} rows.`,
      "It needs at least 10, better thousands.",
    );
  const { steps = 200, batchSize = 64, learningRate = 1e-3, seed = 0 } = options;
  const order = seeded(seed).shuffle(Array.from({ length: rows }, (_, i) => i));
  const cut = Math.max(1, Math.round(rows * HELD_OUT));
  const [held, training] = [order.slice(0, cut), order.slice(cut)];
  const target = softmaxRows(final);
  const translators: AffineMap[] = [];
  const before: number[] = [];
  const after: number[] = [];
  for (const [layer, x] of residuals.entries()) {
    const translator = identity(x.shape[1]);
    before.push(await divergence(x, target, held, translator, unembedding));
    await trainOne(translator, { x, target, rows: training }, unembedding, {
      steps,
      batchSize,
      learningRate,
      seed: seed + layer,
      signal: options.signal,
    });
    after.push(await divergence(x, target, held, translator, unembedding));
    translators.push(translator);
    options.onProgress?.(layer + 1, residuals.length, "tuned lens");
  }
  return { translators, before, after };
}

/** A layer's stream as the final layer would have it. */
export function applyAffineMap(x: Tensor, { a, b }: AffineMap): Tensor {
  const [rows, width] = x.shape;
  const data = new Float32Array(rows * width);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < width; i++) {
      let sum = x.data[r * width + i] + b[i];
      for (let j = 0; j < width; j++) sum += a[i * width + j] * x.data[r * width + j];
      data[r * width + i] = sum;
    }
  }
  return { data, shape: x.shape };
}

function identity(width: number): AffineMap {
  return { a: new Float32Array(width * width), b: new Float32Array(width) };
}

async function trainOne(
  translator: AffineMap,
  { x, target, rows }: { readonly x: Tensor; readonly target: Tensor; readonly rows: readonly number[] },
  unembedding: Unembedding,
  {
    steps,
    batchSize,
    learningRate,
    seed,
    signal,
  }: Required<Pick<TunedLensOptions, "steps" | "batchSize" | "learningRate" | "seed">> & TaskOptions,
): Promise<void> {
  const random = seeded(seed);
  const moments = [translator.a, translator.b].map((w) => ({
    w,
    m: new Float64Array(w.length),
    v: new Float64Array(w.length),
  }));
  for (let step = 1; step <= steps; step++) {
    signal?.throwIfAborted();
    const chosen = Array.from({ length: batchSize }, () => random.pick(rows));
    const input = takeRows(x, chosen);
    const output = applyAffineMap(input, translator);
    const predicted = softmaxRows(await unembedding.forward(output));
    const wanted = takeRows(target, chosen);
    // ∂KL(p ‖ softmax(logits))/∂logits = softmax(logits) − p, averaged over the rows.
    const cotangent = {
      data: predicted.data.map((p, i) => (p - wanted.data[i]) / batchSize),
      shape: predicted.shape,
    };
    const g = await unembedding.pullback(output, cotangent);
    const derivatives = derivative(input, g);
    moments.forEach(({ w, m, v }, k) => {
      adamStep(w, derivatives[k], { m, v }, learningRate * (1 - step / (steps + 1)), step);
    });
  }
}

/** By A and b, from the translated stream's cotangent. */
function derivative(x: Tensor, g: Tensor): [Float64Array, Float64Array] {
  const [rows, width] = x.shape;
  const a = new Float64Array(width * width);
  const b = new Float64Array(width);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < width; i++) {
      const gi = g.data[r * width + i];
      b[i] += gi;
      for (let j = 0; j < width; j++) a[i * width + j] += gi * x.data[r * width + j];
    }
  }
  return [a, b];
}

/** Mean KL(target ‖ lens) of some rows, nats. */
async function divergence(
  x: Tensor,
  target: Tensor,
  rows: readonly number[],
  translator: AffineMap,
  unembedding: Unembedding,
): Promise<number> {
  const q = softmaxRows(await unembedding.forward(applyAffineMap(takeRows(x, rows), translator)));
  const p = takeRows(target, rows);
  let sum = 0;
  for (let i = 0; i < p.data.length; i++)
    if (p.data[i] > 0) sum += p.data[i] * Math.log(p.data[i] / Math.max(q.data[i], 1e-30));
  return sum / rows.length;
}

function takeRows(x: Tensor, rows: readonly number[]): Tensor {
  const width = sizeOf(x.shape.slice(1));
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    data.set(x.data.subarray(row * width, (row + 1) * width), i * width);
  });
  return { data, shape: [rows.length, width] };
}

function softmaxRows({ data, shape }: Tensor): Tensor {
  const [rows, width] = shape;
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    const row = data.subarray(r * width, (r + 1) * width);
    const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    let total = 0;
    for (let i = 0; i < width; i++) {
      out[r * width + i] = Math.exp(row[i] - most);
      total += out[r * width + i];
    }
    for (let i = 0; i < width; i++) out[r * width + i] /= total;
  }
  return { data: out, shape };
}
