/** Experts that two kinds of token are routed to: how far they agree, against shuffled kinds. */

import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, numeric, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import { entropy, jsDivergence, softmax } from "../distance/divergence.js";
import { asMatrix, type Matrix, type MatrixLike, row } from "../linalg/matrix.js";
import type { PermutationOptions } from "../statistics/permutation.js";
import { type AgainstShuffles, againstShuffles } from "../statistics/shuffles.js";

/**
 * Share of the choices that falls on each expert, `(experts)`.
 * @param choices `(tokens, k)`: the experts of each token; −1 where it has fewer than k.
 * @throws ModalscopeError for a number that is no expert, and where nothing was chosen.
 */
export function expertLoads(choices: MatrixLike, experts: number): Float64Array {
  const { data } = asMatrix(choices, "The choices");
  return asShares(countChoices(data, experts));
}

/** The experts with the largest loads, at most `count`, by number; unused ones are none of them. Of equal ones the first. */
export function mostUsed(loads: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: loads.length }, (_, e) => e)
    .filter((e) => loads[e] > 0)
    .sort((a, b) => loads[b] - loads[a] || a - b)
    .slice(0, count)
    .sort((a, b) => a - b);
}

/** Jaccard index of two sets, `|a ∩ b| / |a ∪ b|`; 1 for two empty ones. */
export function jaccard<T>(a: Iterable<T>, b: Iterable<T>): number {
  const [first, second] = [new Set(a), new Set(b)];
  const both = [...first].filter((item) => second.has(item)).length;
  const either = first.size + second.size - both;
  return either === 0 ? 1 : both / either;
}

/** Entropy of the router's softmax for each token, bits, `(tokens)`: 0 for one expert, log₂(experts) for all alike. */
export function routerEntropy(logits: MatrixLike): Float64Array {
  const x = asMatrix(logits, "The router's logits");
  return Float64Array.from({ length: x.shape[0] }, (_, i) => entropy(softmax(row(x, i))));
}

export interface OverlapOptions extends PermutationOptions {
  /** Number of experts. */
  readonly experts: number;
  /** Number of the most used experts that are compared (default: twice as many as a token has). */
  readonly most?: number;
  /** Draws of equally many tokens of both kinds, whose measures are averaged (default 50). */
  readonly subsamples?: number;
}

const OVERLAP_OPTIONS: OptionChecks<OverlapOptions> = {
  experts: numeric,
  most: numeric,
  subsamples: numeric,
  draws: integer(1),
  seed: integer(),
};

export interface RoutingOverlap {
  /** Jaccard index of the most used experts; the value is a mean over draws of equally many tokens of both kinds. */
  readonly jaccard: AgainstShuffles;
  /** Jensen–Shannon divergence of the loads, bits, a mean over draws likewise. */
  readonly divergence: AgainstShuffles;
  /** Tokens of each kind that were compared. */
  readonly tokens: number;
}

/**
 * Do two kinds of token use the same experts? Measures depend on the number of tokens: as many of both kinds are drawn
 * as the rarer one has. The floor draws both from all tokens, whatever their kind, so that what a router spreads at
 * random is seen as that. Tokens count as independent; those of one image are not, so call it by sample and take
 * intervals over samples.
 * @param first `(tokens, k)` experts of the tokens of one kind, such as visual ones. @param second of the other.
 * @throws ModalscopeError where a kind has no tokens, and for a number that is no expert.
 */
export function routingOverlap(
  first: MatrixLike,
  second: MatrixLike,
  options: OverlapOptions,
): RoutingOverlap {
  checkOptions("routingOverlap", options, OVERLAP_OPTIONS);
  const { experts, most, subsamples = 50, draws = 999, seed = 0 } = options;
  const kinds = [asMatrix(first, "The first kind's choices"), asMatrix(second, "The second kind's choices")];
  const tokens = Math.min(...kinds.map(({ shape }) => shape[0]));
  if (tokens === 0) throw new ModalscopeError("A kind of token to compare has no tokens.");
  const count = most ?? 2 * kinds[0].shape[1];
  const random = seeded(seed);
  const [own, other] = kinds.map(rowsOf);
  const measure = (a: readonly Float64Array[], b: readonly Float64Array[]): readonly [number, number] => {
    const loads = [a, b].map((some) => asShares(countAll(some, experts)));
    return [jaccard(mostUsed(loads[0], count), mostUsed(loads[1], count)), jsDivergence(loads[0], loads[1])];
  };
  const equal = own.length === other.length;
  const observed = Array.from({ length: equal ? 1 : subsamples }, () =>
    measure(random.shuffle(own).slice(0, tokens), random.shuffle(other).slice(0, tokens)),
  );
  const all = [...own, ...other];
  const shuffled = Array.from({ length: draws }, () => {
    const order = random.shuffle(all);
    return measure(order.slice(0, tokens), order.slice(tokens, 2 * tokens));
  });
  return {
    jaccard: againstShuffles(
      average(observed.map(([j]) => j)),
      shuffled.map(([j]) => j),
      -1,
    ),
    divergence: againstShuffles(
      average(observed.map(([, d]) => d)),
      shuffled.map(([, d]) => d),
      1,
    ),
    tokens,
  };
}

const average = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

const rowsOf = (x: Matrix): Float64Array[] => Array.from({ length: x.shape[0] }, (_, i) => row(x, i));

function countAll(tokens: readonly Float64Array[], experts: number): Float64Array {
  const counts = new Float64Array(experts);
  for (const token of tokens) countChoices(token, experts, counts);
  return counts;
}

function countChoices(
  choices: Float64Array,
  experts: number,
  counts: Float64Array = new Float64Array(experts),
): Float64Array {
  for (const expert of choices) {
    if (expert === -1) continue;
    if (!(Number.isInteger(expert) && expert >= 0 && expert < experts)) {
      throw new ModalscopeError(
        `A token chose the expert ${expert}.`,
        `There are ${experts}, counted from 0.`,
      );
    }
    counts[expert]++;
  }
  return counts;
}

function asShares(counts: Float64Array): Float64Array {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) throw new ModalscopeError("No expert was chosen.", "There are no tokens, or all are −1.");
  return counts.map((n) => n / total);
}
