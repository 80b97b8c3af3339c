/**
 * Intervals of means, ratios and rates whose units come in clusters (the questions about one image, the tokens of one
 * caption): the spread is that between clusters. Without clusters each unit is its own.
 */

import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  flag,
  groupKeys,
  number,
  numeric,
  type OptionChecks,
  optional,
  required,
} from "../../options.js";
import { checkSame } from "../linalg/matrix.js";
import { normalQuantile, studentQuantile } from "./distributions.js";
import { type Estimate, wilson } from "./intervals.js";

export interface ClusterOptions {
  /** Cluster of each unit, `(n)`. */
  readonly clusters?: ArrayLike<number | string>;
  /** Default 0.95. */
  readonly level?: number;
}

const CLUSTER_OPTIONS: OptionChecks<ClusterOptions> = { clusters: groupKeys, level: number(0, 1) };

/** Contribution of one cluster to the sums of a ratio. */
interface ClusterSum {
  part: number;
  whole: number;
}

/**
 * `Σ parts / Σ wholes` with the t interval of the linearised ratio over clusters (Cochran 1977, ch. 6):
 * `s² = m/(m−1) Σ_c (part_c − r·whole_c)² / (Σ whole)²`, m−1 degrees of freedom. `n` is the number of clusters.
 * @throws ModalscopeError with fewer than two clusters, and when the wholes sum to 0.
 */
export function ratioInterval(
  parts: ArrayLike<number>,
  wholes: ArrayLike<number>,
  options: ClusterOptions = {},
): Estimate {
  checkOptions("ratioInterval", options, CLUSTER_OPTIONS);
  const { clusters, level = 0.95 } = options;
  checkSame("ratioInterval", wholes.length, parts.length, "parts and wholes");
  return around(moments(sumsOf(parts, wholes, clusters)), level);
}

/** Mean with its t interval over clusters: {@link ratioInterval} of values that each count once. */
export function meanInterval(values: ArrayLike<number>, options?: ClusterOptions): Estimate {
  checkOptions("meanInterval", options ?? {}, CLUSTER_OPTIONS);
  return ratioInterval(values, ones(values.length), options);
}

/**
 * Share of flags that are true. Wilson's interval at the effective number of samples: n without clusters; with them
 * `p(1−p)/s²`, s² as in {@link ratioInterval}, at most n, and the number of clusters where all flags are alike.
 * `n` is the number of flags.
 */
export function rateInterval(flags: ArrayLike<number | boolean>, options: ClusterOptions = {}): Estimate {
  checkOptions("rateInterval", options, CLUSTER_OPTIONS);
  const { clusters, level = 0.95 } = options;
  const values = Array.from(flags, Number);
  const n = values.length;
  const successes = values.reduce((sum, value) => sum + value, 0);
  if (!clusters) return wilson(successes, n, level);
  const { ratio, variance, count } = moments(sumsOf(values, ones(n), clusters));
  const spread = ratio * (1 - ratio);
  const effective = spread === 0 ? count : Math.min(n, spread / variance);
  return { ...wilson(ratio * effective, effective, level), estimate: ratio, n };
}

/**
 * Mean of differences that lie within `±reach`, such as those of two rates on the same units. Two made-up clusters, one all
 * `reach` and one all `−reach`, are added for the interval, so that equal arms do not give an empty one: for paired flags
 * this is Bonett & Price's (2012) adjusted Wald interval, with t for z. `n` is the number of clusters.
 */
export function rateDifferenceInterval(
  differences: ArrayLike<number>,
  options: ClusterOptions & { readonly reach?: number } = {},
): Estimate {
  checkOptions("rateDifferenceInterval", options, { ...CLUSTER_OPTIONS, reach: numeric });
  const { clusters, level = 0.95, reach = 1 } = options;
  const sums = sumsOf(differences, ones(differences.length), clusters);
  const adjusted = around(moments(withPseudoClusters(sums, [reach, -reach])), level);
  return { ...clamped(adjusted, moments(sums).ratio, reach), n: sums.length };
}

/** Values of one group and their clusters. */
export interface Group {
  readonly values: ArrayLike<number>;
  readonly clusters?: ArrayLike<number | string>;
}

/**
 * Mean of one group less the mean of another, independent one: Welch's t interval over clusters, degrees of freedom rounded
 * down. `n` is the number of clusters of the smaller group.
 * @param rates the values are 0 or 1: each group then gets one cluster of each for the interval (Agresti & Caffo 2000).
 */
export function groupDifferenceInterval(
  first: Group,
  second: Group,
  options: { readonly rates?: boolean; readonly level?: number } = {},
): Estimate {
  checkOptions("groupDifferenceInterval", options, { rates: flag, level: number(0, 1) });
  const { rates = false, level = 0.95 } = options;
  const sums = [first, second].map(({ values, clusters }) => sumsOf(values, ones(values.length), clusters));
  const [a, b] = sums.map((own) => moments(rates ? withPseudoClusters(own, [1, 0]) : own));
  const variance = a.variance + b.variance;
  const df = variance ** 2 / (a.variance ** 2 / (a.count - 1) + b.variance ** 2 / (b.count - 1));
  const ratio = a.ratio - b.ratio;
  const least = Math.min(a.count, b.count) - 1;
  const found = around({ ratio, variance, count: 1 + Math.max(least, Math.floor(df || 0)) }, level);
  const estimate = moments(sums[0]).ratio - moments(sums[1]).ratio;
  return { ...(rates ? clamped(found, estimate, 1) : found), n: Math.min(...sums.map((own) => own.length)) };
}

/**
 * The interval of a difference between what was chosen and `nulls` random ones like it, of which it is to be told:
 * where the nulls differ among themselves by more than sampling, one more of them would too. The wider of the given
 * interval and the prediction interval for one more null, `± t_{m−1} s √(1 + 1/m)` with s the nulls' standard deviation.
 * @param difference chosen less the nulls' mean, over units. @param nulls `(m)`, each null's own value, in the same unit.
 */
export function beyondNulls(difference: Estimate, nulls: ArrayLike<number>): Estimate {
  const m = nulls.length;
  if (m < 2) throw new ModalscopeError(`${m} nulls have no spread.`, "", "Draw five or more.");
  const mean = Array.from(nulls).reduce((sum, value) => sum + value, 0) / m;
  const variance = Array.from(nulls).reduce((sum, value) => sum + (value - mean) ** 2, 0) / (m - 1);
  const half = studentQuantile(0.5 + difference.level / 2, m - 1) * Math.sqrt(variance * (1 + 1 / m));
  const { estimate, low, high } = difference;
  return { ...difference, low: Math.min(low, estimate - half), high: Math.max(high, estimate + half) };
}

/**
 * The smallest effect that a sample like this one would have shown: the distance from a limit at which an interval of this
 * half width lies beyond it with probability `power`: `half (1 + z_power / z_level)`.
 * @param half distance from the estimate to the end of its interval on the limit's side.
 */
export function detectableFromInterval(
  half: number,
  options: { readonly level?: number; readonly power?: number } = {},
): number {
  checkOptions("detectableFromInterval", options, { level: number(0, 1), power: number(0, 1) });
  const { level = 0.95, power = 0.8 } = options;
  return half * (1 + normalQuantile(power) / normalQuantile(0.5 + level / 2));
}

export interface DetectableRateOptions {
  /** 1 for effects that raise the rate, −1 for those that lower it. */
  readonly direction: 1 | -1;
  readonly power?: number;
}

const DETECTABLE_RATE_OPTIONS: OptionChecks<DetectableRateOptions> = {
  direction: required(
    optional("1 or -1", (v) => v === 1 || v === -1),
    "1 or -1",
  ),
  power: number(0, 1),
};

/**
 * The same for a rate and Wilson's interval, whose spread is that at the limit `t` when it is reached and that at the effect
 * when it is seen: `δ = z_level √(v(t)/n) + z_power √(v(t ± δ)/n)`, `v(p) = p(1−p)`. The interval's width says how much
 * fewer the samples count for their clusters.
 */
export function detectableRate(
  { estimate, low, high, n, level }: Estimate,
  limit: number,
  options: DetectableRateOptions,
): number {
  checkOptions("detectableRate", options, DETECTABLE_RATE_OPTIONS);
  const { direction, power = 0.8 } = options;
  const [detects, covers] = [normalQuantile(power), normalQuantile(0.5 + level / 2)];
  const spread = varianceOf(estimate);
  const design = spread === 0 ? 1 : Math.max(1, (((high - low) / 2 / covers) ** 2 * n) / spread);
  const error = (p: number): number => Math.sqrt((design * varianceOf(p)) / n);
  return fixedPoint((effect) => covers * error(limit) + detects * error(limit + direction * effect));
}

/**
 * The same for the difference of a rate from another, whose spread changes with the effect:
 * `δ = (z_level + z_power) √(s² + (v(p ± δ) − v(p))/n)` with s from the interval.
 * @param rate the rate p that the effect moves, and its samples n.
 */
export function detectableRateDifference(
  { low, high, level }: Estimate,
  rate: Estimate,
  options: DetectableRateOptions,
): number {
  checkOptions("detectableRateDifference", options, DETECTABLE_RATE_OPTIONS);
  const { direction, power = 0.8 } = options;
  const [detects, covers] = [normalQuantile(power), normalQuantile(0.5 + level / 2)];
  const squared = ((high - low) / 2 / covers) ** 2;
  const error = (effect: number): number => {
    const change = varianceOf(rate.estimate + direction * effect) - varianceOf(rate.estimate);
    return Math.sqrt(Math.max(0, squared + change / rate.n));
  };
  return fixedPoint((effect) => (covers + detects) * error(effect));
}

/** Of one flag; 0 beyond 0 and 1. */
const varianceOf = (p: number): number => Math.max(0, p * (1 - p));

function fixedPoint(step: (effect: number) => number): number {
  let effect = 0;
  for (let i = 0; i < 50; i++) effect = (effect + step(effect)) / 2;
  return effect;
}

function ones(n: number): Float64Array {
  return new Float64Array(n).fill(1);
}

function sumsOf(
  parts: ArrayLike<number>,
  wholes: ArrayLike<number>,
  clusters: ArrayLike<number | string> | undefined,
): ClusterSum[] {
  if (clusters) checkSame("clusters", clusters.length, parts.length, "clusters and units");
  const found = new Map<number | string, ClusterSum>();
  for (let i = 0; i < parts.length; i++) {
    const key = clusters ? clusters[i] : i;
    const own = found.get(key);
    if (own) {
      own.part += parts[i];
      own.whole += wholes[i];
    } else found.set(key, { part: parts[i], whole: wholes[i] });
  }
  return [...found.values()];
}

interface Moments {
  readonly ratio: number;
  readonly variance: number;
  readonly count: number;
}

function moments(sums: readonly ClusterSum[]): Moments {
  const count = sums.length;
  if (count < 2)
    throw new ModalscopeError(
      `An interval over clusters got ${count} of them.`,
      "Their spread is what it is made from.",
      "Use two clusters or more.",
    );
  const whole = sums.reduce((sum, own) => sum + own.whole, 0);
  if (whole === 0) throw new ModalscopeError("The wholes of a ratio sum to 0.");
  const ratio = sums.reduce((sum, own) => sum + own.part, 0) / whole;
  const squares = sums.reduce((sum, own) => sum + (own.part - ratio * own.whole) ** 2, 0);
  return { ratio, variance: ((count / (count - 1)) * squares) / whole ** 2, count };
}

function around({ ratio, variance, count }: Moments, level: number): Estimate {
  const half = studentQuantile(0.5 + level / 2, count - 1) * Math.sqrt(variance);
  return { estimate: ratio, low: ratio - half, high: ratio + half, n: count, level };
}

/** One more cluster of the usual size for each of `values`. */
function withPseudoClusters(sums: readonly ClusterSum[], values: readonly number[]): ClusterSum[] {
  const size = sums.reduce((sum, own) => sum + own.whole, 0) / sums.length;
  return [...sums, ...values.map((value) => ({ part: value * size, whole: size }))];
}

/** An adjusted interval around the plain estimate, within ±reach. */
function clamped({ low, high, level, n }: Estimate, estimate: number, reach: number): Estimate {
  return {
    estimate,
    low: Math.max(-reach, Math.min(low, estimate)),
    high: Math.min(reach, Math.max(high, estimate)),
    n,
    level,
  };
}
