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
 * Random parts of `n` rows, about equally large, each in increasing order; no cluster is cut.
 * @throws ModalscopeError when there are fewer clusters than parts.
 */
export function splitParts(
  n: number,
  clusters: ArrayLike<number | string> | undefined,
  count: number,
  random: Random,
): number[][] {
  const members = random.shuffle(clusterMembers(n, clusters));
  if (members.length < count) {
    throw new ModalscopeError(
      `${n} rows in ${members.length} clusters cannot be split into ${count} parts.`,
      "No cluster may be in two parts.",
      "Use more clusters, or none.",
    );
  }
  const parts = Array.from({ length: count }, (): number[] => []);
  for (const own of members) {
    const smallest = parts.reduce((least, part) => (part.length < least.length ? part : least));
    smallest.push(...own);
  }
  return parts.map((part) => part.sort((a, b) => a - b));
}

/** Two parts of {@link splitParts}. */
export function splitHalves(
  n: number,
  clusters: ArrayLike<number | string> | undefined,
  random: Random,
): [number[], number[]] {
  const [first, second] = splitParts(n, clusters, 2, random);
  return [first, second];
}
