/** Size-matched nulls: random subspaces and random sets of the chosen one's size, to be run with their complements. */
import { type Matrix, randomSubspace } from "../analysis/index.js";
import { ModalscopeError } from "../errors.js";
import { callback, checkOptions, flag, integer, type OptionChecks } from "../options.js";
import { seeded } from "../random.js";
import { LEAST_NULLS } from "./arms.js";

/** A set and everything else. */
export interface SplitSet<T> {
  readonly set: readonly T[];
  readonly complement: readonly T[];
}

export interface RandomSetOptions<T> {
  /** Sets to draw, 5 or more. Default 5. */
  readonly count?: number;
  readonly seed?: number;
  /** As many items of each stratum as the chosen set has: of a head or an expert its layer. */
  readonly stratum?: (item: T) => number | string;
  /** Weight of an item, such as an expert's load: of `tries` draws the nearest to the chosen sum is kept. */
  readonly weight?: (item: T) => number;
  /** Draws for each set when there are weights. Default 500. */
  readonly tries?: number;
  /** Draws from the items that are not chosen. Default false. */
  readonly disjoint?: boolean;
}

const RANDOM_SET_OPTIONS: OptionChecks<RandomSetOptions<unknown>> = {
  count: integer(1),
  seed: integer(),
  stratum: callback,
  weight: callback,
  tries: integer(1),
  disjoint: flag,
};

/**
 * The chosen set and random ones of its size from the same items, all different from it and from each other.
 * @param items all heads, experts or layers, each once. @param chosen some of them (the same objects or values).
 * @throws ModalscopeError when an item of `chosen` is not among `items` or stands twice, with fewer than five sets, and when
 * there are not that many different ones.
 */
export function sizeMatchedSets<T>(
  items: readonly T[],
  chosen: readonly T[],
  options: RandomSetOptions<T> = {},
): { readonly chosen: SplitSet<T>; readonly random: readonly SplitSet<T>[] } {
  checkOptions("sizeMatchedSets", options, RANDOM_SET_OPTIONS);
  const { count = LEAST_NULLS, seed = 0, stratum = () => 0, weight, tries = 500, disjoint = false } = options;
  checkCount(count);
  const places = chosen.map((item) => items.indexOf(item));
  if (places.includes(-1) || new Set(places).size !== chosen.length || chosen.length === 0)
    throw new ModalscopeError(
      "The chosen set is empty, or holds an item twice or one that is not among the items.",
      `It has ${chosen.length} items, of ${items.length}.`,
    );
  const own = [...places].sort((a, b) => a - b);
  const taken = new Set(disjoint ? own : []);
  const strata = strataOf(items, own, stratum).map(({ members, wanted }) => ({
    members: members.filter((i) => !taken.has(i)),
    wanted,
  }));
  const possible =
    strata.reduce((product, { members, wanted }) => product * choose(members.length, wanted), 1) -
    Number(!disjoint);
  if (possible < count)
    throw new ModalscopeError(
      `There are ${possible} other sets of this size, and ${count} are wanted.`,
      "",
      "Choose a smaller set, or draw from more items.",
    );
  const sum = (set: readonly number[]): number =>
    set.reduce((total, i) => total + (weight?.(items[i]) ?? 0), 0);
  const target = sum(own);
  const random = seeded(seed);
  const seen = new Set([own.join()]);
  const sets: number[][] = [];
  while (sets.length < count) {
    let best: number[] | undefined;
    for (let tried = 0; tried < (weight ? tries : 1) || best === undefined; tried++) {
      const drawn = strata
        .flatMap(({ members, wanted }) => random.shuffle(members).slice(0, wanted))
        .sort((a, b) => a - b);
      if (seen.has(drawn.join())) continue;
      if (best === undefined || Math.abs(sum(drawn) - target) < Math.abs(sum(best) - target)) best = drawn;
    }
    seen.add(best.join());
    sets.push(best);
  }
  const split = (set: readonly number[]): SplitSet<T> => ({
    set: set.map((i) => items[i]),
    complement: items.filter((_, i) => !set.includes(i)),
  });
  return { chosen: split(own), random: sets.map(split) };
}

/**
 * Random subspaces of ℝᵈ of dimension k, `(k, d)` each. The complement of one is what its projection leaves: project it out
 * with the same basis.
 * @throws ModalscopeError with fewer than five, and unless 0 < k < d.
 */
export function sizeMatchedSubspaces(
  k: number,
  d: number,
  options: { readonly count?: number; readonly seed?: number } = {},
): Matrix[] {
  checkOptions("sizeMatchedSubspaces", options, { count: integer(1), seed: integer() });
  const { count = LEAST_NULLS, seed = 0 } = options;
  checkCount(count);
  if (!(Number.isInteger(k) && k > 0 && k < d))
    throw new ModalscopeError(`A subspace of ${k} dimensions of ${d} has no size-matched null.`);
  const random = seeded(seed);
  return Array.from({ length: count }, () => randomSubspace(k, d, random.int(2 ** 32)));
}

interface Stratum {
  readonly members: readonly number[];
  readonly wanted: number;
}

function strataOf<T>(
  items: readonly T[],
  own: readonly number[],
  stratum: (item: T) => number | string,
): Stratum[] {
  const members = new Map<number | string, number[]>();
  items.forEach((item, i) => {
    const key = stratum(item);
    members.set(key, [...(members.get(key) ?? []), i]);
  });
  return [...members.values()]
    .map((group) => ({ members: group, wanted: group.filter((i) => own.includes(i)).length }))
    .filter(({ wanted }) => wanted > 0);
}

function choose(n: number, k: number): number {
  let product = 1;
  for (let i = 1; i <= Math.min(k, n - k); i++) product *= (n - i + 1) / i;
  return Math.round(product);
}

function checkCount(count: number): void {
  if (!(Number.isInteger(count) && count >= LEAST_NULLS))
    throw new ModalscopeError(
      `${count} size-matched sets were asked for.`,
      `The standard takes ${LEAST_NULLS} or more.`,
    );
}
