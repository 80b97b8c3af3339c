import { ModalscopeError } from "../../errors.js";
import { asMatrix, checkSame, type Matrix, type MatrixLike, squaredDistances } from "../linalg/matrix.js";

/**
 * Mean silhouette (Rousseeuw 1987): for each point `(b − a)/max(a, b)`, a its mean distance to the others of its group, b to
 * the nearest other group; 0 for a group of one. 1 for tight groups far apart, about 0 for none, negative when points
 * lie among others' groups.
 * @param points `(n, width)`. @param labels `(n)`, two groups or more.
 */
export function silhouette(points: MatrixLike, labels: ArrayLike<number | string>): number {
  return silhouetteOf(distances(points), labels);
}

/** Euclidean distances of all pairs, `(n, n)`. */
export function distances(points: MatrixLike): Matrix {
  const x = asMatrix(points, "The points");
  const squared = squaredDistances(x, x);
  return { data: squared.data.map(Math.sqrt), shape: squared.shape };
}

/** {@link silhouette} from the distances of all pairs, `(n, n)`. */
export function silhouetteOf(apart: Matrix, labels: ArrayLike<number | string>): number {
  return silhouettesOf(apart, labels).reduce((sum, value) => sum + value, 0) / labels.length;
}

/** Each point's silhouette, `(n)`, from the distances of all pairs. */
export function silhouettesOf(apart: Matrix, labels: ArrayLike<number | string>): Float64Array {
  const n = apart.shape[0];
  checkSame("silhouette", labels.length, n, "labels and points");
  const names = [...new Set(Array.from(labels))];
  if (names.length < 2) {
    throw new ModalscopeError(
      `A silhouette was asked of ${names.length} group.`,
      "It compares groups: two or more.",
    );
  }
  const group = Int32Array.from({ length: n }, (_, i) => names.indexOf(labels[i]));
  const sizes = new Float64Array(names.length);
  for (const g of group) sizes[g]++;
  const values = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    if (sizes[group[i]] === 1) continue;
    const to = new Float64Array(names.length);
    for (let j = 0; j < n; j++) to[group[j]] += apart.data[i * n + j];
    const own = to[group[i]] / (sizes[group[i]] - 1);
    const others = Math.min(
      ...to.map((total, g) => (g === group[i] ? Number.POSITIVE_INFINITY : total / sizes[g])),
    );
    const larger = Math.max(own, others);
    if (larger > 0) values[i] = (others - own) / larger;
  }
  return values;
}

/**
 * Clumping of points, without labels: mean distance to the nearest other point over the mean distance of all pairs.
 * Near 1 when all are equally far apart, 0 when each lies on another. Falls when points re-cluster, whatever the scale.
 * @param points `(n, width)`, three or more.
 */
export function knnLabelAgreement(points: MatrixLike): number {
  const apart = distances(points);
  const n = apart.shape[0];
  if (n < 3) throw new ModalscopeError(`${n} points cannot clump.`, "Three are needed.");
  let nearest = 0;
  let all = 0;
  for (let i = 0; i < n; i++) {
    let least = Number.POSITIVE_INFINITY;
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const distance = apart.data[i * n + j];
      least = Math.min(least, distance);
      all += distance / (n * (n - 1));
    }
    nearest += least / n;
  }
  if (all === 0) throw new ModalscopeError("All points are the same.");
  return nearest / all;
}
