import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, numeric, type OptionChecks } from "../../options.js";
import { type Random, seeded } from "../../random.js";
import { symmetricEigen } from "./eigen.js";
import {
  dot,
  firstRows,
  type Matrix,
  row,
  squaredNorm,
  stack,
  takeRows,
  transpose,
  zeros,
} from "./matrix.js";
import { gram, multiply, multiplyTransposed } from "./products.js";

/** A symmetric operator on ℝⁿ: maps a block of row vectors `(b, n)` to `(b, n)`. */
export type SymmetricOperator = (rows: Matrix) => Matrix;

/** Options of {@link topEigen}. */
export interface TopEigenOptions {
  /** Residual `‖A v − θ v‖ ≤ tolerance · θ₁` at which a pair counts as found. Default 1e-9. */
  readonly tolerance?: number;
  /** Vectors per application of the operator; eigenvalues repeated up to this often are all found. Default 12. */
  readonly block?: number;
  /** It gives up at the first restart after this many applications of the operator. Default 1000. */
  readonly maxApplications?: number;
  /** Seed of the starting block. Default 0. */
  readonly seed?: number;
}

const TOP_EIGEN_OPTIONS: OptionChecks<TopEigenOptions> = {
  tolerance: numeric,
  block: numeric,
  maxApplications: numeric,
  seed: integer(),
};

/** The largest eigenvalues with their eigenvectors. */
export interface TopEigen {
  /** `(k)`, largest first. */
  readonly values: Float64Array;
  /** `(k, n)`, orthonormal rows. */
  readonly vectors: Matrix;
  /** Number of times the operator was applied to a block. */
  readonly applications: number;
}

/**
 * The `k` largest eigenpairs of a symmetric operator by block Krylov iteration with full reorthogonalisation
 * and thick restarts (Rayleigh–Ritz on the whole basis; a restart keeps the best Ritz vectors and goes on from their
 * residuals). For matrices too large to decompose whole: the top 50 of 2048 take seconds, all of them minutes.
 * @throws ModalscopeError when it has not converged after `maxApplications`.
 */
export function topEigen(
  operator: SymmetricOperator,
  n: number,
  k: number,
  options: TopEigenOptions = {},
): TopEigen {
  checkOptions("topEigen", options, TOP_EIGEN_OPTIONS);
  const { tolerance = 1e-9, block = 12, maxApplications = 1000, seed = 0 } = options;
  if (!(Number.isInteger(k) && k >= 1 && k <= n)) {
    throw new ModalscopeError(`The top ${k} eigenvectors were asked for.`, `There are 1 to ${n}.`);
  }
  const random = seeded(seed);
  const refill = (v: Float64Array): void => fillNormal(v, random);
  const width = Math.min(block, n);
  const capacity = Math.min(n, Math.max(2 * k + 4 * width, k + 12 * width));
  let basis = zeros(0, n);
  let images = zeros(0, n);
  let next = zeros(width, n);
  refill(next.data);
  for (let applications = 1; ; applications++) {
    const fresh = extendBasis(basis, next, refill);
    const applied = operator(fresh);
    basis = stack([basis, fresh]);
    images = stack([images, applied]);
    if (basis.shape[0] + width <= capacity) {
      next = applied;
      continue;
    }
    const { values, vectors } = symmetricEigen(symmetrised(multiplyTransposed(basis, images)));
    const keep = Math.min(k + width, values.length);
    const mix = firstRows(vectors, keep);
    basis = multiply(mix, basis);
    images = multiply(mix, images);
    const limit = tolerance * Math.max(Math.abs(values[0]), Number.MIN_VALUE);
    const open = openResiduals(basis, images, values, limit);
    const missing = open.filter(({ index }) => index < k).length;
    if (missing === 0 || values.length === n) {
      return { values: values.slice(0, k), vectors: takeRows(basis, range(k)), applications };
    }
    if (applications >= maxApplications) {
      throw new ModalscopeError(
        `${missing} of ${k} eigenvectors had not converged after ${applications} blocks of ${width}.`,
        "Their eigenvalues lie too close together for this many steps.",
        "Raise maxApplications or tolerance, or ask for fewer.",
      );
    }
    // In exact arithmetic all residuals span one block of `width` directions, so any of them continue the Krylov space.
    next = stack(open.slice(0, width).map(({ residual }) => ({ data: residual, shape: [1, n] })));
  }
}

/** Residuals `A v − θ v` above `limit`, in the order of their Ritz pairs. */
function openResiduals(
  basis: Matrix,
  images: Matrix,
  values: Float64Array,
  limit: number,
): { index: number; residual: Float64Array }[] {
  return range(basis.shape[0])
    .map((index) => {
      const v = row(basis, index);
      return { index, residual: row(images, index).map((value, j) => value - values[index] * v[j]) };
    })
    .filter(({ residual }) => norm(residual) > limit);
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function symmetrised(a: Matrix): Matrix {
  const n = a.shape[0];
  const out = zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) out.data[i * n + j] = (a.data[i * n + j] + a.data[j * n + i]) / 2;
  }
  return out;
}

/** Standard normals into `v`. */
export function fillNormal(v: Float64Array, random: Random): void {
  for (let j = 0; j < v.length; j++) v[j] = random.normal();
}

/**
 * The rows of `candidates` made orthonormal to `basis` and to each other (Gram–Schmidt, twice); at most as many rows
 * as the space has room for. `refill` writes another candidate where a row lies in the span already, or throws.
 */
export function extendBasis(basis: Matrix, candidates: Matrix, refill: (row: Float64Array) => void): Matrix {
  const n = candidates.shape[1];
  const rows = Math.min(candidates.shape[0], n - basis.shape[0]);
  const out = zeros(rows, n);
  out.data.set(candidates.data.subarray(0, rows * n));
  for (let i = 0; i < rows; i++) {
    const before = { data: out.data.subarray(0, i * n), shape: [i, n] };
    const v = row(out, i);
    let size = norm(v);
    removeProjection(v, basis);
    removeProjection(v, before);
    // What is left below this is rounding noise, and normalising would make it look like a direction.
    while (!(norm(v) > 1e-10 * size)) {
      refill(v);
      size = norm(v);
      removeProjection(v, basis);
      removeProjection(v, before);
    }
    scale(v, 1 / norm(v));
    removeProjection(v, basis);
    removeProjection(v, before);
    scale(v, 1 / norm(v));
  }
  return out;
}

const norm = (v: Float64Array): number => Math.sqrt(squaredNorm(v));

function scale(v: Float64Array, factor: number): void {
  for (let j = 0; j < v.length; j++) v[j] *= factor;
}

/** `v −= (v·basisᵀ)·basis`, in place. */
function removeProjection(v: Float64Array, basis: Matrix): void {
  for (let p = 0; p < basis.shape[0]; p++) {
    const b = row(basis, p);
    const share = dot(v, b);
    for (let j = 0; j < v.length; j++) v[j] -= share * b[j];
  }
}

/** The right singular vectors of `B (m, n)` with the largest singular values. */
export interface RightSingular {
  /** `(k)`, largest first. */
  readonly singularValues: Float64Array;
  /** `(k, n)`, orthonormal rows. */
  readonly vectors: Matrix;
  /** Every singular value, when the smaller side was small enough to decompose whole; else undefined. */
  readonly spectrum: Float64Array | undefined;
}

/** Up to this size the Gram matrix of the smaller side is decomposed whole (0.7 s). */
const wholeLimit = 512;

/**
 * Top-`k` right singular vectors of `B (m, n)` from its Gram matrix, on whichever side is smaller; iteratively when
 * both are large. Singular values below 1e-7 of the largest are rounding noise here (they are roots of eigenvalues).
 * @throws ModalscopeError when `k` exceeds the numerical rank: the vectors would be arbitrary.
 */
export function topRightSingular(b: Matrix, k: number, options?: TopEigenOptions): RightSingular {
  checkOptions("topRightSingular", options ?? {}, TOP_EIGEN_OPTIONS);
  const [m, n] = b.shape;
  if (Math.min(m, n) > wholeLimit) {
    const columns = transpose(b);
    const operator: SymmetricOperator = (x) => multiplyTransposed(multiplyTransposed(x, b), columns);
    const { values, vectors } = topEigen(operator, n, k, options);
    const singularValues = values.map((value) => Math.sqrt(Math.max(value, 0)));
    checkRank(k, numericalRank(singularValues));
    return { singularValues, vectors, spectrum: undefined };
  }
  const left = m <= n;
  const { values, vectors } = symmetricEigen(gram(left ? b : transpose(b)));
  const spectrum = values.map((value) => Math.sqrt(Math.max(value, 0)));
  checkRank(k, numericalRank(spectrum));
  const top = takeRows(vectors, range(k));
  // A left vector u gives the right one as Bᵀu/σ; once more through Gram–Schmidt, since σ can be small.
  const right = left ? extendBasis(zeros(0, n), multiply(top, b), refuseRefill) : top;
  return { singularValues: spectrum.slice(0, k), vectors: right, spectrum };
}

const refuseRefill = (): never => {
  throw new ModalscopeError(
    "Two singular vectors coincide.",
    "The matrix has a lower rank than its spectrum says.",
  );
};

/** Number of singular values above 1e-7 of the largest: what a Gram matrix in float64 can tell from 0. */
export function numericalRank(singularValues: Float64Array): number {
  const limit = 1e-7 * (singularValues[0] ?? 0);
  return singularValues.reduce((count, value) => count + (value > limit ? 1 : 0), 0);
}

function checkRank(k: number, rank: number): void {
  if (k > rank) {
    throw new ModalscopeError(
      `${k} singular vectors were asked of a matrix of rank ${rank}.`,
      "Beyond the rank they are arbitrary.",
      `Ask for at most ${rank}.`,
    );
  }
}
