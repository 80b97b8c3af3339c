import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, numeric, type OptionChecks } from "../../options.js";
import { type Random, seeded } from "../../random.js";
import { asMatrix, type Matrix, type MatrixLike, row, transpose, zeros } from "../linalg/matrix.js";
import { median } from "./stages.js";

/** Options of {@link mutations}. */
export interface MutationOptions {
  /** The last block of the rapid stage; only later blocks can mutate. */
  readonly critical: number;
  /** Least height of a mutation above the token's own median change behind the critical block, bits. Default 0.1. */
  readonly prominence?: number;
  /** Shuffles of each token's later changes among the blocks. Default 99. */
  readonly draws?: number;
  readonly seed?: number;
}

const MUTATION_OPTIONS: OptionChecks<MutationOptions> = {
  critical: numeric,
  prominence: numeric,
  draws: integer(1),
  seed: integer(),
};

/** Mutations by block and token. */
export interface Mutations {
  /** `(blocks, tokens)`: 1 where a block mutates a token. */
  readonly mutated: Matrix;
  /** `(blocks)`: share of the tokens that mutate. */
  readonly shares: Float64Array;
  /** Share that no block exceeds in 95% of the shuffles. */
  readonly chance: number;
  /** `(tokens)`: whether any block mutates the token. */
  readonly tokens: readonly boolean[];
  /** Mutation layers of the run, ascending: peaks of `shares` above `chance`. */
  readonly layers: readonly number[];
}

/**
 * Mutations: changes behind the critical block that are larger than both neighbours and stand out by `prominence` from the
 * median of the same token's later changes, so that a token that always moves does not mutate at every block. Mutation
 * layers are the peaks of the share curve that blocks without an order do not reach: in the null each token's later
 * changes are dealt to other blocks.
 * @param change `(blocks, tokens)`, see EarlyExit.
 * @throws ModalscopeError unless three blocks or more lie behind the critical one.
 */
export function mutations(change: MatrixLike, options: MutationOptions): Mutations {
  checkOptions("mutations", options, MUTATION_OPTIONS);
  const { critical, prominence = 0.1, draws = 99, seed = 0 } = options;
  const byToken = transpose(asMatrix(change, "The changes"));
  const [count, blocks] = byToken.shape;
  const start = critical + 1;
  if (!(critical >= 0 && blocks - start >= 3))
    throw new ModalscopeError(
      `Mutations behind block ${critical} of ${blocks} cannot be told.`,
      "A token's later changes need three blocks or more.",
    );
  // The critical block's change, then the later ones.
  const curves = Array.from({ length: count }, (_, t) => row(byToken, t).slice(critical));
  const limits = curves.map((curve) => median(curve.subarray(1)) + prominence);
  const mutated = zeros(blocks, count);
  const shares = new Float64Array(blocks);
  curves.forEach((curve, t) => {
    for (let b = start; b < blocks; b++) {
      if (!mutatesAt(curve, b - critical, limits[t])) continue;
      mutated.data[b * count + t] = 1;
      shares[b] += 1 / count;
    }
  });
  const random = seeded(seed);
  const dealt = curves.map((curve) => curve.slice());
  const largest = Float64Array.from({ length: draws }, () => largestShare(dealt, limits, random)).sort();
  const chance = largest[Math.min(draws - 1, Math.ceil(0.95 * draws))];
  const isPeak = (b: number): boolean =>
    shares[b] >= (shares[b - 1] ?? 0) && shares[b] >= (shares[b + 1] ?? 0);
  return {
    mutated,
    shares,
    chance,
    tokens: curves.map((_, t) => shares.some((_share, b) => mutated.data[b * count + t] === 1)),
    layers: [...shares.keys()].filter((b) => b >= start && shares[b] > chance && isPeak(b)),
  };
}

/** @param curve one token's changes from the critical block on. @param i a later one of them. */
function mutatesAt(curve: Float64Array, i: number, limit: number): boolean {
  return curve[i] >= limit && curve[i] > curve[i - 1] && !(curve[i] < curve[i + 1]);
}

/** Deals each token's later changes to other blocks, and gives the largest share of tokens that one block mutates. */
function largestShare(curves: readonly Float64Array[], limits: readonly number[], random: Random): number {
  const length = curves[0].length;
  const counts = new Float64Array(length);
  curves.forEach((curve, t) => {
    for (let i = length - 1; i > 1; i--) {
      const j = 1 + random.int(i);
      [curve[i], curve[j]] = [curve[j], curve[i]];
    }
    for (let i = 1; i < length; i++) if (mutatesAt(curve, i, limits[t])) counts[i]++;
  });
  return Math.max(...counts) / curves.length;
}
