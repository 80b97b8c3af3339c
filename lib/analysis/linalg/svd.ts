import { Matrix as MlMatrix, SVD } from "ml-matrix";
import { symmetricEigenvalues } from "./eigen.js";
import { type Matrix, transpose, zeros } from "./matrix.js";
import { gram } from "./products.js";

/** `A = U·diag(σ)·Vᵀ` with `r = min(rows, columns)`; σ largest first. */
export interface ThinSvd {
  /** `(rows, r)`. */
  readonly left: Matrix;
  /** `(r)`. */
  readonly singularValues: Float64Array;
  /** `(r, columns)`: Vᵀ, the right singular vectors as rows. */
  readonly right: Matrix;
}

/** Thin singular value decomposition, accurate to machine precision; for a smaller side up to a few hundred. */
export function thinSvd(a: Matrix): ThinSvd {
  const [rows, columns] = a.shape;
  const svd = new SVD(toMl(a), { autoTranspose: true });
  const r = Math.min(rows, columns);
  const right = zeros(r, columns);
  const left = zeros(rows, r);
  const u = svd.leftSingularVectors;
  const v = svd.rightSingularVectors;
  for (let p = 0; p < r; p++) {
    for (let i = 0; i < rows; i++) left.data[i * r + p] = u.get(i, p);
    for (let j = 0; j < columns; j++) right.data[p * columns + j] = v.get(j, p);
  }
  return { left, singularValues: Float64Array.from(svd.diagonal.slice(0, r)), right };
}

/**
 * Singular values alone, largest first, as roots of the eigenvalues of the smaller side's Gram matrix. Fast (25 ms for
 * a smaller side of 256), but what lies below 1e-8 of the largest is noise: for entropies of spectra, not for ranks.
 */
export function singularValues(a: Matrix): Float64Array {
  const [rows, columns] = a.shape;
  const eigenvalues = symmetricEigenvalues(gram(rows <= columns ? a : transpose(a)));
  return eigenvalues.map((value) => Math.sqrt(Math.max(value, 0)));
}

/** Copy of `a` in ml-matrix's own form. */
export function toMl(a: Matrix): MlMatrix {
  return MlMatrix.from1DArray(a.shape[0], a.shape[1], a.data);
}
