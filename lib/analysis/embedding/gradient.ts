import type { Affinities } from "./affinities.js";
import { quadtree } from "./quadtree.js";

/**
 * Gradient of t-SNE's cost by the plane's points (van der Maaten 2014, eq. 5–7), into `out (n, 2)`:
 * `4 Σ_j (e·p_ij − q_ij) w_ij (y_i − y_j)`, `w = 1/(1 + ‖y_i − y_j‖²)`, `q = w/Σw`. Cells of the quadtree that look
 * smaller than `theta` from a point repel as one; theta 0 is exact.
 * @param exaggeration e, which multiplies the affinities.
 */
export function tsneGradient(
  points: Float64Array,
  { starts, columns, values }: Affinities,
  { theta, exaggeration }: { readonly theta: number; readonly exaggeration: number },
  out: Float64Array,
): void {
  const n = starts.length - 1;
  const { cells, after, mass, x, y, size, leaf, order } = quadtree(points, n);
  const limit = theta * theta;
  let normaliser = 0;
  // Points are visited in the tree's order, so that each walk finds the last one's cells in the cache.
  for (let k = 0; k < n; k++) {
    const i = order[k];
    const px = points[2 * i];
    const py = points[2 * i + 1];
    const own = leaf[i];
    let fx = 0;
    let fy = 0;
    for (let c = 0; c < cells; ) {
      const dx = px - x[c];
      const dy = py - y[c];
      const d = dx * dx + dy * dy;
      if (size[c] === 0 || size[c] < limit * d) {
        const w = 1 / (1 + d);
        if (c === own) normaliser += mass[c] - 1;
        else {
          const pull = mass[c] * w;
          normaliser += pull;
          fx += pull * w * dx;
          fy += pull * w * dy;
        }
        c = after[c];
      } else c++;
    }
    out[2 * i] = fx;
    out[2 * i + 1] = fy;
  }
  for (let i = 0; i < n; i++) {
    const px = points[2 * i];
    const py = points[2 * i + 1];
    let fx = 0;
    let fy = 0;
    for (let k = starts[i]; k < starts[i + 1]; k++) {
      const j = columns[k];
      const dx = px - points[2 * j];
      const dy = py - points[2 * j + 1];
      const pull = values[k] / (1 + dx * dx + dy * dy);
      fx += pull * dx;
      fy += pull * dy;
    }
    out[2 * i] = 4 * (exaggeration * fx - out[2 * i] / normaliser);
    out[2 * i + 1] = 4 * (exaggeration * fy - out[2 * i + 1] / normaliser);
  }
}

/** t-SNE's cost `KL(P‖Q) = Σ p_ij ln(p_ij/q_ij)` in nats, exact over all pairs. */
export function tsneCost(points: Float64Array, { starts, columns, values }: Affinities): number {
  const n = starts.length - 1;
  const weight = (i: number, j: number): number => {
    const dx = points[2 * i] - points[2 * j];
    const dy = points[2 * i + 1] - points[2 * j + 1];
    return 1 / (1 + dx * dx + dy * dy);
  };
  let normaliser = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) normaliser += 2 * weight(i, j);
  let cost = 0;
  for (let i = 0; i < n; i++) {
    for (let k = starts[i]; k < starts[i + 1]; k++) {
      cost += values[k] * Math.log((values[k] * normaliser) / weight(i, columns[k]));
    }
  }
  return cost;
}
