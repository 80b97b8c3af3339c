import { ModalscopeError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { asMatrix, checkSame, joinColumns, type Matrix, type MatrixLike } from "../linalg/matrix.js";
import { channelsFromCovariance, type PidDimensions, type PidInformation } from "./channels.js";
import { type GaussianPid, gaussianPid, mmiAtoms, type PidAtoms, unionAtoms } from "./gaussian-pid.js";
import { covarianceOf, informationBias } from "./mutual-information.js";
import type { UnionInformation, UnionOptions } from "./union-information.js";
import { UNION_OPTIONS } from "./union-information.js";

/** Rows observed together. A decomposition is not symmetric: swapping the target with a source gives other atoms. */
export interface PidSamples {
  /** M: what is to be predicted, `(n, dm)`, continuous. */
  readonly target: MatrixLike;
  /** X: the first source, `(n, dx)`. */
  readonly x: MatrixLike;
  /** Y: the second source, `(n, dy)`. */
  readonly y: MatrixLike;
}

/** A decomposition estimated from samples, without its uncertainty. */
export interface SamplePid {
  readonly n: number;
  readonly dimensions: PidDimensions;
  /** Of the sample covariance as it is. */
  readonly plugIn: GaussianPid;
  /** Informations less their bias. */
  readonly information: PidInformation;
  /** Atoms from the corrected informations. */
  readonly mmi: PidAtoms;
  readonly broja: PidAtoms;
  readonly union: UnionInformation;
}

/** Samples read and checked: M, X and Y side by side. */
export interface JointSamples {
  /** `(n, dm+dx+dy)`. */
  readonly rows: Matrix;
  readonly dimensions: PidDimensions;
}

/**
 * Gaussian decomposition of samples, informations corrected for bias. The bias that is left in the atoms can be larger
 * than they are when dimensions exceed about n/50: use {@link estimatePid}, which sets a null beside them.
 * @throws ModalscopeError when rows are too few, unequal or not finite, a variable is constant, the target is discrete,
 * or the sources determine it.
 */
export function samplePid(samples: PidSamples, options?: UnionOptions): SamplePid {
  checkOptions("samplePid", options ?? {}, UNION_OPTIONS);
  const { rows, dimensions } = readSamples(samples);
  return pidOfCovariance(covarianceOf([rows]), dimensions, rows.shape[0], options);
}

/** {@link samplePid} from the unbiased covariance of (M, X, Y) over `n` rows. */
export function pidOfCovariance(
  covariance: Matrix,
  dimensions: PidDimensions,
  n: number,
  options?: UnionOptions,
): SamplePid {
  const plugIn = gaussianPid(channelsFromCovariance(covariance, dimensions), options);
  const information = correctedInformation(plugIn.information, dimensions, n);
  // The union shrinks as the joint information does.
  const raw = plugIn.information.joint;
  const union = raw > 0 ? (plugIn.union.bits * information.joint) / raw : 0;
  return {
    n,
    dimensions,
    plugIn,
    information,
    mmi: mmiAtoms(information),
    broja: unionAtoms(information, union),
    union: plugIn.union,
  };
}

/** Informations less their bias, at least 0; corrected one by one they can cross, so the joint one is raised. */
function correctedInformation(
  { x, y, joint }: PidInformation,
  dimensions: PidDimensions,
  n: number,
): PidInformation {
  const { target: dm, x: dx, y: dy } = dimensions;
  const correctedX = Math.max(x - informationBias(dm, dx, n), 0);
  const correctedY = Math.max(y - informationBias(dm, dy, n), 0);
  const together = joint - informationBias(dm, dx + dy, n);
  return { x: correctedX, y: correctedY, joint: Math.max(together, correctedX, correctedY) };
}

/** Something of the target and of each source. */
export interface Variables<T> {
  readonly target: T;
  readonly x: T;
  readonly y: T;
}

/** A value for each variable. */
export function mapVariables<T>(value: (name: keyof Variables<T>) => T): Variables<T> {
  return { target: value("target"), x: value("x"), y: value("y") };
}

/** Target and sources as matrices of equally many rows. */
export function readVariables({ target, x, y }: PidSamples): Variables<Matrix> {
  const variables = {
    target: asMatrix(target, "The target"),
    x: asMatrix(x, "The first source"),
    y: asMatrix(y, "The second source"),
  };
  const n = variables.target.shape[0];
  checkSame("The first source and the target", variables.x.shape[0], n, "rows");
  checkSame("The second source and the target", variables.y.shape[0], n, "rows");
  return variables;
}

/** @throws ModalscopeError for samples that {@link samplePid} refuses, but for those of a singular covariance. */
export function readSamples(samples: PidSamples): JointSamples {
  const { target, x, y } = readVariables(samples);
  const dimensions = { target: target.shape[1], x: x.shape[1], y: y.shape[1] };
  checkCount(target.shape[0], dimensions);
  checkContinuous(target);
  return { rows: joinColumns([target, x, y]), dimensions };
}

/** @throws ModalscopeError unless `n` rows suffice for a covariance of all dimensions. */
export function checkCount(n: number, { target, x, y }: PidDimensions): void {
  const d = target + x + y;
  if (n > d) return;
  throw new ModalscopeError(
    `${n} rows are too few for ${target} + ${x} + ${y} dimensions.`,
    "The joint covariance is singular, and every information is infinite.",
    `Use at least ${d + 1} rows, better ${50 * Math.max(target, x, y)}, or fewer principal components.`,
  );
}

/** Continuous values rarely repeat: a column with fewer distinct values than half its rows is discrete. */
function checkContinuous(target: Matrix): void {
  const [n, d] = target.shape;
  for (let j = 0; j < d; j++) {
    const values = new Set<number>();
    for (let i = 0; i < n && values.size < n / 2; i++) values.add(target.data[i * d + j]);
    if (values.size >= n / 2 || values.size === 1) continue;
    throw new ModalscopeError(
      `Column ${j} of the target takes ${values.size} values in ${n} rows: it looks discrete.`,
      "A Gaussian information about a discrete target exceeds the true one, and even its entropy.",
      "Use a continuous vector, such as logits before the argmax, or discretePid.",
    );
  }
}
