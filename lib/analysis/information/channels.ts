import { ModalscopeError } from "../../errors.js";
import { cholesky, logDeterminant, solveLower, tryCholesky } from "../linalg/cholesky.js";
import { symmetricEigenvalues } from "../linalg/eigen.js";
import { asMatrix, type Matrix, type MatrixLike, transpose, zeros } from "../linalg/matrix.js";
import { gram, multiplyTransposed } from "../linalg/products.js";
import { CouplingProblem } from "./coupling-problem.js";

/** Numbers of dimensions of the target M and the sources X and Y. */
export interface PidDimensions {
  readonly target: number;
  readonly x: number;
  readonly y: number;
}

/** Two Gaussian sources about one target, all whitened: X = Hx·M + noise, Y = Hy·M + noise, noises of variance 1. */
export interface GaussianChannels {
  /** `(dx, dm)`. */
  readonly hx: MatrixLike;
  /** `(dy, dm)`. */
  readonly hy: MatrixLike;
  /** Covariance of X's noise with Y's, `(dx, dy)`. Default 0. */
  readonly noise?: MatrixLike;
}

/** Mutual informations in bits: I(M;X), I(M;Y) and I(M;X,Y). */
export interface PidInformation {
  readonly x: number;
  readonly y: number;
  readonly joint: number;
}

/**
 * A target is called determined when the sources leave less than this share of some direction's variance: then the
 * information is set by rounding or by whatever noise was added.
 */
const leastOpenVariance = 1e-6;

/** Squared correlations this near to 1 make a variable a combination of others. */
const collinear = 1e-10;

/**
 * Whitened channels from the covariance of (M, X, Y), `(dm+dx+dy, dm+dx+dy)`. Units do not matter.
 * @throws ModalscopeError when a variable is constant or a combination of others, or when the sources determine the target.
 */
export function channelsFromCovariance(
  covariance: MatrixLike,
  dimensions: PidDimensions,
): { readonly hx: Matrix; readonly hy: Matrix; readonly noise: Matrix } {
  const { target: dm, x: dx, y: dy } = dimensions;
  const joint = correlation(asMatrix(covariance, "The covariance"), dimensions);
  const block = (rows: number, height: number, columns: number, width: number): Matrix =>
    subMatrix(joint, rows, height, columns, width);
  const factors = {
    m: whitener(block(0, dm, 0, dm), "the target"),
    x: whitener(block(dm, dx, dm, dx), "the first source"),
    y: whitener(block(dm + dx, dy, dm + dx, dy), "the second source"),
  };
  whitener(block(dm, dx + dy, dm, dx + dy), "the two sources together");
  // Coherences of whitened variables: K with singular values the canonical correlations.
  const kx = whiten(factors.x, block(dm, dx, 0, dm), factors.m);
  const ky = whiten(factors.y, block(dm + dx, dy, 0, dm), factors.m);
  const [nx, ny] = [conditional(kx, "first"), conditional(ky, "second")];
  const across = whiten(factors.x, block(dm, dx, dm + dx, dy), factors.y);
  const shared = multiplyTransposed(kx, ky);
  for (let i = 0; i < across.data.length; i++) across.data[i] -= shared.data[i];
  const channels = { hx: solveLower(nx, kx), hy: solveLower(ny, ky), noise: whiten(nx, across, ny) };
  checkOpen(channels);
  return channels;
}

/**
 * I(M;X), I(M;Y) and I(M;X,Y) in bits: `½ log₂ |I + HᵀN⁻¹H|`.
 * @throws ModalscopeError when the noises determine each other.
 */
export function channelInformation({ hx, hy, noise }: GaussianChannels): PidInformation {
  const [x, y] = [asMatrix(hx, "The first channel"), asMatrix(hy, "The second channel")];
  const problem = new CouplingProblem(x, y);
  const coupling =
    noise === undefined
      ? new Float64Array(x.shape[0] * y.shape[0])
      : asMatrix(noise, "The noise's covariance").data;
  const joint = problem.value(coupling, 0);
  if (joint === undefined) refuseCollinearNoise();
  return { x: ownInformation(x), y: ownInformation(y), joint: joint / Math.LN2 };
}

function ownInformation(h: Matrix): number {
  const out = gram(h);
  for (let i = 0; i < h.shape[0]; i++) out.data[i * h.shape[0] + i] += 1;
  return logDeterminant(cholesky(out)) / (2 * Math.LN2);
}

function correlation(covariance: Matrix, { target, x, y }: PidDimensions): Matrix {
  const n = covariance.shape[0];
  if (covariance.shape[1] !== n || n !== target + x + y || Math.min(target, x, y) < 1) {
    throw new ModalscopeError(
      `A covariance (${covariance.shape.join(", ")}) was given for ${target}, ${x} and ${y} dimensions.`,
      "It must be square, as large as the three together, and each must be at least 1.",
    );
  }
  const scale = Float64Array.from({ length: n }, (_, i) => 1 / Math.sqrt(covariance.data[i * n + i]));
  const constant = scale.findIndex((s) => !Number.isFinite(s));
  if (constant >= 0) {
    const [name, column] = placeOf(constant, { target, x, y });
    throw new ModalscopeError(
      `Column ${column} of the ${name} is constant.`,
      "It can neither carry information nor be whitened.",
      "Leave it out.",
    );
  }
  const data = covariance.data.map((value, k) => value * scale[Math.floor(k / n)] * scale[k % n]);
  return { data, shape: [n, n] };
}

function placeOf(column: number, { target, x }: PidDimensions): [name: string, column: number] {
  if (column < target) return ["target", column];
  return column < target + x ? ["first source", column - target] : ["second source", column - target - x];
}

function subMatrix(a: Matrix, top: number, height: number, left: number, width: number): Matrix {
  const out = zeros(height, width);
  for (let i = 0; i < height; i++) {
    const start = (top + i) * a.shape[1] + left;
    out.data.set(a.data.subarray(start, start + width), i * width);
  }
  return out;
}

/** `L⁻¹ · A · R⁻ᵀ`. */
function whiten(left: Matrix, a: Matrix, right: Matrix): Matrix {
  return transpose(solveLower(right, transpose(solveLower(left, a))));
}

/** Factor of a correlation matrix; its squared diagonal is what the columns before leave open of each one. */
function whitener(a: Matrix, name: string): Matrix {
  const factor = tryCholesky(a);
  const n = a.shape[0];
  const open = (i: number): number => (factor === undefined ? 0 : factor.data[i * n + i] ** 2);
  if (factor === undefined || Array.from({ length: n }, (_, i) => open(i)).some((o) => o < collinear)) {
    throw new ModalscopeError(
      `Columns of ${name} are combinations of others.`,
      "Their covariance is singular, and no whitening exists.",
      "Leave out what is held twice, or keep fewer principal components.",
    );
  }
  return factor;
}

/** Factor of `I − K·Kᵀ`, the covariance of a whitened source given the target. */
function conditional(k: Matrix, which: string): Matrix {
  const n = k.shape[0];
  const open = gram(k);
  for (let i = 0; i < open.data.length; i++) open.data[i] = -open.data[i];
  for (let i = 0; i < n; i++) open.data[i * n + i] += 1;
  const factor = tryCholesky(open);
  if (factor === undefined) refuseDetermined(`the ${which} source`, 0);
  return factor;
}

/** Largest eigenvalue of `I + HᵀN⁻¹H` is one over the least share of the target's variance that is left open. */
function checkOpen({ hx, hy, noise }: { hx: Matrix; hy: Matrix; noise: Matrix }): void {
  for (const [h, name] of [
    [hx, "the first source"],
    [hy, "the second source"],
  ] as const) {
    const share = 1 / (1 + symmetricEigenvalues(gram(h))[0]);
    if (share < leastOpenVariance) refuseDetermined(name, share);
  }
  const problem = new CouplingProblem(hx, hy);
  const precision = problem.targetPrecision(noise.data);
  // The sources alone are not collinear, so with singular noise they determine the target.
  const share = precision === undefined ? 0 : 1 / symmetricEigenvalues(precision)[0];
  if (share < leastOpenVariance) refuseDetermined("the two sources together", share);
}

function refuseDetermined(name: string, share: number): never {
  throw new ModalscopeError(
    `The target is determined by ${name}: a direction keeps ${share.toExponential(1)} of its variance.`,
    "Its information is then infinite, and any finite value is set by rounding.",
    "Choose a target that the sources do not compute, or report the information as a function of noise added to it.",
  );
}

function refuseCollinearNoise(): never {
  throw new ModalscopeError(
    "Given the target, one source determines a part of the other.",
    "The covariance of both is then singular.",
    "Leave out what the sources hold in common, or keep fewer principal components.",
  );
}
