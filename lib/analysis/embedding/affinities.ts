import { ModalscopeError } from "../../errors.js";
import { checkOptions, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { asMatrix, type MatrixLike } from "../linalg/matrix.js";
import { type Neighbours, nearestNeighbours } from "./neighbours.js";

/** Symmetric probabilities of pairs, `Σ_ij p_ij = 1`, by row: point i's are at `starts[i]` … `starts[i+1] − 1`. */
export interface Affinities {
  /** `(n + 1)`. */
  readonly starts: Int32Array;
  /** The other point of each pair. */
  readonly columns: Int32Array;
  readonly values: Float64Array;
}

/**
 * t-SNE's affinities `p_ij = (p_j|i + p_i|j)/2n`, `p_j|i ∝ exp(−β_i ‖x_i − x_j‖²)` over the 3·perplexity + 1 nearest points
 * (van der Maaten 2014), with β_i such that `exp(H(p_·|i))` is the perplexity, in float64 to 1e-10 nats.
 * @throws ModalscopeError unless 1 < perplexity < n − 1.
 */
export async function affinities(
  points: MatrixLike,
  perplexity: number,
  call: TaskOptions = {},
): Promise<Affinities> {
  checkOptions("affinities", call, TASK_OPTIONS);
  const x = asMatrix(points, "The points");
  const n = x.shape[0];
  if (!(perplexity > 1 && perplexity < n - 1)) {
    throw new ModalscopeError(
      `A perplexity of ${perplexity} does not fit ${n} points.`,
      "It is about the number of neighbours that each point minds: above 1, and below the number of other points.",
      n > 4 ? `A third of them or fewer is usual: ${Math.max(2, Math.floor((n - 1) / 3))}.` : "",
    );
  }
  const neighbours = await nearestNeighbours(x, Math.min(n - 1, Math.floor(3 * perplexity + 1)), call);
  const { count, squared } = neighbours;
  const conditional = new Float64Array(n * count);
  for (let i = 0; i < n; i++) {
    conditional.set(
      calibrated(squared.subarray(i * count, (i + 1) * count), Math.log(perplexity)),
      i * count,
    );
  }
  return symmetric(n, neighbours, conditional);
}

/** Probabilities ∝ exp(−β d) with the wanted entropy in nats; where more points coincide than it allows, the nearest β. */
function calibrated(distances: Float64Array, wanted: number): Float64Array {
  // Distances come sorted. Without the shift all of them could underflow.
  const d = distances.map((value) => value - distances[0]);
  const p = new Float64Array(d.length);
  const scale = d.reduce((sum, value) => sum + value, 0) / d.length || 1;
  let [low, high] = [0, Number.POSITIVE_INFINITY];
  let beta = 1 / scale;
  for (let step = 0; step < 200; step++) {
    let sum = 0;
    let weighted = 0;
    for (let k = 0; k < d.length; k++) {
      p[k] = Math.exp(-beta * d[k]);
      sum += p[k];
      weighted += d[k] * p[k];
    }
    const surplus = Math.log(sum) + (beta * weighted) / sum - wanted;
    for (let k = 0; k < d.length; k++) p[k] /= sum;
    if (Math.abs(surplus) < 1e-10) break;
    if (surplus > 0) low = beta;
    else high = beta;
    beta = high === Number.POSITIVE_INFINITY ? 2 * beta : (low + high) / 2;
  }
  return p;
}

/** `(P + Pᵀ)/2n` of a sparse P. */
function symmetric(n: number, { count, index }: Neighbours, conditional: Float64Array): Affinities {
  const rows = Array.from({ length: n }, () => new Map<number, number>());
  const add = (i: number, j: number, value: number): void => {
    rows[i].set(j, (rows[i].get(j) ?? 0) + value);
  };
  for (let i = 0; i < n; i++) {
    for (let k = i * count; k < (i + 1) * count; k++) {
      const half = conditional[k] / (2 * n);
      if (half === 0) continue;
      add(i, index[k], half);
      add(index[k], i, half);
    }
  }
  const starts = new Int32Array(n + 1);
  rows.forEach((own, i) => {
    starts[i + 1] = starts[i] + own.size;
  });
  const columns = new Int32Array(starts[n]);
  const values = new Float64Array(starts[n]);
  rows.forEach((own, i) => {
    let at = starts[i];
    for (const [j, value] of own) {
      columns[at] = j;
      values[at++] = value;
    }
  });
  return { starts, columns, values };
}
