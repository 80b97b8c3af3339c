/** Bootstrap over images, for statistics that are no mean over samples. */
import { bootstrap, type Estimate } from "../../analysis/index.js";
import type { Rows } from "./parts.js";

const DRAWS = 200;

/**
 * A statistic of samples, whose images are drawn with replacement; draws where it is NaN are left out. Draws repeat
 * images, which biases a statistic that grows with their number: the interval reaches to the estimate at least.
 */
export function bootstrapImages(
  clusters: readonly string[],
  statistic: (samples: readonly number[]) => number,
): Estimate {
  const members = new Map<string, number[]>();
  clusters.forEach((key, i) => {
    members.set(key, [...(members.get(key) ?? []), i]);
  });
  const groups = [...members.values()];
  const found = bootstrap(groups.length, (drawn) => statistic(Array.from(drawn, (g) => groups[g]).flat()), {
    draws: DRAWS,
  });
  const { estimate, low, high } = found;
  return { ...found, low: Math.min(low, estimate), high: Math.max(high, estimate) };
}

/** Mean of some rows, `(layers)`; NaN of none. */
export function meanOfRows(rows: Rows, some: readonly number[] = rows.map((_, i) => i)): number[] {
  return rows[0].map((_, l) => some.reduce((sum, i) => sum + rows[i][l], 0) / some.length);
}

export const meanOver = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
