import type * as Tf from "@tensorflow/tfjs-core";
import { ModalscopeError } from "../../errors.js";
import {
  abortSignal,
  callback,
  checkOptions,
  flag,
  integer,
  numeric,
  type OptionChecks,
  oneOf,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { SamplePair } from "../distance/mmd.js";
import type { BackendName, LearningBackend } from "../learn/tfjs.js";
import { learningBackend } from "../learn/tfjs.js";
import type { MatrixLike } from "../linalg/matrix.js";
import { type ComparisonOptions, type Comparisons, gatherComparisons } from "./ard-data.js";
import { axisEnergy } from "./z-mask.js";

/** One fit: its penalty and where its lengthscales start. */
export interface ArdTask {
  /** λ of the penalty `λ Σ_j 1/ℓ_j`. */
  readonly lambda: number;
  /** Log lengthscales `(d)` to start at, up to a common factor (see {@link ArdOptions.matchBandwidth}); all 0 when left out. */
  readonly start?: ArrayLike<number>;
}

/** Options of {@link fitLengthscales}. */
export interface ArdOptions extends TaskOptions, ComparisonOptions {
  /** Adam's step on the log lengthscales. Default 0.01. */
  readonly learningRate?: number;
  /** Default 1000. */
  readonly maxSteps?: number;
  /**
   * A fit stops when its objective, averaged over 25 steps, has fallen by less than this share of its starting value
   * since the 25 before. Default 1e-3.
   */
  readonly plateau?: number;
  /**
   * Multiply each start by the one factor that makes the median comparison's exponent ½. Default true: at ℓ=1 in a
   * thousand dimensions every kernel value is e^−1000, and its gradient 0; a warm start's lengthscales of 40 put every
   * value at 1. The shape of the start is kept.
   */
  readonly matchBandwidth?: boolean;
  /**
   * Hold the mean exponent where it starts, by one common factor after each step. Default false, as in the study, where
   * ℓ→∞ makes both terms vanish and is the least the objective can be; held, only the choice of dimensions is left.
   */
  readonly holdBandwidth?: boolean;
  /** Force one back end; the fastest that loads otherwise. */
  readonly backend?: BackendName;
}

const ARD_OPTIONS: OptionChecks<ArdOptions> = {
  learningRate: numeric,
  maxSteps: numeric,
  plateau: numeric,
  matchBandwidth: flag,
  holdBandwidth: flag,
  backend: oneOf("tensorflow", "wasm", "cpu"),
  onProgress: callback,
  signal: abortSignal,
  comparisons: numeric,
  seed: integer(),
  standardise: flag,
  maxBytes: numeric,
};

/** A point on the way of a fit. */
export interface ArdPoint {
  readonly step: number;
  /** `Σ_i MMD²_i` over the comparisons drawn. */
  readonly mmd: number;
  /** `λ Σ 1/ℓ`. */
  readonly penalty: number;
  /** Mean kernel value of the comparisons: at 1 all tokens look alike to the kernel, at 0 all look unrelated. */
  readonly meanKernel: number;
}

/** Lengthscales that were fitted. */
export interface ArdFit {
  readonly lambda: number;
  /** `(d)`, in units of `scales`: a dimension's raw lengthscale is their product. */
  readonly lengthscales: Float64Array;
  /** `(d)`, where it started from, after the common factor. */
  readonly start: Float64Array;
  /** `(d)`: the standard deviation of each dimension, or 1. */
  readonly scales: Float64Array;
  /** Start, every 25th step, end. */
  readonly history: readonly ArdPoint[];
  readonly steps: number;
  readonly stopped: "plateau" | "limit";
  /**
   * The trivial minimum it ran into, if any: `"alike"` when the mean kernel is above 0.99 (ℓ→∞, the kernel sees no
   * difference anywhere), `"unrelated"` when it is below 0.01 (ℓ→0, every token is like itself only; MMD² is 0 then too).
   * Its lengthscales tell which dimensions held out longest, and no longer a shared subspace.
   */
  readonly trivial: "alike" | "unrelated" | undefined;
  /** Comparisons used, and how many there were. */
  readonly comparisons: { readonly used: number; readonly available: number };
  readonly backend: LearningBackend;
}

/** Steps between two looks at the plateau, history entries, and returns to the event loop. */
const stride = 25;

/**
 * Learns a lengthscale per dimension such that the two samples of each pair look alike,
 * `min_ℓ Σ_i MMD²(x_i, y_i; ℓ) + λ Σ_j 1/ℓ_j`, over log ℓ by Adam. Dimensions in which the samples differ get long
 * lengthscales (the kernel ignores them); the penalty asks for few short ones.
 *
 * All `tasks` run on the same comparisons at once, which costs little more than one (measured: see {@link gatherComparisons}
 * for what is held).
 * @param pairs samples of one layer, `x (n, d)` and `y (m, d)` each.
 * @returns a fit per task, in their order.
 */
export async function fitLengthscales(
  pairs: readonly SamplePair[],
  tasks: readonly ArdTask[],
  options: ArdOptions = {},
): Promise<ArdFit[]> {
  checkOptions("fitLengthscales", options, ARD_OPTIONS);
  const comparisons = gatherComparisons(pairs, options);
  checkTasks(tasks, comparisons.d);
  const backend = await learningBackend(options.backend);
  const starts = tasks.map(({ start }) => logStart(comparisons, start, options.matchBandwidth ?? true));
  const runs = await descend(backend.tf, comparisons, tasks, starts, options);
  return runs.map((run, f) => ({
    lambda: tasks[f].lambda,
    lengthscales: Float64Array.from(run.log, Math.exp),
    start: starts[f].map(Math.exp),
    scales: comparisons.scales,
    history: run.history,
    steps: run.history[run.history.length - 1].step,
    stopped: run.stopped,
    trivial: trivialMinimum(run.history[run.history.length - 1].meanKernel),
    comparisons: { used: comparisons.count, available: comparisons.available },
    backend,
  }));
}

/**
 * Log lengthscales that start short where a subspace is strong: `−log(z_j + ε)` with z the share of axis j in the subspace
 * (see {@link axisEnergy}). A fit from here is drawn to the subspace by its start: judge their overlap on a cold one.
 */
export function warmStart(basis: MatrixLike, epsilon = 1e-3): Float64Array {
  return axisEnergy(basis).map((z) => -Math.log(z + epsilon));
}

/**
 * A threshold for lengthscales in units of standard deviations that does not depend on the fit, `√(20 d)`: a dimension at
 * it moves the exponent by 1/(20d), a tenth of an equal share of ½. (The median of the fitted lengthscales, which the
 * study suggests, declares half of the dimensions shared whatever they are.)
 */
export function absoluteThreshold(d: number): number {
  return Math.sqrt(20 * d);
}

/** The dimensions whose lengthscale is below `threshold`. */
export function survivingDimensions(lengthscales: ArrayLike<number>, threshold: number): number[] {
  return Array.from(lengthscales, (l, j) => (l < threshold ? j : -1)).filter((j) => j >= 0);
}

function trivialMinimum(meanKernel: number): ArdFit["trivial"] {
  if (meanKernel > 0.99) return "alike";
  return meanKernel < 0.01 ? "unrelated" : undefined;
}

function checkTasks(tasks: readonly ArdTask[], d: number): void {
  tasks.forEach(({ lambda, start }, f) => {
    if (!(lambda >= 0 && Number.isFinite(lambda))) {
      throw new ModalscopeError(`Task ${f} has λ=${lambda}.`, "It must be a number from 0 up.");
    }
    if (start !== undefined && (start.length !== d || !Array.from(start).every(Number.isFinite))) {
      throw new ModalscopeError(`The start of task ${f} should hold ${d} finite log lengthscales.`);
    }
  });
  if (tasks.length === 0) throw new ModalscopeError("There are no tasks to fit.");
}

function logStart(
  { squares, count, d }: Comparisons,
  start: ArrayLike<number> | undefined,
  match: boolean,
): Float64Array {
  const log = start === undefined ? new Float64Array(d) : Float64Array.from(start);
  if (!match) return log;
  const weights = log.map((l) => Math.exp(-2 * l));
  const distances = new Float64Array(count);
  for (let c = 0; c < count; c++) {
    for (let j = 0; j < d; j++) distances[c] += squares[c * d + j] * weights[j];
  }
  const median = distances.sort()[count >> 1];
  if (!(median > 0)) throw new ModalscopeError("Over half of the comparisons are of equal vectors.");
  return log.map((l) => l + 0.5 * Math.log(median));
}

interface Run {
  log: Float32Array;
  history: ArdPoint[];
  stopped: "plateau" | "limit";
}

/** One value per task. */
interface StepValues {
  readonly mmd: Float32Array;
  readonly penalty: Float32Array;
  readonly meanKernel: Float32Array;
}

async function descend(
  tf: typeof Tf,
  { squares, coefficients, count, d }: Comparisons,
  tasks: readonly ArdTask[],
  starts: readonly Float64Array[],
  {
    learningRate = 0.01,
    maxSteps = 1000,
    plateau = 1e-3,
    holdBandwidth = false,
    onProgress,
    signal,
  }: ArdOptions,
): Promise<Run[]> {
  const fits = tasks.length;
  const differences = tf.tensor2d(squares, [count, d]);
  const weights = tf.tensor2d(coefficients, [count, 1]);
  const lambdas = tf.tensor1d(tasks.map(({ lambda }) => lambda));
  const initial = tf.tensor2d(Float32Array.from(starts.flatMap((start) => Array.from(start))), [fits, d]);
  const logs = tf.variable(initial);
  const optimiser = tf.train.adam(learningRate);
  /** Weighted squared distances `(comparisons, fits)`. */
  const distancesAt = (inverse: Tf.Tensor): Tf.Tensor =>
    tf.matMul(differences, tf.transpose(tf.square(inverse)) as Tf.Tensor2D);
  const runs: Run[] = tasks.map(() => ({ log: new Float32Array(0), history: [], stopped: "limit" }));
  const objectives: number[][] = tasks.map(() => []);
  const open = new Set(runs.keys());
  let held: Tf.Tensor | undefined;

  /** Values at the present lengthscales; with `learn`, one step on from there. */
  const step = async (learn: boolean): Promise<StepValues> => {
    const values: Tf.Tensor[] = [];
    tf.tidy(() => {
      const inverse = tf.exp(tf.neg(logs));
      const distances = distancesAt(inverse);
      const kernel = tf.exp(tf.mul(distances, -0.5)) as Tf.Tensor2D;
      const weighted = tf.mul(kernel, weights) as Tf.Tensor2D;
      const mmd = tf.sum(weighted, 0);
      const penalty = tf.mul(lambdas, tf.sum(inverse, 1));
      values.push(tf.keep(mmd), tf.keep(penalty), tf.keep(tf.mean(kernel, 0)));
      if (holdBandwidth) held ??= tf.keep(tf.mean(distances, 0));
      if (!learn) return;
      // By log ℓ: that of MMD² is ℓ⁻² Σ_c weight · kernel · square, that of the penalty −λ/ℓ.
      const ofMmd = tf.mul(tf.square(inverse), tf.matMul(tf.transpose(weighted), differences));
      const gradient = tf.sub(ofMmd, tf.mul(tf.expandDims(lambdas, 1), inverse));
      optimiser.applyGradients([{ name: logs.name, tensor: gradient }]);
      if (held !== undefined) {
        const drift = tf.div(tf.mean(distancesAt(tf.exp(tf.neg(logs))), 0), held);
        logs.assign(tf.add(logs, tf.mul(tf.expandDims(tf.log(drift), 1), 0.5)) as Tf.Tensor2D);
      }
    });
    const [mmd, penalty, meanKernel] = await Promise.all(values.map((v) => v.data<"float32">()));
    tf.dispose(values);
    return { mmd, penalty, meanKernel };
  };
  const close = async (stopped: Run["stopped"], closing: readonly number[]): Promise<void> => {
    const all = await logs.data();
    for (const f of closing) {
      runs[f].log = Float32Array.from(all.subarray(f * d, (f + 1) * d));
      runs[f].stopped = stopped;
      open.delete(f);
    }
  };

  try {
    for (let t = 0; open.size > 0; t++) {
      const last = t === maxSteps;
      const look = last || t % stride === 0;
      if (look) {
        signal?.throwIfAborted();
        onProgress?.(t, maxSteps, `lengthscales, ${open.size} of ${fits} fits open`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const flat = look && !last ? [...open].filter((f) => isFlat(objectives[f], plateau)) : [];
      if (flat.length > 0) await close("plateau", flat);
      // A fit that has just closed still gets the values at its end, and those of one at its limit take no step.
      const closing = last ? [...open] : flat;
      if (last) await close("limit", closing);
      const values = await step(!last);
      for (const f of [...open, ...closing]) {
        const point = {
          step: t,
          mmd: values.mmd[f],
          penalty: values.penalty[f],
          meanKernel: values.meanKernel[f],
        };
        if (!Number.isFinite(point.mmd + point.penalty)) {
          throw new ModalscopeError(
            `The fit with λ=${tasks[f].lambda} came to ${point.mmd} at step ${t}.`,
            "Its lengthscales ran out of float32's range.",
            "Lower the learning rate.",
          );
        }
        objectives[f].push(point.mmd + point.penalty);
        if (look) runs[f].history.push(point);
      }
    }
  } finally {
    tf.dispose([differences, weights, lambdas, initial, logs]);
    if (held !== undefined) tf.dispose(held);
    optimiser.dispose();
  }
  return runs;
}

/** True when the mean over the last stride has fallen by less than `share` of the start since the stride before. */
function isFlat(objective: readonly number[], share: number): boolean {
  if (objective.length < 2 * stride) return false;
  const mean = (from: number, to: number): number =>
    objective.slice(from, to).reduce((sum, value) => sum + value, 0) / stride;
  const n = objective.length;
  return mean(n - 2 * stride, n - stride) - mean(n - stride, n) < share * Math.abs(objective[0]);
}
