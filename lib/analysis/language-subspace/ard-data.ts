import { ModalscopeError } from "../../errors.js";
import { type Random, seeded } from "../../random.js";
import type { SamplePair } from "../distance/mmd.js";
import { asMatrix, checkSame, type Matrix, row, stack } from "../linalg/matrix.js";

/**
 * Data of a fit of lengthscales: the squared coordinate differences of the comparisons that MMD² sums over, and
 * each one's weight in it. They do not change while the lengthscales do, so a step is one product with them and one back:
 * no Gram matrix, no cancellation, and many fits at once.
 */
export interface Comparisons {
  /** `(comparisons, d)`: `((x_j − y_j)/scale_j)²`. */
  readonly squares: Float32Array;
  /** `(comparisons)`: with kernel values k, `Σ_i MMD²_i = coefficients · k`. */
  readonly coefficients: Float32Array;
  /** `(d)`: what each coordinate was divided by. */
  readonly scales: Float64Array;
  readonly count: number;
  /** Comparisons in all, of which `count` were drawn. */
  readonly available: number;
  readonly d: number;
}

/** Options for drawing comparisons. */
export interface ComparisonOptions {
  /** Most comparisons per pair of samples, a third each of x with x, y with y and x with y. Default 510. */
  readonly comparisons?: number;
  /** Seed of the draw. Default 0. */
  readonly seed?: number;
  /** Divide each coordinate by its standard deviation over all samples. Default true. */
  readonly standardise?: boolean;
  /** Refuse to hold more bytes than this. Default 1 GiB. */
  readonly maxBytes?: number;
}

/**
 * Gathers the comparisons of all pairs. Where a pair has more than asked for, they are drawn without replacement: an
 * incomplete U-statistic, unbiased like the whole one, and at equal cost less noisy than dropping tokens.
 * @throws ModalscopeError when they would not fit in `maxBytes`, or a coordinate never varies.
 */
export function gatherComparisons(
  pairs: readonly SamplePair[],
  { comparisons = 510, seed = 0, standardise = true, maxBytes = 2 ** 30 }: ComparisonOptions = {},
): Comparisons {
  const samples = pairs.map(({ x, y }, i) => {
    const pair = { x: asMatrix(x, `Sample x of pair ${i}`), y: asMatrix(y, `Sample y of pair ${i}`) };
    checkSame("gatherComparisons", pair.x.shape[1], pair.y.shape[1], "dimensions");
    if (pair.x.shape[0] < 2 || pair.y.shape[0] < 2) {
      throw new ModalscopeError(
        `Pair ${i} has fewer than two rows on a side.`,
        "The unbiased estimate needs two.",
      );
    }
    return pair;
  });
  if (samples.length === 0) throw new ModalscopeError("The lengthscales have no pairs to be fitted on.");
  const d = samples[0].x.shape[1];
  const random = seeded(seed);
  const perKind = Math.max(1, Math.floor(comparisons / 3));
  const chosen = samples.map(({ x, y }) => drawComparisons(x.shape[0], y.shape[0], perKind, random));
  const count = chosen.reduce((sum, { cells }) => sum + cells.length, 0);
  // The back end packs a second copy of a constant matrix for its products.
  const bytes = 2 * 4 * count * d;
  if (bytes > maxBytes) {
    throw new ModalscopeError(
      `${count} comparisons of ${d} dimensions take ${Math.ceil(bytes / 2 ** 20)} MiB.`,
      `That is more than the ${Math.floor(maxBytes / 2 ** 20)} MiB allowed.`,
      "Ask for fewer comparisons per pair, or raise maxBytes.",
    );
  }
  const scales = standardise
    ? deviations(samples.flatMap(({ x, y }) => [x, y]))
    : new Float64Array(d).fill(1);
  const squares = new Float32Array(count * d);
  const coefficients = new Float32Array(count);
  let at = 0;
  samples.forEach(({ x, y }, i) => {
    checkSame("gatherComparisons", x.shape[1], d, "dimensions in different pairs");
    const both = stack([x, y]);
    for (const { first, second, coefficient } of chosen[i].cells) {
      const [a, b] = [row(both, first), row(both, second)];
      for (let j = 0; j < d; j++) squares[at * d + j] = ((a[j] - b[j]) / scales[j]) ** 2;
      coefficients[at++] = coefficient;
    }
  });
  return {
    squares,
    coefficients,
    scales,
    count,
    available: chosen.reduce((sum, pair) => sum + pair.available, 0),
    d,
  };
}

interface Cell {
  readonly first: number;
  readonly second: number;
  readonly coefficient: number;
}

/** Rows 0…n−1 are x, n…n+m−1 are y. */
function drawComparisons(
  n: number,
  m: number,
  perKind: number,
  random: Random,
): { cells: Cell[]; available: number } {
  const within = (start: number, size: number): [number, number][] =>
    Array.from({ length: size }, (_, i) => i).flatMap((i) =>
      Array.from({ length: i }, (_, j): [number, number] => [start + i, start + j]),
    );
  const across = Array.from({ length: n * m }, (_, c): [number, number] => [Math.floor(c / m), n + (c % m)]);
  const kinds: [[number, number][], number][] = [
    [within(0, n), 1],
    [within(n, m), 1],
    [across, -2],
  ];
  return {
    cells: kinds.flatMap(([all, weight]) => {
      const drawn = all.length > perKind ? random.shuffle(all).slice(0, perKind) : all;
      return drawn.map(([first, second]) => ({ first, second, coefficient: weight / drawn.length }));
    }),
    available: kinds.reduce((sum, [all]) => sum + all.length, 0),
  };
}

/** Standard deviation of each coordinate over all rows of all samples. */
function deviations(samples: readonly Matrix[]): Float64Array {
  const all = stack(samples);
  const [rows, d] = all.shape;
  const mean = new Float64Array(d);
  const squares = new Float64Array(d);
  for (let i = 0; i < rows; i++) for (let j = 0; j < d; j++) mean[j] += all.data[i * d + j] / rows;
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < d; j++) squares[j] += (all.data[i * d + j] - mean[j]) ** 2;
  return squares.map((sum, j) => {
    const deviation = Math.sqrt(sum / (rows - 1));
    if (deviation > 0) return deviation;
    throw new ModalscopeError(
      `Dimension ${j} has the same value in every row.`,
      "It cannot be divided by its standard deviation.",
      "Leave it out, or pass standardise: false.",
    );
  });
}
