import { ModalscopeError } from "../../errors.js";
import { checkOptions, numeric, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike } from "../linalg/matrix.js";
import { eachRowOfDistances, nearestNeighbours } from "./neighbours.js";

/**
 * Trustworthiness of an embedding (Venna & Kaski 2001): `1 − 2/(nk(2n−3k−1)) Σ_i Σ_{j∈U_k(i)} (r(i,j) − k)`, U_k(i) the
 * embedding's k nearest of i that are not so in the original space, r their rank there. 1 when no neighbour is false;
 * about 0.5 by chance. Swapping the arguments gives the continuity: 1 when no true neighbour is torn away.
 * @param points `(n, width)`. @param embedding `(n, dimensions)`. @param neighbours k. Default 5.
 * @throws ModalscopeError unless k < n/2.
 */
export async function trustworthiness(
  points: MatrixLike,
  embedding: MatrixLike,
  options: TaskOptions & { readonly neighbours?: number } = {},
): Promise<number> {
  checkOptions("trustworthiness", options, { ...TASK_OPTIONS, neighbours: numeric });
  const { neighbours: k = 5, ...call } = options;
  const x: Matrix = asMatrix(points, "The points");
  const y = asMatrix(embedding, "The embedding");
  const n = x.shape[0];
  checkSame("trustworthiness", y.shape[0], n, "points");
  if (!(k >= 1 && k < n / 2)) {
    throw new ModalscopeError(
      `Trustworthiness of ${k} neighbours was asked of ${n} points.`,
      "k must be below n/2.",
    );
  }
  const { index } = await nearestNeighbours(y, k, call);
  let penalty = 0;
  await eachRowOfDistances(x, call, (i, distances) => {
    for (const j of index.subarray(i * k, (i + 1) * k)) {
      let rank = 1;
      for (let other = 0; other < n; other++) if (other !== i && distances[other] < distances[j]) rank++;
      penalty += Math.max(0, rank - k);
    }
  });
  return 1 - (2 * penalty) / (n * k * (2 * n - 3 * k - 1));
}
