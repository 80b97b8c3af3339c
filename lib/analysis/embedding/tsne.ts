import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, number, type OptionChecks, oneOf, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import {
  asMatrix,
  centreRows,
  type Matrix,
  type MatrixLike,
  squaredNorm,
  transpose,
  zeros,
} from "../linalg/matrix.js";
import { multiplyTransposed } from "../linalg/products.js";
import { topEigen } from "../linalg/top-eigen.js";
import { type Affinities, affinities } from "./affinities.js";
import { tsneCost, tsneGradient } from "./gradient.js";

/** Options of {@link tsne}. */
export interface TsneOptions extends TaskOptions {
  /** About how many neighbours each point minds. Default 30. */
  readonly perplexity?: number;
  /** Default 0. With the start "pca" every seed gives nearly the same embedding. */
  readonly seed?: number;
  /** Start of the points: on the first two principal axes (default), or at random. */
  readonly start?: "pca" | "random";
  /** Default 1000. */
  readonly iterations?: number;
  /** Factor of the affinities in the first iterations. Default 12. */
  readonly earlyExaggeration?: number;
  /** Iterations with that factor. Default 250. */
  readonly earlyExaggerationIterations?: number;
  /** Step size. Default: the larger of n/(4·exaggeration) and 50 (Belkina et al. 2019). */
  readonly learningRate?: number;
  /** Accuracy of the repulsion: cells that look smaller than this count as one point; 0 is exact, and slow. Default 0.5. */
  readonly theta?: number;
  /** Points are first projected on this many principal components: for thousands of points wider than ~1000. Default: not. */
  readonly components?: number;
}

const TSNE: OptionChecks<TsneOptions> = {
  ...TASK_OPTIONS,
  perplexity: number(1),
  seed: integer(),
  start: oneOf("pca", "random"),
  iterations: integer(0),
  earlyExaggeration: number(0),
  // Half of an odd number of iterations is as good.
  earlyExaggerationIterations: number(0),
  learningRate: number(0),
  theta: number(0),
  components: integer(1),
};

/** Points in the plane that {@link tsne} found. */
export interface Embedding {
  /** `(points, 2)`. */
  readonly coordinates: Matrix;
  /** KL(P‖Q) in nats: comparable between starts and seeds at one perplexity, not between perplexities. */
  readonly divergence: number;
  /** Norm of the gradient at the end; small when more iterations would change little. */
  readonly gradientNorm: number;
  readonly perplexity: number;
}

/**
 * t-SNE in the plane (van der Maaten & Hinton 2008), Barnes–Hut (van der Maaten 2014): early exaggeration, momentum 0.5
 * then 0.8, gains per coordinate. Same points, options and seed give the same embedding. Near points are truly near more
 * often than not (see `trustworthiness`); sizes of clusters and distances between them mean nothing.
 * @param points `(n, width)`.
 */
export async function tsne(points: MatrixLike, options: TsneOptions = {}): Promise<Embedding> {
  checkOptions("tsne", options, TSNE);
  const { perplexity = 30, components, onProgress, signal } = options;
  const given = asMatrix(points, "The points");
  const x = components === undefined ? given : principalCoordinates(given, components);
  const pairs = await affinities(x, perplexity, { onProgress, signal });
  const coordinates = startOf(given, options);
  const gradientNorm = await descend(coordinates, pairs, options);
  return { coordinates, divergence: tsneCost(coordinates.data, pairs), gradientNorm, perplexity };
}

/** Moves the points down the gradient, in place. */
async function descend(y: Matrix, pairs: Affinities, options: TsneOptions): Promise<number> {
  const {
    iterations = 1000,
    earlyExaggeration = 12,
    earlyExaggerationIterations = 250,
    theta = 0.5,
    onProgress,
    signal,
  } = options;
  const n = y.shape[0];
  const rate = options.learningRate ?? Math.max(n / (4 * earlyExaggeration), 50);
  const gradient = new Float64Array(2 * n);
  const step = new Float64Array(2 * n);
  const gain = new Float64Array(2 * n).fill(1);
  let breath = performance.now();
  for (let iteration = 0; iteration < iterations; iteration++) {
    const early = iteration < earlyExaggerationIterations;
    tsneGradient(y.data, pairs, { theta, exaggeration: early ? earlyExaggeration : 1 }, gradient);
    for (let c = 0; c < 2 * n; c++) {
      gain[c] = step[c] * gradient[c] < 0 ? gain[c] + 0.2 : Math.max(0.01, gain[c] * 0.8);
      step[c] = (early ? 0.5 : 0.8) * step[c] - rate * gain[c] * gradient[c];
      y.data[c] += step[c];
    }
    if (performance.now() - breath > 50 || iteration === iterations - 1) {
      onProgress?.(iteration + 1, iterations, "t-SNE");
      await nextTurn();
      signal?.throwIfAborted();
      breath = performance.now();
    }
  }
  y.data.set(centreRows(y).data);
  return Math.sqrt(squaredNorm(gradient));
}

/** Start of the points: spread 1e-4 along the first axis, so that repulsion is at first alike for all. */
function startOf(points: Matrix, { start = "pca", seed = 0 }: TsneOptions): Matrix {
  const n = points.shape[0];
  const random = seeded(seed);
  const y = zeros(n, 2);
  if (start === "random") {
    for (let c = 0; c < 2 * n; c++) y.data[c] = 1e-4 * random.normal();
    return y;
  }
  const axes = principalCoordinates(points, Math.min(2, points.shape[1]), seed);
  const width = axes.shape[1];
  let square = 0;
  for (let i = 0; i < n; i++) square += axes.data[i * width] ** 2 / n;
  if (square === 0) throw new ModalscopeError("All points are the same.", "There is nothing to embed.");
  for (let i = 0; i < n; i++)
    for (let j = 0; j < width; j++) y.data[2 * i + j] = (1e-4 * axes.data[i * width + j]) / Math.sqrt(square);
  return y;
}

/** Coordinates on the first `count` principal axes, `(n, count)`. */
export function principalCoordinates(points: MatrixLike, count: number, seed = 0): Matrix {
  const centred = centreRows(asMatrix(points, "The points"));
  const columns = transpose(centred);
  const covariance = (rows: Matrix): Matrix => multiplyTransposed(multiplyTransposed(rows, centred), columns);
  const { vectors } = topEigen(covariance, centred.shape[1], count, { tolerance: 1e-7, seed });
  return multiplyTransposed(centred, vectors);
}
