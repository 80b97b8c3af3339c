import { mean, quantileSorted } from "simple-statistics";
import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  groupKeys,
  integer,
  number,
  type OptionChecks,
  oneOf,
  optional,
} from "../../options.js";
import { seeded } from "../../random.js";
import { cholesky } from "../linalg/cholesky.js";
import { checkSame, type Matrix, takeRows, zeros } from "../linalg/matrix.js";
import { multiplyTransposed } from "../linalg/products.js";
import type { Estimate } from "../statistics/intervals.js";
import { channelsFromCovariance, type PidDimensions, type PidInformation } from "./channels.js";
import type { PidAtoms } from "./gaussian-pid.js";
import { clusterMembers } from "./halves.js";
import { covarianceOf } from "./mutual-information.js";
import { equalChannelsNull } from "./null-channels.js";
import {
  checkCount,
  type PidSamples,
  pidOfCovariance,
  readSamples,
  type SamplePid,
  type Variables,
} from "./samples.js";
import { drawCovariance } from "./wishart.js";

/** The part of a decomposition that a statistic is read from. */
export interface PidReading {
  readonly information: PidInformation;
  readonly mmi: PidAtoms;
  readonly broja: PidAtoms;
}

export interface PidBootstrapOptions {
  /** Cluster of each row, such as its image, `(n)`; clusters are drawn whole. Default: each row its own. */
  readonly clusters?: ArrayLike<number | string>;
  /** Default 100. */
  readonly draws?: number;
  /** Default 0. */
  readonly seed?: number;
}

const PID_BOOTSTRAP_OPTIONS: OptionChecks<PidBootstrapOptions> = {
  clusters: groupKeys,
  draws: integer(1),
  seed: integer(),
};

/** Decompositions of several sets of samples with the same rows, and of resamples that they share. */
export interface PidBootstrap {
  /** `(sets)` */
  readonly observed: readonly SamplePid[];
  /** `(draws, sets)`: each draw takes the same rows of every set, so that differences between sets keep their pairing. */
  readonly drawn: readonly (readonly PidReading[])[];
  /** Clusters, or rows where there are none. */
  readonly units: number;
}

/** Duality gap of the solutions inside the resamples, bits: far below their spread. */
const RESAMPLED_TOLERANCE = 1e-5;

/**
 * Decomposes sets of samples whose rows belong together, such as the layers of a model or its runs with and without an edit,
 * and bootstraps them jointly: intervals of anything that is computed from several of them, by {@link pidInterval}.
 * @throws ModalscopeError as `samplePid`; when sets have different numbers of rows; and when there are too few for resamples,
 * of which about 63 % are distinct.
 */
export function pidBootstrap(sets: readonly PidSamples[], options: PidBootstrapOptions = {}): PidBootstrap {
  checkOptions("pidBootstrap", options, PID_BOOTSTRAP_OPTIONS);
  const { clusters, draws = 100, seed = 0 } = options;
  if (sets.length === 0) throw new ModalscopeError("pidBootstrap is given no samples.");
  if (!(Number.isInteger(draws) && draws >= 20))
    throw new ModalscopeError(`${draws} draws were asked for.`, "An interval needs at least 20.");
  const joint = sets.map(readSamples);
  const n = joint[0].rows.shape[0];
  for (const { rows } of joint) checkSame("pidBootstrap", rows.shape[0], n, "rows in each set");
  const members = clusterMembers(n, clusters);
  const d = Math.max(...joint.map(({ rows }) => rows.shape[1]));
  if (0.6 * members.length <= d)
    throw new ModalscopeError(
      `Resamples of ${members.length} rows or clusters are too few for ${d} dimensions.`,
      "About 63 % of a resample are distinct, and its covariance would be singular.",
      `Use at least ${Math.ceil((d + 1) / 0.6)}, or fewer principal components.`,
    );
  const random = seeded(seed);
  const drawn = Array.from({ length: draws }, () => {
    const indices: number[] = [];
    for (let k = 0; k < members.length; k++) indices.push(...random.pick(members));
    return joint.map(({ rows, dimensions }): PidReading => {
      checkCount(indices.length, dimensions);
      const covariance = covarianceOf([takeRows(rows, indices)]);
      return pidOfCovariance(covariance, dimensions, indices.length, { tolerance: RESAMPLED_TOLERANCE });
    });
  });
  const observed = joint.map(({ rows, dimensions }) => pidOfCovariance(covarianceOf([rows]), dimensions, n));
  return { observed, drawn, units: members.length };
}

/**
 * Bootstraps of different questions side by side, draw by draw: for statistics over tasks, each resampled by itself.
 * @throws ModalscopeError for none, and for unequal numbers of draws.
 */
export function joinPidBootstraps(parts: readonly PidBootstrap[]): PidBootstrap {
  if (parts.length === 0) throw new ModalscopeError("joinPidBootstraps is given no bootstraps.");
  for (const { drawn } of parts)
    checkSame("joinPidBootstraps", drawn.length, parts[0].drawn.length, "draws in each");
  return {
    observed: parts.flatMap(({ observed }) => observed),
    drawn: parts[0].drawn.map((_, i) => parts.flatMap(({ drawn }) => drawn[i])),
    units: parts.reduce((sum, { units }) => sum + units, 0),
  };
}

export interface PidIntervalOptions {
  /**
   * `"basic"` also subtracts the bias that the bootstrap sees (Davison and Hinkley 1997, §5.2): for atoms, informations and
   * smooth functions of them. `"percentile"` stays within the statistic's range: for places, ranks and correlations. Default
   * `"basic"`.
   */
  readonly kind?: "basic" | "percentile";
  /** Ends that the statistic cannot pass, such as `[0, 1]` of a share: basic intervals are cut there. Default none. */
  readonly range?: readonly [low: number, high: number];
  /** Default 0.95. */
  readonly level?: number;
}

const PID_INTERVAL_OPTIONS: OptionChecks<PidIntervalOptions> = {
  kind: oneOf("basic", "percentile"),
  range: optional("a list of two numbers", (v) => Array.isArray(v) && v.length === 2 && v[0] <= v[1]),
  level: number(0, 1),
};

/**
 * A statistic of several decompositions with its bootstrap interval, stretched to hold the estimate.
 * @param statistic of the sets' decompositions, in their order; a draw where it is NaN is left out.
 * @throws ModalscopeError when it is NaN for the samples themselves, or in over half of the draws.
 */
export function pidInterval(
  { observed, drawn, units }: PidBootstrap,
  statistic: (pids: readonly PidReading[]) => number,
  options: PidIntervalOptions = {},
): Estimate {
  checkOptions("pidInterval", options, PID_INTERVAL_OPTIONS);
  const {
    kind = "basic",
    level = 0.95,
    range = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  } = options;
  const estimate = statistic(observed);
  const values = drawn
    .map(statistic)
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  if (!Number.isFinite(estimate) || values.length < drawn.length / 2)
    throw new ModalscopeError(
      `The statistic is ${estimate} for the samples, and no number in ${drawn.length - values.length} of ${drawn.length} draws.`,
      "An interval from the rest would mean little.",
      "Use more samples, or a statistic that is defined where there is no information.",
    );
  const tail = (1 - level) / 2;
  const [low, high] = [quantileSorted(values, tail), quantileSorted(values, 1 - tail)];
  // A draw's truth is the plug-in: what draws exceed it by, the estimate exceeds the truth by.
  const turned = kind === "basic" ? estimate + statistic(observed.map(({ plugIn }) => plugIn)) : Number.NaN;
  return {
    estimate,
    low: Math.min(Math.max(kind === "basic" ? turned - high : low, range[0]), estimate),
    high: Math.max(Math.min(kind === "basic" ? turned - low : high, range[1]), estimate),
    n: units,
    level,
  };
}

/** Settings of the null of equal channels. */
interface SameSpectrum {
  /** Cholesky factor of the covariance of (M, X, Y). */
  readonly factor: Matrix;
  readonly dimensions: PidDimensions;
  readonly n: number;
}

function sameSpectrum(samples: PidSamples): SameSpectrum {
  const { rows, dimensions } = readSamples(samples);
  const n = rows.shape[0];
  const covariance = covarianceOf([rows]);
  const { x, y } = pidOfCovariance(covariance, dimensions, n).information;
  const model = equalChannelsNull(channelsFromCovariance(covariance, dimensions), dimensions, mean([x, y]));
  return { factor: cholesky(model.covariance), dimensions, n };
}

/**
 * Decompositions, by the same estimator at the same n and dimensions, of two sources with one and the same channel: the
 * channel has the mean spectrum of the samples' sources and carries the mean of their corrected informations. Their true
 * unique atoms are 0.
 */
export function sameSpectrumDraws(
  samples: PidSamples,
  options: { readonly draws?: number; readonly seed?: number } = {},
): PidReading[] {
  checkOptions("sameSpectrumDraws", options, { draws: integer(1), seed: integer() });
  const { draws = 20, seed = 0 } = options;
  const { factor, dimensions, n } = sameSpectrum(samples);
  const random = seeded(seed);
  return Array.from({ length: draws }, () =>
    pidOfCovariance(drawCovariance(random, factor, n), dimensions, n, { tolerance: RESAMPLED_TOLERANCE }),
  );
}

/** As many rows of that null as there are samples. */
export function sameSpectrumSamples(samples: PidSamples, seed = 0): Variables<Matrix> {
  const { factor, dimensions, n } = sameSpectrum(samples);
  const random = seeded(seed);
  const width = factor.shape[0];
  const normal = { data: Float64Array.from({ length: n * width }, () => random.normal()), shape: [n, width] };
  const rows = multiplyTransposed(normal as Matrix, factor);
  const columns = (from: number, count: number): Matrix => {
    const out = zeros(n, count);
    for (let i = 0; i < n; i++)
      out.data.set(rows.data.subarray(i * width + from, i * width + from + count), i * count);
    return out;
  };
  const { target, x, y } = dimensions;
  return { target: columns(0, target), x: columns(target, x), y: columns(target + x, y) };
}
