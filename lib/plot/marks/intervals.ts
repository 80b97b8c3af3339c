/** Summaries of the samples at each position: a value and an interval. Samples that are not finite are left out. */
import { type OptionCheck, oneOf } from "../../options.js";
import { seeded } from "../../random.js";

/** Mean alone; mean with a 95% bootstrap interval; or median with quartiles. */
export type Band = "none" | "bootstrap" | "quartiles";

/** A value with its interval. */
export interface Summary {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Rows of samples, `(positions, samples)`. */
type Samples = readonly (readonly number[])[];

export const bands: Readonly<Record<Band, { readonly note: string; of(rows: Samples): Summary[] }>> = {
  none: { note: "mean", of: (rows) => rows.map(mean).map((value) => ({ value, low: value, high: value })) },
  bootstrap: { note: "mean and 95% bootstrap interval", of: (rows) => bootstrapMeans(rows) },
  quartiles: { note: "median and quartiles", of: (rows) => rows.map(quartiles) },
};

export const BAND: OptionCheck = oneOf(...Object.keys(bands));

/**
 * Percentile bootstrap of each position's mean. One draw of samples serves all positions, since a sample is
 * the same prompt at each of them. The same input always gives the same intervals.
 *
 * @param level share of resampled means inside the interval
 */
export function bootstrapMeans(rows: Samples, level = 0.95, resamples = 1000, seed = 0): Summary[] {
  const n = rows[0].length;
  const random = seeded(seed);
  const drawn = new Int32Array(n);
  const means = rows.map(() => new Float64Array(resamples));
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < n; i++) drawn[i] = random.int(n);
    for (let p = 0; p < rows.length; p++) means[p][r] = meanOf(rows[p], drawn);
  }
  return rows.map((row, p) => {
    const sorted = means[p].filter(Number.isFinite).sort();
    return {
      value: mean(row),
      low: quantile(sorted, (1 - level) / 2),
      high: quantile(sorted, (1 + level) / 2),
    };
  });
}

function meanOf(row: readonly number[], drawn: Int32Array): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < drawn.length; i++) {
    const value = row[drawn[i]];
    if (!Number.isFinite(value)) continue;
    sum += value;
    count++;
  }
  return sum / count;
}

function mean(row: readonly number[]): number {
  const kept = row.filter(Number.isFinite);
  return kept.reduce((a, b) => a + b, 0) / kept.length;
}

function quartiles(row: readonly number[]): Summary {
  const sorted = row.filter(Number.isFinite).sort((a, b) => a - b);
  return { value: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) };
}

/** Linear interpolation between order statistics (Hyndman & Fan's type 7); NaN of nothing. */
function quantile(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = p * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  return below + (at - Math.floor(at)) * (sorted[Math.ceil(at)] - below);
}
