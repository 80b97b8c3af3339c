import { checkOptions, groupKeys, integer, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import { takeRows } from "../linalg/matrix.js";
import type { PidInformation } from "./channels.js";
import { mapAtoms, mapInformation, type PidAtoms } from "./gaussian-pid.js";
import { splitHalves } from "./halves.js";
import { covarianceOf } from "./mutual-information.js";
import { checkCount, type PidSamples, pidOfCovariance, readSamples, type SamplePid } from "./samples.js";

/** Mean corrected figures at one number of rows, bits. */
export interface PidAtSize {
  /** Mean number of rows. */
  readonly n: number;
  readonly information: PidInformation;
  readonly mmi: PidAtoms;
  readonly broja: PidAtoms;
}

export interface SampleSizeOptions {
  /** Cluster of each row, `(n)`; never cut. */
  readonly clusters?: ArrayLike<number | string>;
  /** Random splits into halves. Default 10. */
  readonly splits?: number;
  /** Default 0. */
  readonly seed?: number;
}

const SAMPLE_SIZE_OPTIONS: OptionChecks<SampleSizeOptions> = {
  clusters: groupKeys,
  splits: integer(1),
  seed: integer(),
};

/**
 * The decomposition at half of the rows, a mean over random halves, and at all of them. Figures that still move between
 * the two are not those of the population: a unique atom that shrinks with n is on its way to less, maybe to 0.
 * @throws ModalscopeError as {@link samplePid} does, with half of the rows.
 */
export function pidBySampleSize(
  samples: PidSamples,
  options: SampleSizeOptions = {},
): { readonly half: PidAtSize; readonly full: PidAtSize } {
  checkOptions("pidBySampleSize", options, SAMPLE_SIZE_OPTIONS);
  const { clusters, splits = 10, seed = 0 } = options;
  const { rows, dimensions } = readSamples(samples);
  const random = seeded(seed);
  const n = rows.shape[0];
  const decompose = (indices: readonly number[]): SamplePid => {
    checkCount(indices.length, dimensions);
    return pidOfCovariance(covarianceOf([takeRows(rows, indices)]), dimensions, indices.length);
  };
  const halves = Array.from({ length: splits }, () => splitHalves(n, clusters, random).map(decompose)).flat();
  return { half: meanOf(halves), full: meanOf([pidOfCovariance(covarianceOf([rows]), dimensions, n)]) };
}

function meanOf(pids: readonly SamplePid[]): PidAtSize {
  const mean = (read: (pid: SamplePid) => number): number =>
    pids.reduce((sum, pid) => sum + read(pid), 0) / pids.length;
  return {
    n: mean((pid) => pid.n),
    information: mapInformation((name) => mean((pid) => pid.information[name])),
    mmi: mapAtoms((name) => mean((pid) => pid.mmi[name])),
    broja: mapAtoms((name) => mean((pid) => pid.broja[name])),
  };
}
