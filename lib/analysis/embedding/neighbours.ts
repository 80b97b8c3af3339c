import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { centreRows, firstRows, type Matrix, row, squaredNorm } from "../linalg/matrix.js";
import { multiplyTransposed } from "../linalg/products.js";

/** The nearest other points of each point. */
export interface Neighbours {
  readonly count: number;
  /** `(n, count)`, nearest first. */
  readonly index: Int32Array;
  /** `(n, count)`: squared distances. */
  readonly squared: Float64Array;
}

/** Points per block: one block of distances to all points stays small. */
const BLOCK = 128;

/** Exact nearest neighbours by Euclidean distance; of equally distant points the one that comes first. */
export async function nearestNeighbours(
  points: Matrix,
  count: number,
  call: TaskOptions = {},
): Promise<Neighbours> {
  const n = points.shape[0];
  if (!(count >= 1 && count < n)) {
    throw new ModalscopeError(`${count} neighbours were asked of each of ${n} points.`);
  }
  const index = new Int32Array(n * count);
  const squared = new Float64Array(n * count);
  await eachRowOfDistances(points, call, (i, distances) => {
    distances[i] = Number.POSITIVE_INFINITY;
    const own = index.subarray(i * count, (i + 1) * count);
    const far = squared.subarray(i * count, (i + 1) * count);
    let held = 0;
    for (let j = 0; j < n; j++) {
      const d = distances[j];
      if (held === count && d >= far[count - 1]) continue;
      let at = held < count ? held++ : count - 1;
      for (; at > 0 && far[at - 1] > d; at--) {
        far[at] = far[at - 1];
        own[at] = own[at - 1];
      }
      far[at] = d;
      own[at] = j;
    }
  });
  return { count, index, squared };
}

/**
 * Calls `visit` with each point's squared distances to all points `(n)`, which it may change. They come from products
 * of centred rows: fast, and exact to 1e-15 of the squared norms.
 */
export async function eachRowOfDistances(
  points: Matrix,
  { onProgress, signal }: TaskOptions,
  visit: (i: number, distances: Float64Array) => void,
): Promise<void> {
  const centred = centreRows(points);
  const [n, width] = centred.shape;
  const norms = Float64Array.from({ length: n }, (_, i) => squaredNorm(row(centred, i)));
  for (let start = 0; start < n; start += BLOCK) {
    signal?.throwIfAborted();
    const size = Math.min(BLOCK, n - start);
    const block = firstRows({ data: centred.data.subarray(start * width), shape: centred.shape }, size);
    const products = multiplyTransposed(block, centred);
    for (let i = 0; i < size; i++) {
      const distances = row(products, i);
      for (let j = 0; j < n; j++) distances[j] = Math.max(0, norms[start + i] + norms[j] - 2 * distances[j]);
      visit(start + i, distances);
    }
    onProgress?.(start + size, n, "distances");
    await nextTurn();
  }
}
