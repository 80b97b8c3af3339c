/** Measures beside what shuffled data give. */

/** A measure beside its floor: what it is when what it measures is shuffled away. */
export interface AgainstShuffles {
  readonly value: number;
  /** Mean over the shuffles. */
  readonly floor: number;
  /** (draws): of each shuffle. */
  readonly null: Float64Array;
  /** Share of the shuffles, the observed arrangement counted in, that are at least as extreme. */
  readonly p: number;
}

/** @param sign 1 where what is looked for makes the measure larger, −1 where smaller. */
export function againstShuffles(
  value: number,
  shuffled: ArrayLike<number>,
  sign: 1 | -1 = 1,
): AgainstShuffles {
  const nulls = Float64Array.from(shuffled);
  // Arrangements that equal the observed one up to rounding are as extreme as it is.
  const extreme = nulls.reduce((n, other) => n + (sign * (other - value) >= -1e-12 ? 1 : 0), 0);
  return {
    value,
    floor: nulls.reduce((sum, v) => sum + v, 0) / nulls.length,
    null: nulls,
    p: (1 + extreme) / (1 + nulls.length),
  };
}
