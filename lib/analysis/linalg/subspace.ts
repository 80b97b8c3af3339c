import { ModalscopeError } from "../../errors.js";
import { seeded } from "../../random.js";
import { tensor } from "../../tensor.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike, squaredNorm, zeros } from "./matrix.js";
import { multiply, multiplyTransposed } from "./products.js";
import { thinSvd } from "./svd.js";
import { extendBasis, fillNormal } from "./top-eigen.js";

// A subspace is its basis: a matrix (k, d) with orthonormal rows.

/**
 * Orthonormal basis of the rows' span, in their order.
 * @throws ModalscopeError when the rows are linearly dependent, so that no basis of their count exists.
 */
export function orthonormalRows(x: MatrixLike): Matrix {
  const rows = asMatrix(x, "The basis");
  const [k, d] = rows.shape;
  const refuse = (): never => {
    throw new ModalscopeError(
      `The ${k} rows of length ${d} are linearly dependent.`,
      "Their span has fewer dimensions.",
      "Leave the dependent rows out.",
    );
  };
  return k > d ? refuse() : extendBasis(zeros(0, d), rows, refuse);
}

/** @throws ModalscopeError unless the rows of `basis` are orthonormal to 1e-4 (float32 storage passes). */
export function checkBasis(basis: Matrix): void {
  const [k] = basis.shape;
  const products = multiplyTransposed(basis, basis);
  let worst = 0;
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < k; j++)
      worst = Math.max(worst, Math.abs(products.data[i * k + j] - (i === j ? 1 : 0)));
  }
  if (worst > 1e-4) {
    throw new ModalscopeError(
      `The basis is not orthonormal: an inner product is off by ${worst.toPrecision(2)}.`,
      "A projection with it would stretch what it projects.",
      "Pass it through orthonormalRows first.",
    );
  }
}

/** A uniformly random subspace `(k, d)`: the control for a chosen one. */
export function randomSubspace(k: number, d: number, seed: number): Matrix {
  const start = zeros(k, d);
  fillNormal(start.data, seeded(seed));
  return orthonormalRows(start);
}

/** Coordinates `(n, k)` of the rows of `x (n, d)` in the basis `(k, d)`. */
export function coordinates(x: MatrixLike, basis: MatrixLike): Matrix {
  return multiplyTransposed(asMatrix(x, "The data"), asMatrix(basis, "The basis"));
}

/** `x P_Z = (x V_Zᵀ) V_Z`: each row's part inside the subspace, `(n, d)`. */
export function projectOnto(x: MatrixLike, basis: MatrixLike): Matrix {
  return multiply(coordinates(x, basis), asMatrix(basis, "The basis"));
}

/** `x P_{Z⊥} = x − x P_Z`: each row's part outside the subspace, `(n, d)`. */
export function ablate(x: MatrixLike, basis: MatrixLike): Matrix {
  const rows = asMatrix(x, "The data");
  const inside = projectOnto(rows, basis);
  return tensor(
    rows.data.map((value, i) => value - inside.data[i]),
    rows.shape,
  );
}

/** Cosines of the principal angles between two subspaces of ℝᵈ, largest first: the singular values of `A·Bᵀ`. */
export function principalCosines(a: MatrixLike, b: MatrixLike): Float64Array {
  const [first, second] = [asMatrix(a, "The first basis"), asMatrix(b, "The second basis")];
  checkSame("principalCosines", first.shape[1], second.shape[1], "dimensions");
  checkBasis(first);
  checkBasis(second);
  return thinSvd(multiplyTransposed(first, second)).singularValues.map((c) => Math.min(c, 1));
}

/** Principal angles in radians, smallest first. Below about 1e-7 they are rounding noise of the arc cosine. */
export function principalAngles(a: MatrixLike, b: MatrixLike): Float64Array {
  return principalCosines(a, b).map((c) => Math.acos(c));
}

/** Result of {@link subspaceOverlap}. */
export interface SubspaceOverlap {
  /** `‖A·Bᵀ‖²_F / min(k_A, k_B)`: mean squared cosine; 1 when one holds the other, 0 when orthogonal. */
  readonly overlap: number;
  /** Mean over independent random subspaces: `max(k_A, k_B)/d`. */
  readonly chance: number;
  /** Mean cosine of the principal angles, another measure in use under the same name. */
  readonly meanCosine: number;
}

/** Overlap of two subspaces. */
export function subspaceOverlap(a: MatrixLike, b: MatrixLike): SubspaceOverlap {
  const cosines = principalCosines(a, b);
  const [first, second] = [asMatrix(a), asMatrix(b)];
  return {
    overlap: squaredNorm(cosines) / cosines.length,
    chance: Math.max(first.shape[0], second.shape[0]) / first.shape[1],
    meanCosine: cosines.reduce((sum, c) => sum + c, 0) / cosines.length,
  };
}
