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

/**
 * Standardisation by the training samples; a feature that is constant among them would become 0 and is left out: of sparse
 * features those are most.
 */
function standardiser(train: Matrix): (x: Matrix) => Matrix {
  const [n, d] = train.shape;
  const mean = columnMeans(train);
  const variance = new Float64Array(d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) variance[j] += (train.data[i * d + j] - mean[j]) ** 2 / n;
  const kept = Int32Array.from(variance.keys()).filter((j) => variance[j] > 0);
  const scale = Float64Array.from(kept, (j) => 1 / Math.sqrt(variance[j]));
  return ({ data, shape: [rows] }) => {
    const out = new Float64Array(rows * kept.length);
    for (let i = 0; i < rows; i++)
      for (let c = 0; c < kept.length; c++)
        out[i * kept.length + c] = (data[i * d + kept[c]] - mean[kept[c]]) * scale[c];
    return { data: out, shape: [rows, kept.length] };
  };
}
