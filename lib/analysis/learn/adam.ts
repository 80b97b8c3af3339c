/**
 * One step of Adam (Kingma and Ba 2015) with β 0.9 and 0.999, in place: `w` moves, `m` and `v` are its moments.
 * @param step counted from 1.
 */
export function adamStep(
  w: Float32Array | Float64Array,
  g: Float64Array,
  { m, v }: { readonly m: Float64Array; readonly v: Float64Array },
  learningRate: number,
  step: number,
): void {
  for (let i = 0; i < w.length; i++) {
    m[i] = 0.9 * m[i] + 0.1 * g[i];
    v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
    w[i] -= (learningRate * (m[i] / (1 - 0.9 ** step))) / (Math.sqrt(v[i] / (1 - 0.999 ** step)) + 1e-8);
  }
}
