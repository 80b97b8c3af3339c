import { ModalscopeError } from "../../errors.js";
import { checkOptions, number, numeric, type OptionChecks } from "../../options.js";
import { binomial, normalQuantile } from "./distributions.js";
import { mcnemar } from "./permutation.js";

/** Level and power that a sample size is judged by. */
export interface PowerOptions {
  /** Chance of a false alarm. Default 0.05. */
  readonly alpha?: number;
  /** Chance to detect the effect. Default 0.8. */
  readonly power?: number;
}

const POWER_OPTIONS: OptionChecks<PowerOptions> = { alpha: number(0, 1), power: number(0, 1) };

/**
 * The smallest mean of `n` paired differences with standard deviation `deviation` that a two-sided t-test detects:
 * `δ = s (z_{1−α/2} + z_{power})/√(n − z²_{1−α/2}/2)` (Guenther 1981; within 1.1% of the exact one from n=10, 0.3% from n=20).
 * @throws ModalscopeError when `n` is too small for any effect to be detected.
 */
export function detectableMean(n: number, deviation: number, options: PowerOptions = {}): number {
  checkOptions("detectableMean", options, POWER_OPTIONS);
  const { alpha = 0.05, power = 0.8 } = options;
  const z = normalQuantile(1 - alpha / 2);
  const left = n - (z * z) / 2;
  if (!(left > 1)) throw new ModalscopeError(`${n} differences are too few for a test at ${alpha}.`);
  return (deviation * (z + normalQuantile(power))) / Math.sqrt(left);
}

/**
 * The smallest true proportion above `chance` that a one-sided exact binomial test with `n` cases detects; NaN when even
 * `n` of `n` would not be significant.
 */
export function detectableProportion(n: number, chance: number, options: PowerOptions = {}): number {
  checkOptions("detectableProportion", options, POWER_OPTIONS);
  const { alpha = 0.05, power = 0.8 } = options;
  const critical = criticalCount(binomial(n, chance), alpha);
  if (critical > n) return Number.NaN;
  return bisect((p) => tailFrom(binomial(n, p), critical), chance, 1, power);
}

/**
 * The smallest difference of two proportions on the same `n` cases that an exact two-sided McNemar test detects, when a
 * share `reverse` of the cases differs the other way; NaN when none is large enough. With `reverse` 0 (the default) it is
 * the best case: no effect below it can be told from nothing.
 */
export function detectablePairedDifference(
  n: number,
  options: PowerOptions & { readonly reverse?: number } = {},
): number {
  checkOptions("detectablePairedDifference", options, { ...POWER_OPTIONS, reverse: numeric });
  const { alpha = 0.05, power = 0.8, reverse = 0 } = options;
  if (!(reverse >= 0 && reverse < 1))
    throw new ModalscopeError(`The reverse share is ${reverse}.`, "It lies in [0, 1).");
  const detection = (forward: number): number => {
    // The number that differ one way, and of the rest the number that differ the other way.
    const first = binomial(n, forward);
    let found = 0;
    for (let b = 0; b <= n; b++) {
      const second = binomial(n - b, Math.min(reverse / (1 - forward), 1));
      for (let c = 0; c <= n - b && c < b; c++) if (mcnemar(b, c) <= alpha) found += first[b] * second[c];
    }
    return found;
  };
  const most = 1 - reverse;
  if (detection(most - 1e-12) < power) return Number.NaN;
  return bisect(detection, reverse, most, power) - reverse;
}

/** Least count whose upper tail has at most `alpha`. */
function criticalCount(probabilities: Float64Array, alpha: number): number {
  let tail = 0;
  let count = probabilities.length;
  while (count > 0 && tail + probabilities[count - 1] <= alpha) tail += probabilities[--count];
  return count;
}

function tailFrom(probabilities: Float64Array, count: number): number {
  return probabilities.subarray(count).reduce((sum, value) => sum + value, 0);
}

/** Place at which a rising function reaches `target`, to 1e-6. */
function bisect(f: (x: number) => number, low: number, high: number, target: number): number {
  let [from, to] = [low, high];
  while (to - from > 1e-6) {
    const middle = (from + to) / 2;
    if (f(middle) < target) from = middle;
    else to = middle;
  }
  return (from + to) / 2;
}
