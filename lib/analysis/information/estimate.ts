import { mean, quantileSorted } from "simple-statistics";
import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  groupKeys,
  integer,
  number,
  numeric,
  type OptionChecks,
  oneOf,
} from "../../options.js";
import { type Random, seeded } from "../../random.js";
import { cholesky } from "../linalg/cholesky.js";
import { type Matrix, takeRows } from "../linalg/matrix.js";
import type { Estimate } from "../statistics/intervals.js";
import { channelsFromCovariance, type PidDimensions, type PidInformation } from "./channels.js";
import { mapAtoms, mapInformation, type PidAtoms } from "./gaussian-pid.js";
import { clusterMembers } from "./halves.js";
import { covarianceOf } from "./mutual-information.js";
import { equalChannelsNull } from "./null-channels.js";
import {
  checkCount,
  type JointSamples,
  type PidSamples,
  pidOfCovariance,
  readSamples,
  type SamplePid,
} from "./samples.js";
import type { UnionInformation, UnionOptions } from "./union-information.js";
import { drawCovariance } from "./wishart.js";

export interface PidEstimateOptions extends UnionOptions {
  /**
   * Cluster of each row, such as its image, `(n)`: the row bootstrap draws clusters whole. The bias correction and the null
   * go on counting rows as independent. Default: each row its own.
   */
  readonly clusters?: ArrayLike<number | string>;
  /**
   * `"parametric"`: covariances drawn from the Wishart law of the estimated one, for independent Gaussian rows. `"rows"`:
   * rows or clusters drawn with replacement. Default `"rows"` when there are clusters, else `"parametric"`.
   */
  readonly bootstrap?: "parametric" | "rows";
  /** Draws of the bootstrap, and of the null. Default 200. */
  readonly draws?: number;
  /** Coverage of the intervals and of the null's range. Default 0.95. */
  readonly level?: number;
  /** Default 0. */
  readonly seed?: number;
}

const PID_ESTIMATE_OPTIONS: OptionChecks<PidEstimateOptions> = {
  clusters: groupKeys,
  bootstrap: oneOf("parametric", "rows"),
  draws: integer(1),
  level: number(0, 1),
  seed: integer(),
  tolerance: numeric,
};

/** Estimates by the same estimator, at the same n and dimensions, for two sources with identical channels. */
export interface NullRange {
  /** Of the null's channels, exactly: 0 for both unique atoms. */
  readonly truth: number;
  /** Mean of the estimates; less `truth` it is the estimator's bias there. */
  readonly mean: number;
  /** Central range of the estimates. */
  readonly low: number;
  readonly high: number;
}

/** A figure in bits, corrected for bias, with its interval and its null. */
export interface PidFigure extends Estimate {
  /** Without correction. */
  readonly plugIn: number;
  readonly null: NullRange;
}

type Figures<T> = { readonly [K in keyof T]: PidFigure };

/** A decomposition with what its figures are worth. */
export interface PidEstimate {
  readonly n: number;
  readonly dimensions: PidDimensions;
  readonly information: Figures<PidInformation>;
  readonly mmi: Figures<PidAtoms>;
  readonly broja: Figures<PidAtoms>;
  /** Of the plug-in covariance. */
  readonly union: UnionInformation;
}

/** Duality gap of the solutions inside the bootstrap and the null, bits: far below their spread. */
const resampledTolerance = 1e-5;

/**
 * Gaussian decomposition of samples by MMI and ~G, in bits, with bootstrap intervals and a null beside every atom.
 *
 * Informations are corrected by {@link informationBias}. Atoms stay biased all the same: with ten dimensions and 200 rows
 * pure redundancy shows a unique bit. So each is set beside a null, both sources given the same channel with the
 * sources' mean spectrum and corrected information, noises independent, estimated at the same n and dimensions: a unique
 * atom inside the null's range is not evidence of anything unique. The interval is the basic bootstrap's (Davison and
 * Hinkley 1997, §5.2), which also subtracts the bias that the bootstrap sees; it is cut at 0, and stretched to hold the
 * estimate. All of it costs twice `draws` decompositions: 1 s at ten dimensions.
 * @throws ModalscopeError as {@link samplePid}, and when a bootstrap draw has a singular covariance.
 */
export function estimatePid(samples: PidSamples, options: PidEstimateOptions = {}): PidEstimate {
  checkOptions("estimatePid", options, PID_ESTIMATE_OPTIONS);
  const { draws = 200, seed = 0, tolerance } = options;
  if (!(Number.isInteger(draws) && draws >= 20)) {
    throw new ModalscopeError(`${draws} draws were asked for.`, "An interval needs at least 20.");
  }
  const joint = readSamples(samples);
  const { dimensions } = joint;
  const n = joint.rows.shape[0];
  const covariance = covarianceOf([joint.rows]);
  const observed = pidOfCovariance(covariance, dimensions, n, { tolerance });
  const random = seeded(seed);
  const repeat = (draw: () => DrawnCovariance): Readable[] =>
    Array.from({ length: draws }, () => {
      const { covariance: drawn, n: rows } = draw();
      return pidOfCovariance(drawn, dimensions, rows, { tolerance: resampledTolerance });
    });
  const resample = resampler(joint, covariance, options);
  const drawn = repeat(() => resample(random));
  const { x, y } = observed.information;
  const model = equalChannelsNull(channelsFromCovariance(covariance, dimensions), dimensions, (x + y) / 2);
  const factor = cholesky(model.covariance);
  const nulls = repeat(() => ({ covariance: drawCovariance(random, factor, n), n }));
  const figure = figureReader({ observed, drawn, model: model.pid, nulls }, options);
  const atoms = (of: "mmi" | "broja"): Figures<PidAtoms> =>
    mapAtoms((name) => figure((pid) => pid[of][name]));
  return {
    n,
    dimensions,
    information: mapInformation((name) => figure((pid) => pid.information[name])),
    mmi: atoms("mmi"),
    broja: atoms("broja"),
    union: observed.union,
  };
}

/** Decompositions that a figure with interval and null is read from. */
interface Evidence {
  readonly observed: SamplePid;
  readonly drawn: readonly Readable[];
  readonly model: Readable;
  readonly nulls: readonly Readable[];
}

function figureReader(
  { observed, drawn, model, nulls }: Evidence,
  { clusters, level = 0.95 }: PidEstimateOptions,
): (read: (pid: Readable) => number) => PidFigure {
  const tail = (1 - level) / 2;
  const units = clusters === undefined ? observed.n : new Set(Array.from(clusters)).size;
  const sorted = (pids: readonly Readable[], read: (pid: Readable) => number): number[] =>
    pids.map(read).sort((a, b) => a - b);
  return (read) => {
    const [estimate, plugIn] = [read(observed), read(observed.plugIn)];
    const values = sorted(drawn, read);
    const none = sorted(nulls, read);
    return {
      estimate,
      plugIn,
      // A draw's truth is the plug-in: what draws exceed it by, the estimate exceeds the truth by.
      low: Math.max(Math.min(estimate + plugIn - quantileSorted(values, 1 - tail), estimate), 0),
      high: Math.max(estimate + plugIn - quantileSorted(values, tail), estimate),
      n: units,
      level,
      null: {
        truth: read(model),
        mean: mean(none),
        low: quantileSorted(none, tail),
        high: quantileSorted(none, 1 - tail),
      },
    };
  };
}

type Readable = Pick<SamplePid, "information" | "mmi" | "broja">;

interface DrawnCovariance {
  readonly covariance: Matrix;
  /** Rows that it is of. */
  readonly n: number;
}

/** Draws covariances of as many rows, or of as many clusters, as there are. */
function resampler(
  { rows, dimensions }: JointSamples,
  covariance: Matrix,
  { clusters, bootstrap = clusters === undefined ? "parametric" : "rows" }: PidEstimateOptions,
): (random: Random) => DrawnCovariance {
  const n = rows.shape[0];
  if (bootstrap === "parametric") {
    if (clusters !== undefined) {
      throw new ModalscopeError(
        "The parametric bootstrap was asked for clustered rows.",
        "It takes rows for independent.",
        'Use bootstrap: "rows".',
      );
    }
    const factor = cholesky(covariance, "The joint covariance");
    return (random) => ({ covariance: drawCovariance(random, factor, n), n });
  }
  const members = clusterMembers(n, clusters);
  const d = dimensions.target + dimensions.x + dimensions.y;
  if (0.6 * n <= d) {
    throw new ModalscopeError(
      `The row bootstrap of ${n} rows is too small for ${d} dimensions.`,
      "A draw with replacement holds about 63 % of the rows, and its covariance would be singular.",
      "Use fewer principal components or more rows.",
    );
  }
  return (random) => {
    const indices: number[] = [];
    for (let k = 0; k < members.length; k++) indices.push(...random.pick(members));
    checkCount(indices.length, dimensions);
    return { covariance: covarianceOf([takeRows(rows, indices)]), n: indices.length };
  };
}
