/** Measures of geometry beside what is left of them when what they measure is shuffled away. */

import { ModalscopeError } from "../../errors.js";
import { checkOptions, flag, integer, type OptionChecks } from "../../options.js";
import { type Random, seeded } from "../../random.js";
import { asMatrix, centreRows, checkSame, type Matrix, type MatrixLike, zeros } from "../linalg/matrix.js";
import { gram } from "../linalg/products.js";
import { type AgainstShuffles, againstShuffles } from "../statistics/shuffles.js";
import { unbiasedHsic } from "./cka.js";
import { effectiveRank } from "./effective-rank.js";
import { intraclassCorrelation } from "./icc.js";

export interface FloorOptions {
  /** Shuffles (default 199). */
  readonly draws?: number;
  /** Of equal seeds, data of the same size are shuffled alike, so that shuffles of two layers can be subtracted. */
  readonly seed?: number;
}

export const FLOOR_OPTIONS: OptionChecks<FloorOptions> = { draws: integer(1), seed: integer() };

/**
 * ICC(1), its mean over dimensions, beside that of members shuffled among the groups.
 * @param x members `(N, d)`. @param groups which group each belongs to, `(N)`.
 * @throws ModalscopeError with fewer than two groups, or no group of two.
 */
export function iccAgainstShuffles(
  x: MatrixLike,
  groups: ArrayLike<number>,
  options: FloorOptions = {},
): AgainstShuffles {
  checkOptions("iccAgainstShuffles", options, FLOOR_OPTIONS);
  const { draws = 199, seed = 0 } = options;
  const { mean, perDimension } = intraclassCorrelation(x, groups);
  const members = centreRows(asMatrix(x, "The members"));
  const labels = numbered(groups);
  const random = seeded(seed);
  const total = squaredColumns(members).map((sum, j) => (Number.isNaN(perDimension[j]) ? 0 : sum));
  return againstShuffles(
    mean,
    Array.from({ length: draws }, () => meanIcc(members, total, random.shuffle(labels))),
  );
}

/** Labels as numbers from 0 on. */
function numbered(groups: ArrayLike<number>): number[] {
  const numbers = new Map<number, number>();
  return Array.from(groups, (group) => {
    if (!numbers.has(group)) numbers.set(group, numbers.size);
    return numbers.get(group)!;
  });
}

function squaredColumns({ data, shape: [, d] }: Matrix): Float64Array {
  const out = new Float64Array(d);
  for (let i = 0; i < data.length; i++) out[i % d] += data[i] ** 2;
  return out;
}

/**
 * Mean ICC(1) of centred members: what groups leave of the total sum of squares is within them. Dimensions whose total
 * is 0 do not vary, and do not count.
 */
function meanIcc({ data, shape: [n, d] }: Matrix, total: Float64Array, labels: readonly number[]): number {
  const sizes: number[] = [];
  for (const g of labels) sizes[g] = (sizes[g] ?? 0) + 1;
  const sums = zeros(sizes.length, d).data;
  for (let i = 0; i < n; i++) {
    const [from, to] = [i * d, labels[i] * d];
    for (let j = 0; j < d; j++) sums[to + j] += data[from + j];
  }
  const k0 = (n - sizes.reduce((sum, size) => sum + size * size, 0) / n) / (sizes.length - 1);
  let [sum, varying] = [0, 0];
  for (let j = 0; j < d; j++) {
    if (total[j] === 0) continue;
    let between = 0;
    for (let g = 0; g < sizes.length; g++) between += sums[g * d + j] ** 2 / sizes[g];
    const b = between / (sizes.length - 1);
    const w = (total[j] - between) / (n - sizes.length);
    sum += (b - w) / (b + (k0 - 1) * w);
    varying++;
  }
  return sum / varying;
}

/**
 * Debiased linear CKA of features of the same samples, `x (n, d)` and `y (n, e)`, beside that of shuffled pairs.
 * @throws ModalscopeError for other numbers of samples, and fewer than four.
 */
export function ckaAgainstShuffles(
  x: MatrixLike,
  y: MatrixLike,
  options: FloorOptions = {},
): AgainstShuffles {
  checkOptions("ckaAgainstShuffles", options, FLOOR_OPTIONS);
  const { draws = 199, seed = 0 } = options;
  const [k, l] = [gram(asMatrix(x, "The first features")), gram(asMatrix(y, "The second features"))];
  const [n] = k.shape;
  checkSame("ckaAgainstShuffles", n, l.shape[0], "samples");
  // Of shuffled samples a side's HSIC with itself stays as it is.
  const scale = Math.sqrt(unbiasedHsic(k, k) * unbiasedHsic(l, l));
  const random = seeded(seed);
  const order = Array.from({ length: n }, (_, i) => i);
  return againstShuffles(
    unbiasedHsic(k, l) / scale,
    Array.from({ length: draws }, () => unbiasedHsic(k, reordered(l, random.shuffle(order))) / scale),
  );
}

function reordered({ data, shape }: Matrix, order: readonly number[]): Matrix {
  const [n] = shape;
  const out = zeros(n, n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out.data[i * n + j] = data[order[i] * n + order[j]];
  return out;
}

export interface RankFloorOptions extends FloorOptions {
  /** Whether the rows' mean is subtracted first: see {@link effectiveRank}. */
  readonly centre: boolean;
}

const RANK_FLOOR_OPTIONS: OptionChecks<RankFloorOptions> = {
  centre: flag,
  draws: integer(1),
  seed: integer(),
};

/**
 * Effective rank of vectors `(n, d)`, beside that with each dimension shuffled over the vectors by itself (Horn's
 * parallel analysis, 1965): dimensions of the same spread that have nothing to do with each other. That is the most
 * that so many vectors can show, so the value lies below it by what the dimensions share; `p` says how surely.
 * @throws ModalscopeError for fewer than two vectors, or vectors that are all alike.
 */
export function rankAgainstShuffles(x: MatrixLike, options: RankFloorOptions): AgainstShuffles {
  checkOptions("rankAgainstShuffles", options, RANK_FLOOR_OPTIONS);
  const { centre, draws = 19, seed = 0 } = options;
  const vectors = asMatrix(x, "The vectors");
  if (vectors.shape[0] < 2)
    throw new ModalscopeError(
      `The effective rank of ${vectors.shape[0]} vectors says nothing.`,
      "It takes two or more.",
    );
  const random = seeded(seed);
  return againstShuffles(
    effectiveRank(vectors, { centre }),
    Array.from({ length: draws }, () => effectiveRank(withShuffledColumns(vectors, random), { centre })),
    -1,
  );
}

function withShuffledColumns({ data, shape }: Matrix, random: Random): Matrix {
  const [n, d] = shape;
  const out = Float64Array.from(data);
  for (let j = 0; j < d; j++)
    for (let i = n - 1; i > 0; i--) {
      const [a, b] = [i * d + j, random.int(i + 1) * d + j];
      [out[a], out[b]] = [out[b], out[a]];
    }
  return { data: out, shape };
}
