/** Ridge classifiers by the dual problem: features may be many more than samples. */
import { ModalscopeError } from "../../errors.js";
import { cholesky, solveCholesky } from "../linalg/cholesky.js";
import { columnMeans, type Matrix } from "../linalg/matrix.js";
import { gram, multiply, multiplyTransposed } from "../linalg/products.js";

/**
 * Scores of held-out samples, `(test, targets)`, from a ridge regression with an offset. Features are standardised by the
 * training samples; the penalty λ is `penalty` times the mean squared norm of these, so that it means the same for
 * every width.
 * @param targets `(train, targets)`: one-hot classes, of several labellings side by side.
 */
export function ridgeScores(train: Matrix, targets: Matrix, test: Matrix, penalty: number): Matrix {
  const [n, columns] = targets.shape;
  const standardise = standardiser(train);
  const [x, held] = [standardise(train), standardise(test)];
  const kernel = gram(x);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += kernel.data[i * n + i];
  if (trace === 0)
    throw new ModalscopeError("All samples have the same features.", "Nothing can be read off them.");
  for (let i = 0; i < n; i++) kernel.data[i * n + i] += (penalty * trace) / n;
  const offsets = columnMeans(targets);
  const centred = { data: targets.data.map((v, i) => v - offsets[i % columns]), shape: targets.shape };
  const weights = solveCholesky(cholesky(kernel, "The samples' kernel with its penalty"), centred);
  const scores = multiply(multiplyTransposed(held, x), weights);
  return { data: scores.data.map((v, i) => v + offsets[i % columns]), shape: scores.shape };
}

/** Standardisation by the training samples; a feature that is constant among them becomes 0. */
function standardiser(train: Matrix): (x: Matrix) => Matrix {
  const [n, d] = train.shape;
  const mean = columnMeans(train);
  const scale = new Float64Array(d);
  train.data.forEach((v, i) => {
    scale[i % d] += (v - mean[i % d]) ** 2 / n;
  });
  for (let j = 0; j < d; j++) scale[j] = scale[j] > 0 ? 1 / Math.sqrt(scale[j]) : 0;
  return ({ data, shape }) => ({ data: data.map((v, i) => (v - mean[i % d]) * scale[i % d]), shape });
}
