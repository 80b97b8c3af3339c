/** Folds of cross-validation. */
import { ModalscopeError } from "../../errors.js";
import { seeded } from "../../random.js";
import { checkSame } from "../linalg/matrix.js";

/**
 * The fold of each sample, `(n)`: stratified, so that each class is spread evenly over the folds; samples of one cluster
 * (an image, a template) stay together, and count where most of the cluster's labels are.
 * @param labels `(n)`: classes, numbered from 0.
 * @throws ModalscopeError where a class has fewer clusters than there are folds.
 */
export function stratifiedFolds(
  labels: ArrayLike<number>,
  folds: number,
  { clusters, seed = 0 }: { readonly clusters?: ArrayLike<number | string>; readonly seed?: number } = {},
): Int32Array {
  if (clusters) checkSame("stratifiedFolds", clusters.length, labels.length, "clusters and labels");
  const members = new Map<number | string, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const key = clusters?.[i] ?? i;
    members.set(key, [...(members.get(key) ?? []), i]);
  }
  const byClass = new Map<number, (readonly number[])[]>();
  for (const own of members.values()) {
    const label = commonest(own.map((i) => labels[i]));
    byClass.set(label, [...(byClass.get(label) ?? []), own]);
  }
  const out = new Int32Array(labels.length);
  const random = seeded(seed);
  let next = 0;
  for (const [label, groups] of [...byClass].sort(([a], [b]) => a - b)) {
    if (groups.length < folds) {
      throw new ModalscopeError(
        `Class ${label} has ${groups.length} independent samples, and there are ${folds} folds.`,
        "Each fold needs one of every class.",
        "Take fewer folds, or more samples of the class.",
      );
    }
    for (const own of random.shuffle(groups)) {
      for (const i of own) out[i] = next % folds;
      next++;
    }
  }
  return out;
}

function commonest(labels: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}
