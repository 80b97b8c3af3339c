/** What a fit of lengthscales descends: MMD² over the comparisons drawn, and its gradient. */
import type * as Tf from "@tensorflow/tfjs-core";
import { type BackendName, type LearningBackend, learningBackend } from "../learn/tfjs.js";
import type { Comparisons } from "./ard-data.js";

/** MMD² of one fit at its lengthscales. */
export interface ObjectiveValues {
  /** `Σ_i MMD²_i` over the comparisons. */
  readonly mmd: number;
  readonly meanKernel: number;
  /** Mean weighted squared distance, before `factor`. */
  readonly meanDistance: number;
  /** What all `1/ℓ²` were multiplied by, so that the mean distance is the one that is held; 1 where none is. */
  readonly factor: number;
  /** `(d)`, by log ℓ. */
  readonly gradient: Float64Array;
}

export interface Objective {
  /**
   * Values of some fits.
   * @param weights `1/ℓ² (d)` of each
   * @param held mean distance that each is to keep
   */
  at(
    weights: readonly Float64Array[],
    held?: readonly number[],
  ): Promise<ObjectiveValues[]> | ObjectiveValues[];
  dispose(): void;
  readonly backend: LearningBackend | undefined;
}

/** Factors of a step up to which plain loops are faster than tfjs, whose operations cost milliseconds whatever their size. */
const FEW_FACTORS = 1e6;

/** The objective on plain loops, or on tfjs for large problems and where its back end is named. */
export async function objectiveOf(
  comparisons: Comparisons,
  fits: number,
  backend?: BackendName,
): Promise<Objective> {
  const { count, d } = comparisons;
  if (backend === undefined && count * d * fits <= FEW_FACTORS) return onLoops(comparisons);
  return onTfjs(comparisons, backend);
}

function onLoops({ squares, coefficients, count, d }: Comparisons): Objective {
  const distances = new Float64Array(count);
  const weighted = new Float64Array(count);
  const one = (weights: Float64Array, held: number | undefined): ObjectiveValues => {
    products(squares, weights, distances);
    const meanDistance = distances.reduce((sum, own) => sum + own, 0) / count;
    const factor = held === undefined ? 1 : held / meanDistance;
    let mmd = 0;
    let kernels = 0;
    for (let c = 0; c < count; c++) {
      const kernel = Math.exp(-0.5 * factor * distances[c]);
      kernels += kernel;
      weighted[c] = coefficients[c] * kernel;
      mmd += weighted[c];
    }
    const gradient = weightedSum(squares, weighted, d);
    for (let j = 0; j < d; j++) gradient[j] *= factor * weights[j];
    return { mmd, meanKernel: kernels / count, meanDistance, factor, gradient };
  };
  return {
    at: (weights, held) => weights.map((own, i) => one(own, held?.[i])),
    dispose: () => undefined,
    backend: undefined,
  };
}

/** `rows · x`; four rows at a time, so that x is read a quarter as often. */
function products(rows: Float32Array, x: Float64Array, out: Float64Array): void {
  const d = x.length;
  const whole = out.length - (out.length % 4);
  for (let c = 0; c < whole; c += 4) {
    const at0 = c * d;
    const at1 = at0 + d;
    const at2 = at1 + d;
    const at3 = at2 + d;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let j = 0; j < d; j++) {
      const own = x[j];
      sum0 += rows[at0 + j] * own;
      sum1 += rows[at1 + j] * own;
      sum2 += rows[at2 + j] * own;
      sum3 += rows[at3 + j] * own;
    }
    out[c] = sum0;
    out[c + 1] = sum1;
    out[c + 2] = sum2;
    out[c + 3] = sum3;
  }
  for (let c = whole; c < out.length; c++) {
    out[c] = 0;
    for (let j = 0; j < d; j++) out[c] += rows[c * d + j] * x[j];
  }
}

/** `yᵀ · rows`; four rows at a time, so that the sums are read and written a quarter as often. */
function weightedSum(rows: Float32Array, y: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d);
  const whole = y.length - (y.length % 4);
  for (let c = 0; c < whole; c += 4) {
    const at0 = c * d;
    const at1 = at0 + d;
    const at2 = at1 + d;
    const at3 = at2 + d;
    const y0 = y[c];
    const y1 = y[c + 1];
    const y2 = y[c + 2];
    const y3 = y[c + 3];
    for (let j = 0; j < d; j++)
      out[j] += y0 * rows[at0 + j] + y1 * rows[at1 + j] + (y2 * rows[at2 + j] + y3 * rows[at3 + j]);
  }
  for (let c = whole; c < y.length; c++) for (let j = 0; j < d; j++) out[j] += y[c] * rows[c * d + j];
  return out;
}

async function onTfjs(
  { squares, coefficients, count, d }: Comparisons,
  name: BackendName | undefined,
): Promise<Objective> {
  const backend = await learningBackend(name);
  const { tf } = backend;
  const differences = tf.tensor2d(squares, [count, d]);
  const shares = tf.tensor2d(coefficients, [count, 1]);
  const at: Objective["at"] = async (weights, held) => {
    const fits = weights.length;
    const values: Tf.Tensor[] = tf.tidy(() => {
      const inverse = tf.tensor2d(Float32Array.from(weights.flatMap((own) => Array.from(own))), [fits, d]);
      const distances = tf.matMul(differences, tf.transpose(inverse));
      const meanDistance = tf.mean(distances, 0);
      const factor =
        held === undefined ? tf.onesLike(meanDistance) : tf.div(tf.tensor1d([...held]), meanDistance);
      const kernel = tf.exp(tf.mul(distances, tf.mul(factor, -0.5)));
      const weighted = tf.mul(kernel, shares) as Tf.Tensor2D;
      const sums = tf.matMul(tf.transpose(weighted), differences);
      const gradient = tf.mul(sums, tf.mul(inverse, tf.expandDims(factor, 1)));
      return [tf.sum(weighted, 0), tf.mean(kernel, 0), meanDistance, factor, gradient];
    });
    const [mmd, meanKernel, meanDistance, factor, gradient] = await Promise.all(
      values.map((own) => own.data<"float32">()),
    );
    tf.dispose(values);
    return weights.map((_, f) => ({
      mmd: mmd[f],
      meanKernel: meanKernel[f],
      meanDistance: meanDistance[f],
      factor: factor[f],
      gradient: Float64Array.from(gradient.subarray(f * d, (f + 1) * d)),
    }));
  };
  return { at, dispose: () => tf.dispose([differences, shares]), backend };
}
