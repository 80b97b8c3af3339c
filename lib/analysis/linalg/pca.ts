import { ModalscopeError } from "../../errors.js";
import { asMatrix, centreRows, type Matrix, type MatrixLike, squaredNorm } from "./matrix.js";
import { multiplyTransposed } from "./products.js";
import { topRightSingular } from "./top-eigen.js";

/** Rows in coordinates along their directions of largest variance. */
export interface PrincipalComponents {
  /** `(n, k)`, columns of mean 0 in falling order of variance. */
  readonly scores: Matrix;
  /** `(k, d)`, orthonormal rows; signs are arbitrary. */
  readonly directions: Matrix;
  /** Share of the rows' variance that the `k` components keep, 0–1. */
  readonly kept: number;
}

/**
 * Principal components of rows `x (n, d)`, centred and not scaled.
 * @throws ModalscopeError when a value is not finite, and when rows span fewer than `k` dimensions.
 */
export function principalComponents(x: MatrixLike, k: number): PrincipalComponents {
  const centred = centreRows(asMatrix(x, "The rows"));
  const total = squaredNorm(centred.data);
  const [n, d] = centred.shape;
  if (!Number.isFinite(total))
    throw new ModalscopeError("The rows have values that are not finite.", "", "Leave those rows out.");
  if (!(Number.isInteger(k) && k >= 1 && k <= Math.min(n - 1, d)) || total === 0)
    throw new ModalscopeError(
      `${n} rows of ${d} dimensions${total === 0 ? ", all equal," : ""} have no ${k} principal components.`,
      "There are at most as many as dimensions, and one fewer than rows.",
    );
  const { vectors, singularValues } = topRightSingular(centred, k);
  return {
    scores: multiplyTransposed(centred, vectors),
    directions: vectors,
    kept: Math.min(squaredNorm(singularValues) / total, 1),
  };
}
