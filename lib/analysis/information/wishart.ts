import type { Random } from "../../random.js";
import { type Matrix, transpose, zeros } from "../linalg/matrix.js";
import { gram, multiplyTransposed } from "../linalg/products.js";

/**
 * Unbiased covariance of `n` Gaussian rows, drawn without drawing the rows: Bartlett's decomposition of the Wishart
 * distribution with n−1 degrees of freedom.
 * @param factor Cholesky factor of the true covariance, `(d, d)`, d < n.
 */
export function drawCovariance(random: Random, factor: Matrix, n: number): Matrix {
  const d = factor.shape[0];
  const a = zeros(d, d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < i; j++) a.data[i * d + j] = random.normal();
    a.data[i * d + i] = Math.sqrt(drawChiSquared(random, n - 1 - i));
  }
  const scatter = gram(multiplyTransposed(factor, transpose(a)));
  for (let i = 0; i < scatter.data.length; i++) scatter.data[i] /= n - 1;
  return scatter;
}

/** χ² with `degrees` of freedom: Marsaglia and Tsang's (2000) gamma sampler; one degree is a squared normal. */
function drawChiSquared(random: Random, degrees: number): number {
  if (degrees === 1) return random.normal() ** 2;
  const d = degrees / 2 - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d * (1 - v + Math.log(v))) return 2 * d * v;
  }
}
