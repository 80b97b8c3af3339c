import { mean } from "simple-statistics";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import { checkSame } from "../linalg/matrix.js";
import { binomial } from "./distributions.js";

/** Result of a permutation test. */
export interface PermutationTest {
  readonly statistic: number;
  /** The share of arrangements at least as extreme, the observed one counted in; two-sided unless said otherwise. */
  readonly p: number;
  /** The statistic of each arrangement. */
  readonly null: Float64Array;
}

/** Options of permutation tests. */
export interface PermutationOptions {
  /** Default 9999. */
  readonly draws?: number;
  /** Default 0. */
  readonly seed?: number;
}

export const PERMUTATION_OPTIONS: OptionChecks<PermutationOptions> = { draws: integer(1), seed: integer() };

/** Up to this many paired differences all sign patterns are gone through instead of drawn. */
const exhaustive = 14;

/**
 * Sign-flip test that the mean of paired differences is 0, two-sided; exact up to 14 pairs. Valid when each difference is
 * symmetric about 0 under the null.
 */
export function signFlipTest(
  differences: ArrayLike<number>,
  options: PermutationOptions = {},
): PermutationTest {
  checkOptions("signFlipTest", options, PERMUTATION_OPTIONS);
  const { draws = 9999, seed = 0 } = options;
  const values = Array.from(differences);
  if (values.length === 0) throw new ModalscopeError("The sign-flip test got no differences.");
  const n = values.length;
  const statistic = mean(values);
  const random = seeded(seed);
  const whole = n <= exhaustive;
  const nulls = Float64Array.from({ length: whole ? 2 ** n : draws }, (_, pattern) => {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const flip = whole ? (pattern >> i) & 1 : random.int(2);
      sum += flip === 1 ? -values[i] : values[i];
    }
    return sum / n;
  });
  return { statistic, p: twoSided(statistic, nulls, whole), null: nulls };
}

/** Permutation test that two groups have the same mean, two-sided. `statistic` is mean(a) − mean(b). */
export function groupDifferenceTest(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  options: PermutationOptions = {},
): PermutationTest {
  checkOptions("groupDifferenceTest", options, PERMUTATION_OPTIONS);
  const { draws = 9999, seed = 0 } = options;
  const all = [...Array.from(a), ...Array.from(b)];
  if (a.length === 0 || b.length === 0) throw new ModalscopeError("A group to compare is empty.");
  const difference = (values: readonly number[]): number =>
    mean(values.slice(0, a.length)) - mean(values.slice(a.length));
  const random = seeded(seed);
  const nulls = Float64Array.from({ length: draws }, () => difference(random.shuffle(all)));
  const statistic = difference(all);
  return { statistic, p: twoSided(statistic, nulls, false), null: nulls };
}

/**
 * Tests a statistic of paired rows against shuffled pairings, its noise floor. One-sided, large values extreme.
 * @param n rows. @param statistic with row i of the one side paired with row `order[i]` of the other.
 */
export function shuffledPairingTest(
  n: number,
  statistic: (order: readonly number[]) => number,
  options: PermutationOptions = {},
): PermutationTest {
  checkOptions("shuffledPairingTest", options, PERMUTATION_OPTIONS);
  const { draws = 999, seed = 0 } = options;
  const identity = Array.from({ length: n }, (_, i) => i);
  const random = seeded(seed);
  const observed = statistic(identity);
  const nulls = Float64Array.from({ length: draws }, () => statistic(random.shuffle(identity)));
  const extreme = nulls.reduce((count, value) => count + (value >= observed ? 1 : 0), 0);
  return { statistic: observed, p: (1 + extreme) / (1 + draws), null: nulls };
}

/** Arrangements that equal the observed one up to rounding are as extreme as it is. */
function twoSided(statistic: number, nulls: Float64Array, whole: boolean): number {
  const limit = Math.abs(statistic) * (1 - 1e-12);
  const extreme = nulls.reduce((count, value) => count + (Math.abs(value) >= limit ? 1 : 0), 0);
  return whole ? extreme / nulls.length : (1 + extreme) / (1 + nulls.length);
}

/** Two conditions on the same cases. */
export interface PairedProportions {
  /** Cases true under the first only, and under the second only. */
  readonly firstOnly: number;
  readonly secondOnly: number;
  readonly n: number;
  /** Difference of the two proportions, first less second. */
  readonly difference: number;
  /** Exact McNemar test (two-sided binomial on the cases that differ). */
  readonly p: number;
}

/** Compares two yes/no outcomes of the same cases, as answers changed by patching Z and by patching Z⊥. */
export function pairedProportions(first: readonly boolean[], second: readonly boolean[]): PairedProportions {
  checkSame("pairedProportions", first.length, second.length, "outcomes");
  if (first.length === 0) throw new ModalscopeError("There are no cases to compare.");
  const firstOnly = first.filter((value, i) => value && !second[i]).length;
  const secondOnly = second.filter((value, i) => value && !first[i]).length;
  return {
    firstOnly,
    secondOnly,
    n: first.length,
    difference: (firstOnly - secondOnly) / first.length,
    p: mcnemar(firstOnly, secondOnly),
  };
}

/** Exact two-sided McNemar p for two counts of discordant cases: twice the smaller binomial tail at ½, at most 1. */
export function mcnemar(firstOnly: number, secondOnly: number): number {
  const smaller = Math.min(firstOnly, secondOnly);
  const tail = binomial(firstOnly + secondOnly, 0.5)
    .subarray(0, smaller + 1)
    .reduce((sum, value) => sum + value, 0);
  return Math.min(1, 2 * tail);
}

/**
 * Probability that two independent random subsets of `d` items, of sizes `a` and `b`, share at least `common`
 * (hypergeometric tail), and the number they share on average, `ab/d`.
 */
export function subsetOverlap(
  d: number,
  a: number,
  b: number,
  common: number,
): { p: number; expected: number } {
  if (![a, b].every((size) => size >= 0 && size <= d)) {
    throw new ModalscopeError(`Subsets of ${a} and ${b} of ${d} items were compared.`);
  }
  const logChoose = (n: number, k: number): number => {
    let log = 0;
    for (let i = 1; i <= k; i++) log += Math.log((n - k + i) / i);
    return log;
  };
  let p = 0;
  for (let k = Math.max(common, 0, a + b - d); k <= Math.min(a, b); k++) {
    p += Math.exp(logChoose(a, k) + logChoose(d - a, b - k) - logChoose(d, b));
  }
  return { p: Math.min(p, 1), expected: (a * b) / d };
}

/**
 * Kendall's rank correlation τ-a of a curve with its own order: 1 when every later value is larger, −1 when every one is
 * smaller; ties count as neither.
 */
export function trend(curve: ArrayLike<number>): number {
  const n = curve.length;
  if (n < 2) throw new ModalscopeError("A trend needs two values or more.");
  let sum = 0;
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) sum += Math.sign(curve[j] - curve[i]);
  return (2 * sum) / (n * (n - 1));
}
