import { ModalscopeError } from "../../errors.js";
import { checkOptions, flag, type OptionChecks } from "../../options.js";
import { cholesky, logDeterminant } from "../linalg/cholesky.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike, zeros } from "../linalg/matrix.js";
import { gram } from "../linalg/products.js";
import { digamma } from "../statistics/distributions.js";

/**
 * Bias of the plug-in entropy of a Gaussian in `d` dimensions from the unbiased covariance of `n` rows, bits:
 * `½[Σ_{i=1..d} ψ((n−i)/2) + d·ln(2/(n−1))]/ln 2` (Misra, Singh and Demchuk 2005; negative).
 * @throws ModalscopeError unless n > d.
 */
export function entropyBias(d: number, n: number): number {
  if (!(n > d)) {
    throw new ModalscopeError(
      `${n} rows in ${d} dimensions have a singular covariance.`,
      "",
      `Use over ${d} rows.`,
    );
  }
  let sum = d * Math.log(2 / (n - 1));
  for (let i = 1; i <= d; i++) sum += digamma((n - i) / 2);
  return sum / (2 * Math.LN2);
}

/** Bias of the plug-in mutual information of Gaussians in `d1` and `d2` dimensions from `n` rows, bits; positive. */
export function informationBias(d1: number, d2: number, n: number): number {
  return entropyBias(d1, n) + entropyBias(d2, n) - entropyBias(d1 + d2, n);
}

export interface InformationOptions {
  /** Subtract the plug-in's bias and hold the result at 0 or more. Default true. */
  readonly correct?: boolean;
}

const INFORMATION_OPTIONS: OptionChecks<InformationOptions> = { correct: flag };

/**
 * Gaussian mutual information `½ log₂(|Σ_A||Σ_B|/|Σ_AB|)` of paired rows `a (n, p)` and `b (n, q)`, bits. With Gaussian
 * marginals it is a lower bound of the true information.
 * @throws ModalscopeError when n ≤ p + q or a covariance is singular.
 */
export function gaussianInformation(a: MatrixLike, b: MatrixLike, options: InformationOptions = {}): number {
  checkOptions("gaussianInformation", options, INFORMATION_OPTIONS);
  const { correct = true } = options;
  const [x, y] = [asMatrix(a, "The first variable"), asMatrix(b, "The second variable")];
  const [n, p] = x.shape;
  checkSame("gaussianInformation", y.shape[0], n, "rows");
  const q = y.shape[1];
  const bias = informationBias(p, q, n);
  // One factor gives all: its leading block is A's, and the rest is B's given A.
  const joint = cholesky(covarianceOf([x, y]), "The covariance of both variables");
  const own = cholesky(covarianceOf([y]), "The covariance of the second variable");
  let logRest = 0;
  for (let i = p; i < p + q; i++) logRest += 2 * Math.log(joint.data[i * (p + q) + i]);
  const bits = (logDeterminant(own) - logRest) / (2 * Math.LN2);
  return correct ? Math.max(bits - bias, 0) : bits;
}

/** Unbiased covariance of the parts' columns side by side. */
export function covarianceOf(parts: readonly Matrix[]): Matrix {
  const variables = centredVariables(parts);
  const out = gram(variables);
  const n = variables.shape[1];
  for (let i = 0; i < out.data.length; i++) out.data[i] /= n - 1;
  return out;
}

/** The parts' columns less their means, one to a row: `(d, n)`. */
function centredVariables(parts: readonly Matrix[]): Matrix {
  const n = parts[0].shape[0];
  const out = zeros(
    parts.reduce((sum, { shape }) => sum + shape[1], 0),
    n,
  );
  let variable = 0;
  for (const { data, shape } of parts) {
    checkSame("covarianceOf", shape[0], n, "rows");
    const width = shape[1];
    for (let j = 0; j < width; j++, variable++) {
      const start = variable * n;
      let mean = 0;
      for (let i = 0; i < n; i++) mean += data[i * width + j];
      mean /= n;
      for (let i = 0; i < n; i++) out.data[start + i] = data[i * width + j] - mean;
    }
  }
  return out;
}
