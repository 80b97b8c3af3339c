import { ModalscopeError } from "../../errors.js";
import { asMatrix, checkSame, columnMeans, type MatrixLike } from "../linalg/matrix.js";

/** Intraclass correlation ICC(1) of each dimension, and ways to say it in one number. */
export interface IntraclassCorrelation {
  /** `(d)`: each dimension's own ICC(1); NaN where a dimension does not vary at all. */
  readonly perDimension: Float64Array;
  /** Mean over the dimensions that vary: every dimension counts the same, whatever its scale. The headline. */
  readonly mean: number;
  /** Median over the dimensions that vary. */
  readonly median: number;
  /** From mean squares summed over dimensions: a few dimensions of large variance decide it. */
  readonly pooled: number;
}

/**
 * One-way random-effects intraclass correlation (Shrout & Fleiss 1979, with unequal groups):
 * `(MSB − MSW)/(MSB + (k₀−1)·MSW)`, `k₀ = (N − Σnᵢ²/N)/(g−1)`; between −1/(k₀−1) and 1.
 * With images as groups and their visual tokens as members: how alike the tokens of one image are.
 * @param x members `(N, d)`.
 * @param groups which group each member belongs to, `(N)`: any numbers.
 * @throws ModalscopeError with fewer than two groups, or no group of two.
 */
export function intraclassCorrelation(x: MatrixLike, groups: ArrayLike<number>): IntraclassCorrelation {
  const data = asMatrix(x, "The members");
  const [n, d] = data.shape;
  checkSame("intraclassCorrelation", groups.length, n, "group labels and members");
  const sizes = new Map<number, number>();
  for (let i = 0; i < n; i++) sizes.set(groups[i], (sizes.get(groups[i]) ?? 0) + 1);
  const g = sizes.size;
  if (g < 2 || n === g) {
    throw new ModalscopeError(
      `ICC(1) was asked of ${n} members in ${g} groups.`,
      "It compares variance between groups with variance within them: two groups, and one of two members, at least.",
    );
  }
  const k0 = (n - [...sizes.values()].reduce((sum, size) => sum + size * size, 0) / n) / (g - 1);
  // Row by row, since a column of a wide matrix is scattered over memory.
  const grand = columnMeans(data);
  const means = new Map([...sizes.keys()].map((group) => [group, new Float64Array(d)]));
  for (let i = 0; i < n; i++) {
    const mean = means.get(groups[i])!;
    const size = sizes.get(groups[i])!;
    for (let j = 0; j < d; j++) mean[j] += data.data[i * d + j] / size;
  }
  const between = new Float64Array(d);
  const within = new Float64Array(d);
  for (const [group, mean] of means) {
    const size = sizes.get(group)!;
    for (let j = 0; j < d; j++) between[j] += (size * (mean[j] - grand[j]) ** 2) / (g - 1);
  }
  for (let i = 0; i < n; i++) {
    const mean = means.get(groups[i])!;
    for (let j = 0; j < d; j++) within[j] += (data.data[i * d + j] - mean[j]) ** 2 / (n - g);
  }
  const icc = (b: number, w: number): number => (b - w) / (b + (k0 - 1) * w);
  // Means of equal values differ from them by rounding, which must not pass for variance.
  const perDimension = between.map((b, j) =>
    b + within[j] > 1e-24 * grand[j] ** 2 ? icc(b, within[j]) : Number.NaN,
  );
  const varying = perDimension.filter((value) => !Number.isNaN(value)).sort();
  const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
  const middle = varying.length / 2;
  return {
    perDimension,
    mean: total(varying) / varying.length,
    median: (varying[Math.ceil(middle) - 1] + varying[Math.floor(middle)]) / 2,
    pooled: icc(total(between), total(within)),
  };
}
