import { ModalscopeError } from "../../errors.js";
import { checkOptions, flag } from "../../options.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike, zeros } from "../linalg/matrix.js";
import { gram } from "../linalg/products.js";

/**
 * Unbiased HSIC of two Gram matrices `(n, n)`, n > 3 (Song et al. 2012, eq. 5): with their diagonals set to 0,
 * `[tr(KL) + 1ᵀK1·1ᵀL1/((n−1)(n−2)) − 2·1ᵀKL1/(n−2)] / (n(n−3))`.
 */
export function unbiasedHsic(k: MatrixLike, l: MatrixLike): number {
  const [a, b] = [asMatrix(k, "The first Gram matrix"), asMatrix(l, "The second Gram matrix")];
  const n = checkGrams(a, b);
  if (n < 4) {
    throw new ModalscopeError(`The unbiased HSIC was asked of ${n} samples.`, "It needs at least four.");
  }
  const [rowsA, rowsB] = [offDiagonalSums(a), offDiagonalSums(b)];
  let trace = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) if (i !== j) trace += a.data[i * n + j] * b.data[i * n + j];
  }
  const sum = (x: Float64Array): number => x.reduce((total, value) => total + value, 0);
  const cross = rowsA.reduce((total, value, i) => total + value * rowsB[i], 0);
  return (trace + (sum(rowsA) * sum(rowsB)) / ((n - 1) * (n - 2)) - (2 * cross) / (n - 2)) / (n * (n - 3));
}

/** The usual, biased HSIC `tr(KHLH)/(n−1)²`, H = I − 11ᵀ/n. */
export function biasedHsic(k: MatrixLike, l: MatrixLike): number {
  const [a, b] = [asMatrix(k, "The first Gram matrix"), asMatrix(l, "The second Gram matrix")];
  const n = checkGrams(a, b);
  const centred = doubleCentred(a);
  let trace = 0;
  for (let i = 0; i < n * n; i++) trace += centred.data[i] * b.data[i];
  return trace / (n - 1) ** 2;
}

/**
 * Linear centred kernel alignment of two sets of features of the same samples, `x (n, d)` and `y (n, e)`, rows paired:
 * `HSIC(K, L)/√(HSIC(K, K)·HSIC(L, L))`, K = XXᵀ, L = YYᵀ.
 *
 * With few samples in many dimensions the biased form is near 1 for unrelated data; the debiased one is near 0 there, and
 * can be negative. NaN when the debiased HSIC of a side with itself is not positive: too little data to say.
 */
export function linearCka(
  x: MatrixLike,
  y: MatrixLike,
  options: { readonly debiased?: boolean } = {},
): number {
  checkOptions("linearCka", options, { debiased: flag });
  const { debiased = true } = options;
  const [a, b] = [gram(asMatrix(x, "The first features")), gram(asMatrix(y, "The second features"))];
  checkSame("linearCka", a.shape[0], b.shape[0], "samples");
  const hsic = debiased ? unbiasedHsic : biasedHsic;
  return hsic(a, b) / Math.sqrt(hsic(a, a) * hsic(b, b));
}

function checkGrams(a: Matrix, b: Matrix): number {
  const n = a.shape[0];
  if ([a.shape[1], b.shape[0], b.shape[1]].some((size) => size !== n)) {
    throw new ModalscopeError(
      `HSIC got matrices (${a.shape.join(", ")}) and (${b.shape.join(", ")}).`,
      "It takes Gram matrices (n, n) of the same samples.",
      "Pass features to linearCka instead.",
    );
  }
  return n;
}

function offDiagonalSums(a: Matrix): Float64Array {
  const n = a.shape[0];
  return Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) if (i !== j) sum += a.data[i * n + j];
    return sum;
  });
}

function doubleCentred(a: Matrix): Matrix {
  const n = a.shape[0];
  const rows = Float64Array.from(
    { length: n },
    (_, i) => a.data.subarray(i * n, (i + 1) * n).reduce((s, v) => s + v, 0) / n,
  );
  const whole = rows.reduce((sum, value) => sum + value, 0) / n;
  const out = zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) out.data[i * n + j] = a.data[i * n + j] - rows[i] - rows[j] + whole;
  }
  return out;
}
