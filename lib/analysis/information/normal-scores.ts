import { type Matrix, transpose, zeros } from "../linalg/matrix.js";
import { normalQuantile } from "../statistics/distributions.js";

/** A monotone map of one axis onto normal scores: knots, increasing in both. */
interface AxisScores {
  readonly values: Float64Array;
  readonly scores: Float64Array;
}

/**
 * Normal scores `Φ⁻¹((rank − ½)/n)` of every column of `fit (n, d)`, as a map for other rows: linear between the values it
 * was fitted on, constant outside of them. Equal values get their mean rank.
 */
export function fitNormalScores(fit: Matrix): (x: Matrix) => Matrix {
  const [n, d] = fit.shape;
  const byColumn = transpose(fit);
  const axes = Array.from({ length: d }, (_, j) => axisScores(byColumn.data.slice(j * n, (j + 1) * n)));
  return ({ data, shape }) => {
    const out = zeros(shape[0], d);
    for (let k = 0; k < data.length; k++) out.data[k] = interpolate(axes[k % d], data[k]);
    return out;
  };
}

function axisScores(column: Float64Array): AxisScores {
  const sorted = column.sort();
  const n = sorted.length;
  const values: number[] = [];
  const scores: number[] = [];
  for (let first = 0, next = 0; first < n; first = next) {
    while (next < n && sorted[next] === sorted[first]) next++;
    values.push(sorted[first]);
    scores.push(normalQuantile((first + next) / (2 * n)));
  }
  return { values: Float64Array.from(values), scores: Float64Array.from(scores) };
}

function interpolate({ values, scores }: AxisScores, x: number): number {
  const last = values.length - 1;
  if (x <= values[0]) return scores[0];
  if (x >= values[last]) return scores[last];
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= x) low = middle;
    else high = middle;
  }
  const share = (x - values[low]) / (values[high] - values[low]);
  return scores[low] + share * (scores[high] - scores[low]);
}
