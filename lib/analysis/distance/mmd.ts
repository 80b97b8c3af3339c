import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, numeric } from "../../options.js";
import { seeded } from "../../random.js";
import {
  asMatrix,
  checkSame,
  type Matrix,
  type MatrixLike,
  row,
  squaredDistances,
  stack,
} from "../linalg/matrix.js";

/** Two sets of vectors to compare, as of one problem's tokens in two languages: `x (n, d)`, `y (m, d)`. */
export interface SamplePair {
  readonly x: MatrixLike;
  readonly y: MatrixLike;
}

/**
 * The kernel with a lengthscale per dimension (automatic relevance determination):
 * `k(x, y) = exp(−½ Σ_j (x_j − y_j)²/ℓ_j²)`, `(n, m)`. A lengthscale of Infinity leaves its dimension out.
 * @param lengthscales `(d)`, above 0.
 */
export function ardKernel(x: MatrixLike, y: MatrixLike, lengthscales: ArrayLike<number>): Matrix {
  const [a, b] = [asMatrix(x, "The first sample"), asMatrix(y, "The second sample")];
  checkSame("ardKernel", lengthscales.length, a.shape[1], "lengthscales and dimensions");
  const distances = squaredDistances(a, b, inverseSquares(lengthscales));
  return { data: distances.data.map((value) => Math.exp(-0.5 * value)), shape: distances.shape };
}

function inverseSquares(lengthscales: ArrayLike<number>): Float64Array {
  return Float64Array.from(lengthscales, (l) => {
    if (!(l > 0)) throw new ModalscopeError(`A lengthscale is ${l}.`, "Lengthscales must be above 0.");
    return 1 / (l * l);
  });
}

/**
 * Unbiased squared maximum mean discrepancy (Gretton et al. 2012, eq. 3):
 * `Σ_{i≠i'} k(x_i, x_i')/n(n−1) + Σ_{j≠j'} k(y_j, y_j')/m(m−1) − 2 Σ_ij k(x_i, y_j)/nm`.
 * Its expectation is 0 when both samples come from one distribution; it can be negative.
 * @throws ModalscopeError when a sample has fewer than two rows.
 */
export function mmdSquared(pair: SamplePair, lengthscales: ArrayLike<number>): number {
  const { kernel, n } = jointKernel(pair, lengthscales);
  const first = new Uint8Array(kernel.shape[0]).fill(1, 0, n);
  return mmdOfLabels(kernel, first, n);
}

/** The kernel over both samples together, `(n+m, n+m)`, x first. */
function jointKernel({ x, y }: SamplePair, lengthscales: ArrayLike<number>): { kernel: Matrix; n: number } {
  const [a, b] = [asMatrix(x, "The first sample"), asMatrix(y, "The second sample")];
  checkSame("mmdSquared", a.shape[1], b.shape[1], "dimensions");
  if (a.shape[0] < 2 || b.shape[0] < 2) {
    throw new ModalscopeError(
      `MMD² was asked of samples of ${a.shape[0]} and ${b.shape[0]} rows.`,
      "The unbiased estimate needs two of each.",
    );
  }
  const both = stack([a, b]);
  return { kernel: ardKernel(both, both, lengthscales), n: a.shape[0] };
}

function mmdOfLabels(kernel: Matrix, first: Uint8Array, n: number): number {
  const total = first.length;
  const m = total - n;
  let within = 0;
  let withinOther = 0;
  let across = 0;
  for (let i = 1; i < total; i++) {
    const values = row(kernel, i);
    for (let j = 0; j < i; j++) {
      if (first[i] !== first[j]) across += values[j];
      else if (first[i] === 1) within += values[j];
      else withinOther += values[j];
    }
  }
  return (2 * within) / (n * (n - 1)) + (2 * withinOther) / (m * (m - 1)) - (2 * across) / (n * m);
}

/** Result of {@link mmdPermutationTest}. */
export interface MmdTest {
  /** `Σ_i MMD²_i` over the pairs. */
  readonly statistic: number;
  /** Each pair's own MMD². */
  readonly perPair: Float64Array;
  /** `(1 + #{null ≥ statistic}) / (1 + draws)`. */
  readonly p: number;
  /** The statistic under shuffled labels, `(draws)`. */
  readonly null: Float64Array;
}

/**
 * Permutation test of `Σ_i MMD²_i = 0`: labels are shuffled within each pair, all pairs at once per draw. Run it on
 * pairs that the lengthscales were not fitted on. It treats a pair's tokens as exchangeable; tokens of one text depend on
 * each other, so with whole texts as the unit it is too ready to reject: read a large p as the finding, not a small one.
 */
export function mmdPermutationTest(
  pairs: readonly SamplePair[],
  lengthscales: ArrayLike<number>,
  options: { readonly draws?: number; readonly seed?: number } = {},
): MmdTest {
  checkOptions("mmdPermutationTest", options, { draws: integer(1), seed: integer() });
  const { draws = 999, seed = 0 } = options;
  if (pairs.length === 0) throw new ModalscopeError("The permutation test got no pairs.");
  const random = seeded(seed);
  const perPair = new Float64Array(pairs.length);
  const nulls = new Float64Array(draws);
  pairs.forEach((pair, i) => {
    const { kernel, n } = jointKernel(pair, lengthscales);
    const labels = new Uint8Array(kernel.shape[0]).fill(1, 0, n);
    perPair[i] = mmdOfLabels(kernel, labels, n);
    for (let draw = 0; draw < draws; draw++) {
      nulls[draw] += mmdOfLabels(kernel, Uint8Array.from(random.shuffle(Array.from(labels))), n);
    }
  });
  const statistic = perPair.reduce((sum, value) => sum + value, 0);
  const atLeast = nulls.reduce((count, value) => count + (value >= statistic ? 1 : 0), 0);
  return { statistic, perPair, p: (1 + atLeast) / (1 + draws), null: nulls };
}

/** Pairs to fit on and pairs to test on, drawn without overlap. */
export interface HeldOutSplit<T> {
  readonly fit: readonly T[];
  readonly test: readonly T[];
}

/** Splits items at random. @param share of them to hold out, at least one and not all. */
export function holdOut<T>(
  items: readonly T[],
  options: { readonly share?: number; readonly seed?: number } = {},
): HeldOutSplit<T> {
  checkOptions("holdOut", options, { share: numeric, seed: integer() });
  const { share = 0.5, seed = 0 } = options;
  const count = Math.round(items.length * share);
  if (count < 1 || count >= items.length) {
    throw new ModalscopeError(`Holding out ${share} of ${items.length} items leaves one side empty.`);
  }
  const shuffled = seeded(seed).shuffle(items);
  return { test: shuffled.slice(0, count), fit: shuffled.slice(count) };
}
