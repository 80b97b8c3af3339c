/** Starting values that make arithmetic quick to learn. */
import { seeded } from "../../../lib/random.js";
import type { Tensor } from "../../../lib/tensor.js";

/** Periods of the numbers' first embedding, in units: what carries and tables repeat with. */
const PERIODS = [2, 4, 5, 10, 20, 25, 50, 100, 200, 400];

/**
 * Puts the rows of 0 … 99 on circles: cosine and sine of each period along random orthogonal directions, as long as
 * the first row. Trained transformers find such circles by themselves, but slowly (Nanda et al. 2023,
 * https://arxiv.org/abs/2301.05217).
 * @param embedding or the head that reads numbers back: (vocabulary, width)
 * @param id of a number's token
 */
export function fourierNumbers(embedding: Tensor, id: (n: number) => number, seed: number): void {
  const [, width] = embedding.shape;
  const random = seeded(seed + 1);
  const directions = orthonormal(2 * PERIODS.length, width, () => random.normal());
  const size = Math.hypot(...embedding.data.subarray(0, width)) / Math.sqrt(PERIODS.length);
  for (let n = 0; n < 100; n++) {
    const row = embedding.data.subarray(id(n) * width, (id(n) + 1) * width).fill(0);
    PERIODS.forEach((period, p) => {
      const angle = (2 * Math.PI * n) / period;
      for (let i = 0; i < width; i++) {
        row[i] +=
          size * (Math.cos(angle) * directions[2 * p][i] + Math.sin(angle) * directions[2 * p + 1][i]);
      }
    });
  }
}

/** `count` orthonormal vectors by Gram–Schmidt. */
function orthonormal(count: number, width: number, normal: () => number): Float64Array[] {
  const found: Float64Array[] = [];
  while (found.length < count) {
    const v = Float64Array.from({ length: width }, normal);
    for (const u of found) {
      const dot = u.reduce((s, x, i) => s + x * v[i], 0);
      for (let i = 0; i < width; i++) v[i] -= dot * u[i];
    }
    const norm = Math.hypot(...v);
    found.push(v.map((x) => x / norm));
  }
  return found;
}
