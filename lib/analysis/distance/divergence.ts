import { ModalscopeError } from "../../errors.js";
import { asMatrix, checkSame, columnMeans, type MatrixLike } from "../linalg/matrix.js";

/** Probabilities from logits, `softmax(logits)`, without overflow. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) largest = Math.max(largest, logits[i]);
  const out = Float64Array.from(logits, (value) => Math.exp(value - largest));
  const sum = out.reduce((total, value) => total + value, 0);
  return out.map((value) => value / sum);
}

/** Entropy in bits of a distribution. */
export function entropy(p: ArrayLike<number>): number {
  checkDistribution(p, "p");
  let bits = 0;
  for (let i = 0; i < p.length; i++) if (p[i] > 0) bits -= p[i] * Math.log2(p[i]);
  return bits;
}

/** Kullback–Leibler divergence `Σ p log₂(p/q)` in bits; Infinity where q is 0 and p is not. */
export function klDivergence(p: ArrayLike<number>, q: ArrayLike<number>): number {
  checkPair(p, q);
  let bits = 0;
  for (let i = 0; i < p.length; i++) if (p[i] > 0) bits += p[i] * Math.log2(p[i] / q[i]);
  return Math.max(bits, 0);
}

/** Jensen–Shannon divergence `½KL(p‖a) + ½KL(q‖a)`, `a = (p+q)/2`, in bits: 0 to 1, summed over the vocabulary. */
export function jsDivergence(p: ArrayLike<number>, q: ArrayLike<number>): number {
  checkPair(p, q);
  let bits = 0;
  for (let i = 0; i < p.length; i++) {
    const middle = (p[i] + q[i]) / 2;
    if (p[i] > 0) bits += 0.5 * p[i] * Math.log2(p[i] / middle);
    if (q[i] > 0) bits += 0.5 * q[i] * Math.log2(q[i] / middle);
  }
  return Math.max(bits, 0);
}

/**
 * Fraction of variance unexplained, `Σ‖y−ŷ‖²/Σ‖y−ȳ‖²`, ȳ the mean of the rows: 0 for a perfect fit, 1 for ŷ=ȳ, more for worse.
 * @param y `(n, d)` what should come out. @param predicted `(n, d)` what does.
 */
export function unexplainedVariance(y: MatrixLike, predicted: MatrixLike): number {
  const [a, b] = [asMatrix(y, "The target"), asMatrix(predicted, "The prediction")];
  checkSame("unexplainedVariance", a.shape[0], b.shape[0], "rows");
  checkSame("unexplainedVariance", a.shape[1], b.shape[1], "columns");
  const mean = columnMeans(a);
  let error = 0;
  let variance = 0;
  a.data.forEach((value, i) => {
    error += (value - b.data[i]) ** 2;
    variance += (value - mean[i % mean.length]) ** 2;
  });
  if (variance === 0) throw new ModalscopeError("All target rows are the same.", "Their variance is 0.");
  return error / variance;
}

function checkPair(p: ArrayLike<number>, q: ArrayLike<number>): void {
  checkSame("The divergence", p.length, q.length, "outcomes");
  checkDistribution(p, "p");
  checkDistribution(q, "q");
}

/** Float32 softmaxes over large vocabularies sum to 1 within 1e-4. */
function checkDistribution(p: ArrayLike<number>, name: string): void {
  let sum = 0;
  let least = 0;
  for (let i = 0; i < p.length; i++) {
    sum += p[i];
    least = Math.min(least, p[i]);
  }
  if (!(Math.abs(sum - 1) <= 1e-4 && least >= 0)) {
    throw new ModalscopeError(
      `${name} sums to ${sum}${least < 0 ? ` and holds ${least}` : ""}.`,
      "Probabilities are at least 0 and sum to 1.",
      "Pass logits through softmax first.",
    );
  }
}
