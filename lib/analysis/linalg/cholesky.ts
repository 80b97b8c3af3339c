import { ModalscopeError } from "../../errors.js";
import { type Matrix, zeros } from "./matrix.js";
import { productTile } from "./products.js";

/**
 * Cholesky factor `L` of a symmetric positive definite matrix, `A = L·Lᵀ`: lower triangular, zeros above.
 * Only the lower triangle of `a` is read. In tiles of 4×4, as the products are.
 * @returns undefined when a pivot is not above 0: `a` is not positive definite to working precision.
 */
export function tryCholesky(a: Matrix): Matrix | undefined {
  return tryCholeskyInto(a, zeros(a.shape[0], a.shape[0]));
}

/** {@link tryCholesky}, written to `out`: zeros, or an earlier factor of this size. */
export function tryCholeskyInto(a: Matrix, out: Matrix): Matrix | undefined {
  const n = a.shape[0];
  const l = out.data;
  const product = { a: l, b: l, c: l, stride: n, width: n };
  for (let i = 0; i < n; i += 4) {
    const rows: readonly [number, number] = [i, Math.min(i + 4, n)];
    for (let j = 0; j <= i; j += 4) {
      const columns: readonly [number, number] = [j, Math.min(j + 4, n)];
      productTile(product, rows, columns, j);
      if (!finishTile(a.data, l, rows, columns, n)) return undefined;
    }
  }
  return out;
}

/** Turns a tile that holds the products of the columns before it into the factor's; false at a pivot not above 0. */
function finishTile(
  a: Float64Array,
  l: Float64Array,
  [i0, i1]: readonly [number, number],
  [j0, j1]: readonly [number, number],
  n: number,
): boolean {
  for (let i = i0; i < i1; i++) {
    for (let j = j0; j < j1; j++) {
      if (j > i) {
        l[i * n + j] = 0;
        continue;
      }
      let rest = a[i * n + j] - l[i * n + j];
      for (let k = j0; k < j; k++) rest -= l[i * n + k] * l[j * n + k];
      if (i !== j) l[i * n + j] = rest / l[j * n + j];
      else if (rest > 0 && rest < Number.POSITIVE_INFINITY) l[i * n + j] = Math.sqrt(rest);
      else return false;
    }
  }
  return true;
}

/**
 * As {@link tryCholesky}, for a matrix that must be positive definite.
 * @param name what to call `a` in the error.
 * @throws ModalscopeError when it is not.
 */
export function cholesky(a: Matrix, name = "The matrix"): Matrix {
  const factor = tryCholesky(a);
  if (factor === undefined) {
    throw new ModalscopeError(`${name} is not positive definite.`, "It has no Cholesky factor.");
  }
  return factor;
}

/** `log |L·Lᵀ|` in nats, from the factor. */
export function logDeterminant(factor: Matrix): number {
  const n = factor.shape[0];
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.log(factor.data[i * n + i]);
  return 2 * sum;
}

/** `L⁻¹·B`, `(n, m)`, by forward substitution. @param factor `L (n, n)`. @param b `(n, m)`. */
export function solveLower(factor: Matrix, b: Matrix): Matrix {
  return solveLowerInto(factor, b, zeros(b.shape[0], b.shape[1]));
}

/** {@link solveLower}, written to `out (n, m)`. */
export function solveLowerInto(factor: Matrix, b: Matrix, out: Matrix): Matrix {
  const [n, m] = b.shape;
  for (let i = 0; i < n * m; i++) out.data[i] = b.data[i];
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) subtractRow(out.data, i, k, factor.data[i * n + k], m);
    divideRow(out.data, i, factor.data[i * n + i], m);
  }
  return out;
}

/** `(L·Lᵀ)⁻¹·B`, `(n, m)`. @param factor `L (n, n)`. @param b `(n, m)`. */
export function solveCholesky(factor: Matrix, b: Matrix): Matrix {
  return solveCholeskyInto(factor, b, zeros(b.shape[0], b.shape[1]));
}

/** {@link solveCholesky}, written to `out (n, m)`. */
export function solveCholeskyInto(factor: Matrix, b: Matrix, out: Matrix): Matrix {
  const [n, m] = b.shape;
  solveLowerInto(factor, b, out);
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) subtractRow(out.data, i, k, factor.data[k * n + i], m);
    divideRow(out.data, i, factor.data[i * n + i], m);
  }
  return out;
}

/** `row i −= weight · row k`. */
function subtractRow(data: Float64Array, i: number, k: number, weight: number, m: number): void {
  if (weight === 0) return;
  for (let j = 0; j < m; j++) data[i * m + j] -= weight * data[k * m + j];
}

function divideRow(data: Float64Array, i: number, by: number, m: number): void {
  for (let j = 0; j < m; j++) data[i * m + j] /= by;
}
