import { cholesky, solveLower } from "../linalg/cholesky.js";
import { symmetricEigen } from "../linalg/eigen.js";
import { columnMeans, type Matrix, transpose, zeros } from "../linalg/matrix.js";
import { multiply, multiplyTransposed } from "../linalg/products.js";
import { randomSubspace } from "../linalg/subspace.js";
import { covarianceOf } from "./mutual-information.js";

/** Axes of independent components: `s = W·L⁻¹·(x − mean)` has covariance I. */
export interface IndependentAxes {
  /** `(d)`. */
  readonly mean: Float64Array;
  /** L `(d, d)`, the covariance's Cholesky factor. */
  readonly scale: Matrix;
  /** W `(d, d)`, a rotation; each row an axis of the whitened space. */
  readonly rotation: Matrix;
  /** Whether the fixed point was reached; in a Gaussian sample there are no axes to find. */
  readonly converged: boolean;
}

const tolerance = 1e-6;
const maxSteps = 300;

/**
 * Symmetric FastICA with the log cosh contrast (Hyvärinen 1999) of rows `x (n, d)`.
 * @throws ModalscopeError when the covariance is singular.
 */
export function fastIca(x: Matrix, seed = 0): IndependentAxes {
  const [n, d] = x.shape;
  const mean = columnMeans(x);
  const scale = cholesky(covarianceOf([x]), "The covariance of the sample");
  /** `(d, n)`. */
  const white = solveLower(scale, transpose(shift(x, mean, -1)));
  const rows = transpose(white);
  let rotation = randomSubspace(d, d, seed);
  for (let step = 0; step < maxSteps; step++) {
    const slopes = multiplyTransposed(rotation, rows);
    const curvature = new Float64Array(d);
    for (let k = 0; k < slopes.data.length; k++) {
      slopes.data[k] = Math.tanh(slopes.data[k]);
      curvature[Math.floor(k / n)] += (1 - slopes.data[k] ** 2) / n;
    }
    const next = multiplyTransposed(slopes, white);
    for (let k = 0; k < next.data.length; k++) {
      next.data[k] = next.data[k] / n - curvature[Math.floor(k / d)] * rotation.data[k];
    }
    const turned = nearestRotation(next);
    const moved = largestTurn(rotation, turned);
    rotation = turned;
    if (moved < tolerance) return { mean, scale, rotation, converged: true };
  }
  return { mean, scale, rotation, converged: false };
}

/** Components of rows `x (n, d)` on the axes. */
export function toComponents({ mean, scale, rotation }: IndependentAxes, x: Matrix): Matrix {
  const white = transpose(solveLower(scale, transpose(shift(x, mean, -1))));
  return multiplyTransposed(white, rotation);
}

/** Rows with the given components `(n, d)`: the inverse of {@link toComponents}. */
export function fromComponents({ mean, scale, rotation }: IndependentAxes, components: Matrix): Matrix {
  return shift(multiplyTransposed(multiply(components, rotation), scale), mean, 1);
}

function shift(x: Matrix, mean: Float64Array, sign: number): Matrix {
  return { data: x.data.map((value, k) => value + sign * mean[k % mean.length]), shape: x.shape };
}

/** `(A·Aᵀ)^−½·A`. */
function nearestRotation(a: Matrix): Matrix {
  const { values, vectors } = symmetricEigen(multiplyTransposed(a, a));
  const [d] = a.shape;
  const scaled = zeros(d, d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) scaled.data[i * d + j] = vectors.data[i * d + j] / Math.sqrt(values[i]);
  }
  return multiply(multiply(transpose(vectors), scaled), a);
}

/** `max_i |1 − |w_i·w'_i||`: 0 when every axis stays, up to its sign. */
function largestTurn(before: Matrix, after: Matrix): number {
  const [d] = before.shape;
  let most = 0;
  for (let i = 0; i < d; i++) {
    let cosine = 0;
    for (let j = 0; j < d; j++) cosine += before.data[i * d + j] * after.data[i * d + j];
    most = Math.max(most, Math.abs(1 - Math.abs(cosine)));
  }
  return most;
}
