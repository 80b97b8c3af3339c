import { setImmediate as nextTurn } from "node:timers/promises";
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
import type { MatrixLike } from "../linalg/matrix.js";
import { type ComparisonOptions, type Comparisons, gatherComparisons } from "./ard-data.js";
import { type Objective, objectiveOf } from "./ard-objective.js";
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
  /** Force one back end of tfjs. Default: plain loops for a small fit, the fastest back end that loads for a large one. */
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
  /** The back end of tfjs; undefined for plain loops. */
  readonly backend: LearningBackend | undefined;
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
  const starts = tasks.map(({ start }) => logStart(comparisons, start, options.matchBandwidth ?? true));
  const objective = await objectiveOf(comparisons, tasks.length, options.backend);
  try {
    const runs = await descend(objective, tasks, starts, options);
    return runs.map((run, f) => ({
      lambda: tasks[f].lambda,
      lengthscales: run.log.map(Math.exp),
      start: starts[f].map(Math.exp),
      scales: comparisons.scales,
      history: run.history,
      steps: run.history[run.history.length - 1].step,
      stopped: run.stopped,
      trivial: trivialMinimum(run.history[run.history.length - 1].meanKernel),
      comparisons: { used: comparisons.count, available: comparisons.available },
      backend: objective.backend,
    }));
  } finally {
    objective.dispose();
  }
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
  log: Float64Array;
  history: ArdPoint[];
  stopped: "plateau" | "limit";
}

/** Adam's decay of the two moments, and what keeps its division finite: the defaults of Kingma and Ba, as tfjs has them. */
const [FIRST, SECOND, EPSILON] = [0.9, 0.999, 1e-7];

async function descend(
  objective: Objective,
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
  const d = starts[0].length;
  const logs = starts.map((start) => start.slice());
  const moments = starts.map(() => ({ first: new Float64Array(d), second: new Float64Array(d) }));
  const held: number[] = [];
  const runs: Run[] = tasks.map(() => ({ log: new Float64Array(0), history: [], stopped: "limit" }));
  const objectives: number[][] = tasks.map(() => []);
  let open = [...runs.keys()];
  for (let t = 0; open.length > 0; t++) {
    const last = t === maxSteps;
    const look = last || t % stride === 0;
    if (look) {
      signal?.throwIfAborted();
      onProgress?.(t, maxSteps, `lengthscales, ${open.length} of ${fits} fits open`);
      await nextTurn();
    }
    const values = await objective.at(
      open.map((f) => logs[f].map((log) => Math.exp(-2 * log))),
      holdBandwidth && t > 0 ? open.map((f) => held[f]) : undefined,
    );
    const closing: number[] = [];
    for (const [i, f] of open.entries()) {
      const { mmd, meanKernel, meanDistance, factor, gradient } = values[i];
      const log = logs[f];
      if (t === 0) held[f] = meanDistance;
      // What held the bandwidth becomes part of the lengthscales.
      if (factor !== 1) for (let j = 0; j < d; j++) log[j] -= 0.5 * Math.log(factor);
      const inverse = log.map((own) => Math.exp(-own));
      const { lambda } = tasks[f];
      const penalty = lambda * inverse.reduce((sum, own) => sum + own, 0);
      if (!Number.isFinite(mmd + penalty)) {
        throw new ModalscopeError(
          `The fit with λ=${lambda} came to ${mmd + penalty} at step ${t}.`,
          "Its lengthscales ran out of range.",
          "Lower the learning rate.",
        );
      }
      if (look) runs[f].history.push({ step: t, mmd, penalty, meanKernel });
      if (last || (look && isFlat(objectives[f], plateau))) {
        runs[f].log = log;
        runs[f].stopped = last ? "limit" : "plateau";
        closing.push(f);
        continue;
      }
      objectives[f].push(mmd + penalty);
      for (let j = 0; j < d; j++) gradient[j] -= lambda * inverse[j];
      adam(log, gradient, moments[f], { learningRate, step: t + 1 });
    }
    open = open.filter((f) => !closing.includes(f));
  }
  return runs;
}

/** One step down a gradient, in place (Kingma and Ba 2015, algorithm 1). */
function adam(
  at: Float64Array,
  gradient: Float64Array,
  { first, second }: { readonly first: Float64Array; readonly second: Float64Array },
  { learningRate, step }: { readonly learningRate: number; readonly step: number },
): void {
  const [unbias, unbiasSquares] = [1 - FIRST ** step, 1 - SECOND ** step];
  for (let j = 0; j < at.length; j++) {
    first[j] = FIRST * first[j] + (1 - FIRST) * gradient[j];
    second[j] = SECOND * second[j] + (1 - SECOND) * gradient[j] ** 2;
    at[j] -= (learningRate * (first[j] / unbias)) / (Math.sqrt(second[j] / unbiasSquares) + EPSILON);
  }
}

/** True when the mean over the last stride has fallen by less than `share` of the start since the stride before. */
function isFlat(objective: readonly number[], share: number): boolean {
  if (objective.length < 2 * stride) return false;
  const mean = (from: number, to: number): number =>
    objective.slice(from, to).reduce((sum, value) => sum + value, 0) / stride;
  const n = objective.length;
  return mean(n - 2 * stride, n - stride) - mean(n - stride, n) < share * Math.abs(objective[0]);
}
