import { ModalscopeError } from "../../errors.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike } from "../linalg/matrix.js";

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
  const [n] = data.shape;
  checkSame("intraclassCorrelation", groups.length, n, "group labels and members");
  const members = new Map<number, number[]>();
  for (let i = 0; i < n; i++) {
    const own = members.get(groups[i]);
    if (own) own.push(i);
    else members.set(groups[i], [i]);
  }
  checkGroups(n, members.size);
  return correlationOf([...members.values()].map((own) => momentsOf(data, own)));
}

/**
 * Mean ICC(1) of members by their sample, with the samples drawn again and again, a sample that is drawn twice counting as two
 * groups: for intervals over samples. What a draw needs of a sample is computed once.
 * @param samples `(members, d)` each. @param draws samples of each draw, by number.
 * @returns `(draws)`
 * @throws ModalscopeError for a draw of fewer than two samples, or none of two members.
 */
export function resampledIcc(
  samples: readonly MatrixLike[],
  draws: readonly (readonly number[])[],
): Float64Array {
  const moments = samples.map((x) => {
    const data = asMatrix(x, "A sample's members");
    return momentsOf(
      data,
      Array.from({ length: data.shape[0] }, (_, i) => i),
    );
  });
  return Float64Array.from(draws, (own) => {
    const drawn = own.map((i) => moments[i]);
    checkGroups(
      drawn.reduce((sum, { size }) => sum + size, 0),
      drawn.length,
    );
    return correlationOf(drawn).mean;
  });
}

function checkGroups(members: number, groups: number): void {
  if (groups >= 2 && members !== groups) return;
  throw new ModalscopeError(
    `ICC(1) was asked of ${members} members in ${groups} groups.`,
    "It compares variance between groups with variance within them: two groups, and one of two members, at least.",
  );
}

/** A group as ICC(1) sees it. */
interface Moments {
  readonly size: number;
  /** `(d)` */
  readonly mean: Float64Array;
  /** `(d)`: sum of squared deviations from the mean. */
  readonly squares: Float64Array;
}

/** Of some rows of a matrix, row by row, since a column of a wide matrix is scattered over memory. */
function momentsOf({ data, shape: [, d] }: Matrix, rows: readonly number[]): Moments {
  const [mean, squares] = [new Float64Array(d), new Float64Array(d)];
  for (const i of rows) for (let j = 0; j < d; j++) mean[j] += data[i * d + j] / rows.length;
  for (const i of rows) for (let j = 0; j < d; j++) squares[j] += (data[i * d + j] - mean[j]) ** 2;
  return { size: rows.length, mean, squares };
}

function correlationOf(groups: readonly Moments[]): IntraclassCorrelation {
  const g = groups.length;
  const n = groups.reduce((sum, { size }) => sum + size, 0);
  const k0 = (n - groups.reduce((sum, { size }) => sum + size * size, 0) / n) / (g - 1);
  const d = groups[0].mean.length;
  const [grand, between, within] = [new Float64Array(d), new Float64Array(d), new Float64Array(d)];
  for (const { size, mean } of groups) for (let j = 0; j < d; j++) grand[j] += (size * mean[j]) / n;
  for (const { size, mean, squares } of groups)
    for (let j = 0; j < d; j++) {
      between[j] += (size * (mean[j] - grand[j]) ** 2) / (g - 1);
      within[j] += squares[j] / (n - g);
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
