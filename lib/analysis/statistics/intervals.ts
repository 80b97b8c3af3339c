import { mean, quantileSorted } from "simple-statistics";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, flags, integer, number, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import { checkSame } from "../linalg/matrix.js";
import { normalQuantile } from "./distributions.js";

/** A figure with its interval and what it rests on. */
export interface Estimate {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** Samples behind it. */
  readonly n: number;
  /** Coverage the interval aims at, as 0.95. */
  readonly level: number;
}

/** Options of {@link bootstrap}. */
export interface BootstrapOptions {
  /** Default 2000. */
  readonly draws?: number;
  /** Default 0.95. */
  readonly level?: number;
  /** Default 0. */
  readonly seed?: number;
}

const BOOTSTRAP_OPTIONS: OptionChecks<BootstrapOptions> = {
  draws: integer(1),
  level: number(0, 1),
  seed: integer(),
};

const BOOTSTRAP: OptionChecks<BootstrapOptions> = { draws: integer(1), level: number(0, 1), seed: integer() };

/**
 * Percentile bootstrap interval (Efron 1979) of any statistic of `n` units drawn with replacement. The unit is what was
 * sampled: the problem, not its tokens. With few units (under 15 or so) it is somewhat too narrow.
 * @param statistic of the units at these indices; a draw where it is NaN (no unit of a group in it, say) is left out.
 * @throws ModalscopeError when it is NaN in over half of the draws.
 */
export function bootstrap(
  n: number,
  statistic: (indices: Int32Array) => number,
  options: BootstrapOptions = {},
): Estimate {
  checkOptions("bootstrap", options, BOOTSTRAP);
  const { draws = 2000, level = 0.95, seed = 0 } = options;
  if (!(Number.isInteger(n) && n > 0)) throw new ModalscopeError(`The bootstrap got ${n} units.`);
  const random = seeded(seed);
  const indices = new Int32Array(n);
  const values: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    for (let i = 0; i < n; i++) indices[i] = random.int(n);
    const value = statistic(indices);
    if (!Number.isNaN(value)) values.push(value);
  }
  if (values.length < draws / 2) {
    throw new ModalscopeError(
      `The statistic is not a number in ${draws - values.length} of ${draws} draws.`,
      "An interval from the rest would mean little.",
      "Use more units, or a statistic that few of them define.",
    );
  }
  values.sort((a, b) => a - b);
  const estimate = statistic(Int32Array.from({ length: n }, (_, i) => i));
  const tail = (1 - level) / 2;
  return { estimate, low: quantileSorted(values, tail), high: quantileSorted(values, 1 - tail), n, level };
}

/** Mean with its bootstrap interval. */
export function bootstrapMean(values: ArrayLike<number>, options?: BootstrapOptions): Estimate {
  checkOptions("bootstrapMean", options ?? {}, BOOTSTRAP_OPTIONS);
  const all = Array.from(values);
  return bootstrap(all.length, (indices) => mean(Array.from(indices, (i) => all[i])), options);
}

/**
 * Ratio of two sums over units, with its bootstrap interval; NaN where the second sum is 0.
 * @param units each adds a part and a whole: of a text the hallucinated nouns and all of them, say.
 */
export function bootstrapRatio(
  units: readonly (readonly [part: number, whole: number])[],
  options?: BootstrapOptions,
): Estimate {
  checkOptions("bootstrapRatio", options ?? {}, BOOTSTRAP_OPTIONS);
  const ratio = (indices: Int32Array): number => {
    let part = 0;
    let whole = 0;
    for (const i of indices) {
      part += units[i][0];
      whole += units[i][1];
    }
    return whole === 0 ? Number.NaN : part / whole;
  };
  return bootstrap(units.length, ratio, options);
}

/**
 * Mean of values that come in clusters, such as the tokens of texts: clusters are drawn for the interval, not values.
 * @param clusters of each value, numbered from 0.
 * @param among the values that count; default all.
 */
export function clusteredMean(
  values: ArrayLike<number>,
  clusters: ArrayLike<number>,
  options: BootstrapOptions & { readonly among?: readonly boolean[] } = {},
): Estimate {
  checkOptions("clusteredMean", options, { ...BOOTSTRAP_OPTIONS, among: flags });
  const { among, ...draws } = options;
  checkSame("clusteredMean", clusters.length, values.length, "clusters");
  const units: [sum: number, count: number][] = [];
  for (let i = 0; i < values.length; i++) {
    const counts = among?.[i] ?? true;
    units[clusters[i]] ??= [0, 0];
    if (!counts) continue;
    units[clusters[i]][0] += values[i];
    units[clusters[i]][1]++;
  }
  return bootstrapRatio(units.filter(Boolean), draws);
}

/** Share of the flags that are true, with Wilson's interval. */
export function proportion(flags: readonly boolean[], level = 0.95): Estimate {
  return wilson(flags.filter(Boolean).length, flags.length, level);
}

/**
 * Wilson's score interval for a proportion: sensible at 0 and n successes too.
 * @throws ModalscopeError unless 0 ≤ successes ≤ n and n > 0.
 */
export function wilson(successes: number, n: number, level = 0.95): Estimate {
  if (!(n > 0 && successes >= 0 && successes <= n)) {
    throw new ModalscopeError(`A proportion of ${successes} in ${n} was asked for.`);
  }
  const z = normalQuantile(0.5 + level / 2);
  const p = successes / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  // At the ends one bound is exact, and rounding must not push it past the estimate.
  const low = successes === 0 ? 0 : centre - half;
  const high = successes === n ? 1 : centre + half;
  return { estimate: p, low, high, n, level };
}
