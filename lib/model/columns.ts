/** Cutting and joining streams along time. */
import { sizeOf, type Tensor, zerosLike } from "../tensor.js";

/** Columns `from` … `to`−1 of (batch, time, …). */
export function columns(x: Tensor, from: number, to: number): Tensor {
  const [size, time, ...rest] = x.shape;
  const width = sizeOf(rest);
  const data = zerosLike(x.data, size * (to - from) * width);
  for (let b = 0; b < size; b++) {
    data.set(x.data.subarray((b * time + from) * width, (b * time + to) * width), b * (to - from) * width);
  }
  return { data, shape: [size, to - from, ...rest] };
}

/** (batch, time_i, …) one after the other along time. */
export function joinColumns(parts: readonly Tensor[]): Tensor {
  const [size, , ...rest] = parts[0].shape;
  const width = sizeOf(rest);
  const time = parts.reduce((n, p) => n + p.shape[1], 0);
  const data = zerosLike(parts[0].data, size * time * width);
  let column = 0;
  for (const p of parts) {
    const own = p.shape[1] * width;
    for (let b = 0; b < size; b++)
      data.set(p.data.subarray(b * own, (b + 1) * own), (b * time + column) * width);
    column += p.shape[1];
  }
  return { data, shape: [size, time, ...rest] };
}
