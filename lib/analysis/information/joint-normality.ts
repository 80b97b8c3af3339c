import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, number, numeric, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import { cholesky, solveLower } from "../linalg/cholesky.js";
import {
  asMatrix,
  centreRows,
  type Matrix,
  type MatrixLike,
  squaredNorm,
  takeRows,
  transpose,
} from "../linalg/matrix.js";
import { gram } from "../linalg/products.js";
import { normalTail } from "../statistics/distributions.js";
import type { PermutationTest } from "../statistics/permutation.js";
import { covarianceOf } from "./mutual-information.js";
import { type PidSamples, readSamples } from "./samples.js";

/** Result of the Henze–Zirkler test. */
export interface NormalityTest {
  readonly statistic: number;
  /** Probability of a statistic at least as large when the rows are jointly Gaussian. */
  readonly p: number;
  /** Rows it looked at. */
  readonly n: number;
}

export interface NormalityOptions {
  /** Rows at most; more are drawn from. Default 1000: the cost is quadratic. */
  readonly maxRows?: number;
  /** Default 0. */
  readonly seed?: number;
}

const NORMALITY_OPTIONS: OptionChecks<NormalityOptions> = { maxRows: numeric, seed: integer() };

/**
 * Henze and Zirkler's (1990) test that rows `x (n, d)` are jointly Gaussian: distance between the characteristic functions
 * of the whitened rows and of a Gaussian. It sees every departure in the limit, exclusive-or among them, which Mardia's
 * kurtosis does not; affine maps of the rows change nothing. The p value is the authors' lognormal approximation.
 * @throws ModalscopeError when n ≤ d or the covariance is singular.
 */
export function henzeZirkler(x: MatrixLike, options: NormalityOptions = {}): NormalityTest {
  checkOptions("henzeZirkler", options, NORMALITY_OPTIONS);
  const { maxRows = 1000, seed = 0 } = options;
  const all = asMatrix(x, "The sample");
  const rows = whitenedRows(
    all.shape[0] > maxRows ? takeRows(all, drawRows(all.shape[0], maxRows, seed)) : all,
  );
  const [n, d] = rows.shape;
  const beta = (1 / Math.SQRT2) * (((2 * d + 1) * n) / 4) ** (1 / (d + 4));
  const square = beta * beta;
  const products = gram(rows);
  const norms = Float64Array.from({ length: n }, (_, i) => products.data[i * n + i]);
  let pairs = n;
  let single = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      pairs += 2 * Math.exp(-0.5 * square * (norms[i] + norms[j] - 2 * products.data[i * n + j]));
    }
    single += Math.exp((-0.5 * square * norms[i]) / (1 + square));
  }
  const statistic = pairs / n - 2 * (1 + square) ** (-d / 2) * single + n * (1 + 2 * square) ** (-d / 2);
  return { statistic, p: henzeZirklerTail(statistic, square, d), n };
}

/** Upper tail of the lognormal law with the statistic's mean and variance under normality (their theorem 3.1). */
function henzeZirklerTail(statistic: number, square: number, d: number): number {
  const fourth = square * square;
  const a = 1 + 2 * square;
  const w = (1 + square) * (1 + 3 * square);
  const mean = 1 - a ** (-d / 2) * (1 + (d * square) / a + (d * (d + 2) * fourth) / (2 * a * a));
  const variance =
    2 * (1 + 4 * square) ** (-d / 2) +
    2 * a ** -d * (1 + (2 * d * fourth) / a ** 2 + (3 * d * (d + 2) * fourth ** 2) / (4 * a ** 4)) -
    4 * w ** (-d / 2) * (1 + (3 * d * fourth) / (2 * w) + (d * (d + 2) * fourth ** 2) / (2 * w * w));
  const logVariance = Math.log1p(variance / mean ** 2);
  const logMean = Math.log(mean) - 0.5 * logVariance;
  return normalTail((Math.log(Math.max(statistic, Number.MIN_VALUE)) - logMean) / Math.sqrt(logVariance));
}

/** A third moment across the three variables. */
export interface CrossMomentTest extends PermutationTest {
  /** Column of the target, of the first and of the second source with the largest moment. */
  readonly at: readonly [target: number, x: number, y: number];
}

export interface CrossMomentOptions extends NormalityOptions {
  /** Sign patterns drawn. Default 199. */
  readonly draws?: number;
}

const CROSS_MOMENT_OPTIONS: OptionChecks<CrossMomentOptions> = {
  draws: integer(1),
  maxRows: numeric,
  seed: integer(),
};

/**
 * Test that no third moment joins the target and both sources, as exclusive-or does: `max |E[M_i X_j Y_k]|·√n` over the
 * columns of each variable whitened by itself, every product scaled to mean square 1. Under any jointly Gaussian law the
 * moments are 0; the null turns the signs of whole rows, exact for laws symmetric about their mean.
 */
export function thirdCrossMoments(
  { target, x, y }: PidSamples,
  options: CrossMomentOptions = {},
): CrossMomentTest {
  checkOptions("thirdCrossMoments", options, CROSS_MOMENT_OPTIONS);
  const { maxRows = 5000, seed = 0, draws = 199 } = options;
  const parts = [target, x, y].map((part) => asMatrix(part, "A variable"));
  const n = parts[0].shape[0];
  const chosen = n > maxRows ? drawRows(n, maxRows, seed) : undefined;
  const [m, a, b] = parts.map((part) => whitenedRows(chosen ? takeRows(part, chosen) : part));
  const products = scaledProducts(m, a, b);
  const observed = products.map((values) => mean(values));
  const largest = observed.reduce(
    (best, value, k) => (Math.abs(value) > Math.abs(observed[best]) ? k : best),
    0,
  );
  const rows = m.shape[0];
  const root = Math.sqrt(rows);
  const statistic = Math.abs(observed[largest]) * root;
  const random = seeded(seed + 1);
  const nulls = Float64Array.from({ length: draws }, () => {
    const signs = new Float64Array(rows);
    for (let i = 0; i < rows; i++) signs[i] = 2 * random.int(2) - 1;
    return root * products.reduce((most, values) => Math.max(most, Math.abs(signedMean(values, signs))), 0);
  });
  const extreme = nulls.reduce((count, value) => count + (value >= statistic ? 1 : 0), 0);
  const [dx, dy] = [a.shape[1], b.shape[1]];
  return {
    statistic,
    p: (1 + extreme) / (1 + draws),
    null: nulls,
    at: [Math.floor(largest / (dx * dy)), Math.floor(largest / dy) % dx, largest % dy],
  };
}

/** Joint Gaussianity of a target and two sources: where it is refused, Gaussian atoms are not testable. */
export interface JointNormality {
  readonly henzeZirkler: NormalityTest;
  readonly crossMoments: CrossMomentTest;
  /** Both tests pass at `level / 2` each. */
  readonly accepted: boolean;
}

/**
 * Both tests on one layer's target and sources. A Gaussian decomposition says nothing about information outside of
 * covariances: where this refuses, a small synergy may be the estimator's blindness.
 * @param level probability of refusing Gaussian data. Default 0.05, half of it for each test.
 */
export function jointNormality(
  samples: PidSamples,
  options: CrossMomentOptions & { readonly level?: number } = {},
): JointNormality {
  checkOptions("jointNormality", options, { ...CROSS_MOMENT_OPTIONS, level: number(0, 1) });
  const { level = 0.05, draws, ...shared } = options;
  const { rows } = readSamples(samples);
  const test = henzeZirkler(rows, shared);
  const crossMoments = thirdCrossMoments(samples, { draws, ...shared });
  return { henzeZirkler: test, crossMoments, accepted: Math.min(test.p, crossMoments.p) >= level / 2 };
}

/** Rows with mean 0 and covariance I (of n−1, scaled to n as the tests' authors have it). */
function whitenedRows(x: Matrix): Matrix {
  const [n, d] = x.shape;
  if (n <= d + 1) {
    throw new ModalscopeError(
      `${n} rows in ${d} dimensions cannot be tested.`,
      "",
      `Use over ${d + 1} rows.`,
    );
  }
  const factor = cholesky(covarianceOf([x]), "The sample's covariance");
  const out = transpose(solveLower(factor, transpose(centreRows(x))));
  const scale = Math.sqrt(n / (n - 1));
  for (let i = 0; i < out.data.length; i++) out.data[i] *= scale;
  return out;
}

/** Products of every triple of columns, each `(n)` with mean square 1. */
function scaledProducts(m: Matrix, a: Matrix, b: Matrix): Float64Array[] {
  const n = m.shape[0];
  const [ms, as, bs] = [m, a, b].map(columns);
  return ms.flatMap((u) =>
    as.flatMap((v) => {
      const uv = u.map((value, i) => value * v[i]);
      return bs.map((w) => {
        const product = uv.map((value, i) => value * w[i]);
        const scale = Math.sqrt(n / squaredNorm(product));
        return product.map((value) => value * scale);
      });
    }),
  );
}

function columns(x: Matrix): Float64Array[] {
  const flipped = transpose(x);
  const n = x.shape[0];
  return Array.from({ length: x.shape[1] }, (_, j) => flipped.data.subarray(j * n, (j + 1) * n));
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function signedMean(values: Float64Array, signs: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += signs[i] * values[i];
  return sum / values.length;
}

function drawRows(n: number, count: number, seed: number): number[] {
  return seeded(seed)
    .shuffle(Array.from({ length: n }, (_, i) => i))
    .slice(0, count);
}
