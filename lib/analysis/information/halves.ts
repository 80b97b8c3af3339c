import { ModalscopeError } from "../../errors.js";
import type { Random } from "../../random.js";
import { checkSame } from "../linalg/matrix.js";

/** Row indices of each cluster, in the order of their first rows; without clusters every row is its own. */
export function clusterMembers(n: number, clusters: ArrayLike<number | string> | undefined): number[][] {
  if (clusters === undefined) return Array.from({ length: n }, (_, i) => [i]);
  checkSame("The clusters and the samples", clusters.length, n, "rows");
  const members = new Map<number | string, number[]>();
  for (let i = 0; i < n; i++) {
    const own = members.get(clusters[i]);
    if (own) own.push(i);
    else members.set(clusters[i], [i]);
  }
  return [...members.values()];
}

/**
 * Two random halves of `n` rows, each in increasing order; no cluster is cut, so they can differ in size.
 * @throws ModalscopeError when all rows belong to one cluster.
 */
export function splitHalves(
  n: number,
  clusters: ArrayLike<number | string> | undefined,
  random: Random,
): [number[], number[]] {
  const members = random.shuffle(clusterMembers(n, clusters));
  if (members.length < 2) {
    throw new ModalscopeError(
      "All rows belong to one cluster.",
      "They cannot be split into halves.",
      "Use several clusters, or none.",
    );
  }
  const halves: [number[], number[]] = [[], []];
  for (const own of members) halves[halves[0].length <= halves[1].length ? 0 : 1].push(...own);
  return [halves[0].sort((a, b) => a - b), halves[1].sort((a, b) => a - b)];
}
