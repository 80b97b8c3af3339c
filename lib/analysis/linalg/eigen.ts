import { ModalscopeError } from "../../errors.js";
import { type Matrix, zeros } from "./matrix.js";

/** Eigenvalues, largest first, with their vectors as orthonormal rows. */
export interface SymmetricEigen {
  readonly values: Float64Array;
  /** `(n, n)`; row i belongs to `values[i]`. */
  readonly vectors: Matrix;
}

/**
 * All eigenpairs of a symmetric matrix: Householder reduction to tridiagonal form, then implicit QL
 * (Bowdler, Martin, Reinsch and Wilkinson; the order of steps is JAMA's). Columns are kept as rows of a flat array,
 * which made it 1.5 to 2 times as fast as ml-matrix's (121 against 175 ms for n=256, 0.7 against 1.4 s for 512).
 * @param a `(n, n)`; only symmetric input makes sense, and only rounding may break it.
 */
export function symmetricEigen(a: Matrix): SymmetricEigen {
  const n = checkSymmetric(a);
  const { diagonal, off, basis } = tridiagonal(a, true);
  implicitQl(diagonal, off, basis, n);
  return sortedPairs(diagonal, basis!, n);
}

/** The eigenvalues alone, largest first: about five times as fast as with vectors. */
export function symmetricEigenvalues(a: Matrix): Float64Array {
  const n = checkSymmetric(a);
  const { diagonal, off } = tridiagonal(a, false);
  implicitQl(diagonal, off, undefined, n);
  return diagonal.sort().reverse();
}

/**
 * The symmetric root `S^½` of a positive semi-definite matrix; eigenvalues that rounding made negative count as 0.
 * Unlike a Cholesky factor it exists when `S` is singular.
 */
export function symmetricRoot(s: Matrix): Matrix {
  const { values, vectors } = symmetricEigen(s);
  const n = values.length;
  const out = zeros(n, n);
  for (let p = 0; p < n; p++) {
    const scale = Math.sqrt(Math.max(values[p], 0));
    if (scale === 0) continue;
    for (let i = 0; i < n; i++) {
      const x = scale * vectors.data[p * n + i];
      for (let j = 0; j < n; j++) out.data[i * n + j] += x * vectors.data[p * n + j];
    }
  }
  return out;
}

function checkSymmetric(a: Matrix): number {
  const [n, m] = a.shape;
  if (n !== m || n === 0) {
    throw new ModalscopeError(`Eigenvalues were asked of a matrix (${n}, ${m}).`, "It must be square.");
  }
  let largest = 0;
  let skew = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      largest = Math.max(largest, Math.abs(a.data[i * n + j]));
      skew = Math.max(skew, Math.abs(a.data[i * n + j] - a.data[j * n + i]));
    }
  }
  if (skew > 1e-8 * largest) {
    throw new ModalscopeError(
      `The matrix is not symmetric: two mirrored entries differ by ${skew.toExponential(1)}.`,
      "This solver reads one triangle only.",
      "Use thinSvd for a general matrix.",
    );
  }
  return n;
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** `off[i]` joins i−1 and i; `off[0]` is 0. */
  readonly off: Float64Array;
  /** The reflections' product; row j is column j. Absent when not asked for. */
  readonly basis: Float64Array | undefined;
}

/** Householder reduction. `v[j*n + k]` holds the textbook's V(k, j), so that inner loops run along memory. */
function tridiagonal(a: Matrix, withBasis: boolean): Tridiagonal {
  const n = a.shape[0];
  const v = Float64Array.from(a.data);
  const d = new Float64Array(n);
  const e = new Float64Array(n);
  for (let j = 0; j < n; j++) d[j] = v[j * n + n - 1];
  for (let i = n - 1; i > 0; i--) {
    let scale = 0;
    for (let k = 0; k < i; k++) scale += Math.abs(d[k]);
    let h = 0;
    if (scale === 0) {
      e[i] = d[i - 1];
      for (let j = 0; j < i; j++) {
        d[j] = v[j * n + i - 1];
        v[j * n + i] = 0;
        v[i * n + j] = 0;
      }
    } else {
      for (let k = 0; k < i; k++) {
        d[k] /= scale;
        h += d[k] * d[k];
      }
      const g = d[i - 1] > 0 ? -Math.sqrt(h) : Math.sqrt(h);
      e[i] = scale * g;
      h -= d[i - 1] * g;
      d[i - 1] -= g;
      reflect(v, d, e, i, h);
    }
    // Without the basis the eigenvalues need the diagonal as it stands after the reductions.
    d[i] = withBasis ? h : v[i * n + i];
  }
  if (withBasis) accumulate(v, d, n);
  else d[0] = v[0];
  e[0] = 0;
  return { diagonal: d, off: e, basis: withBasis ? v : undefined };
}

/** Applies the reflection whose vector is `d[0…i)` to the leading block, and keeps it in row i of `v`. */
function reflect(v: Float64Array, d: Float64Array, e: Float64Array, i: number, h: number): void {
  const n = d.length;
  e.fill(0, 0, i);
  for (let j = 0; j < i; j++) {
    const f = d[j];
    const r = j * n;
    v[i * n + j] = f;
    let g = e[j] + v[r + j] * f;
    for (let k = j + 1; k < i; k++) {
      g += v[r + k] * d[k];
      e[k] += v[r + k] * f;
    }
    e[j] = g;
  }
  let f = 0;
  for (let j = 0; j < i; j++) {
    e[j] /= h;
    f += e[j] * d[j];
  }
  const half = f / (h + h);
  for (let j = 0; j < i; j++) e[j] -= half * d[j];
  for (let j = 0; j < i; j++) {
    const x = d[j];
    const y = e[j];
    const r = j * n;
    for (let k = j; k < i; k++) v[r + k] -= x * e[k] + y * d[k];
    d[j] = v[r + i - 1];
    v[r + i] = 0;
  }
}

/** Multiplies the kept reflections out into the basis; `d` turns from their norms into the diagonal. */
function accumulate(v: Float64Array, d: Float64Array, n: number): void {
  for (let i = 0; i < n - 1; i++) {
    v[i * n + n - 1] = v[i * n + i];
    v[i * n + i] = 1;
    const h = d[i + 1];
    const next = (i + 1) * n;
    if (h !== 0) {
      for (let k = 0; k <= i; k++) d[k] = v[next + k] / h;
      for (let j = 0; j <= i; j++) {
        const r = j * n;
        let g = 0;
        for (let k = 0; k <= i; k++) g += v[next + k] * v[r + k];
        for (let k = 0; k <= i; k++) v[r + k] -= g * d[k];
      }
    }
    v.fill(0, next, next + i + 1);
  }
  for (let j = 0; j < n; j++) {
    d[j] = v[j * n + n - 1];
    v[j * n + n - 1] = 0;
  }
  v[n * n - 1] = 1;
}

/** Implicit QL: leaves the eigenvalues in `d` and, when `v` is given, their vectors in its rows. */
function implicitQl(d: Float64Array, e: Float64Array, v: Float64Array | undefined, n: number): void {
  e.copyWithin(0, 1);
  e[n - 1] = 0;
  let shift = 0;
  let largest = 0;
  for (let l = 0; l < n; l++) {
    largest = Math.max(largest, Math.abs(d[l]) + Math.abs(e[l]));
    let m = l;
    while (m < n - 1 && Math.abs(e[m]) > Number.EPSILON * largest) m++;
    for (let sweep = 0; m > l && Math.abs(e[l]) > Number.EPSILON * largest; sweep++) {
      if (sweep === 60) {
        throw new ModalscopeError(
          "The eigenvalues did not converge in 60 sweeps.",
          "The matrix may hold NaN.",
        );
      }
      const g = d[l];
      let p = (d[l + 1] - g) / (2 * e[l]);
      const r = p < 0 ? -Math.hypot(p, 1) : Math.hypot(p, 1);
      d[l] = e[l] / (p + r);
      d[l + 1] = e[l] * (p + r);
      const next = d[l + 1];
      const h = g - d[l];
      for (let i = l + 2; i < n; i++) d[i] -= h;
      shift += h;
      p = d[m];
      let c = 1;
      let c2 = 1;
      let c3 = 1;
      let s = 0;
      let s2 = 0;
      const edge = e[l + 1];
      for (let i = m - 1; i >= l; i--) {
        c3 = c2;
        c2 = c;
        s2 = s;
        const ce = c * e[i];
        const cp = c * p;
        const hyp = Math.hypot(p, e[i]);
        e[i + 1] = s * hyp;
        s = e[i] / hyp;
        c = p / hyp;
        p = c * d[i] - s * ce;
        d[i + 1] = cp + s * (c * ce + s * d[i]);
        if (v !== undefined) rotateRows(v, i * n, n, c, s);
      }
      p = (-s * s2 * c3 * edge * e[l]) / next;
      e[l] = s * p;
      d[l] = c * p;
    }
    d[l] += shift;
    e[l] = 0;
  }
}

function rotateRows(v: Float64Array, start: number, n: number, c: number, s: number): void {
  for (let k = start; k < start + n; k++) {
    const x = v[k + n];
    const y = v[k];
    v[k + n] = s * y + c * x;
    v[k] = c * y - s * x;
  }
}

function sortedPairs(values: Float64Array, rows: Float64Array, n: number): SymmetricEigen {
  const order = Array.from(values.keys()).sort((i, j) => values[j] - values[i]);
  const vectors = zeros(n, n);
  order.forEach((from, to) => {
    vectors.data.set(rows.subarray(from * n, (from + 1) * n), to * n);
  });
  return { values: Float64Array.from(order, (i) => values[i]), vectors };
}
