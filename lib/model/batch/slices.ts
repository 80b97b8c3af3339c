/** Streams cut and joined along time and along rows, and added. */
import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";

/** Two streams of one shape, element by element. */
export function addTensors({ data, shape }: Tensor, other: Tensor): Tensor {
  const total = data.slice();
  const added = other.data;
  // A loop: a callback for each element takes ten times as long.
  for (let i = 0; i < total.length; i++) total[i] += added[i];
  return { data: total, shape };
}

/** Columns `from` … `to`−1 of (batch, time, …). */
export function sliceTime(x: Tensor, from: number, to: number): Tensor {
  const [size, time, ...rest] = x.shape;
  const width = sizeOf(rest);
  const data = zerosLike(x.data, size * (to - from) * width);
  for (let b = 0; b < size; b++) {
    data.set(x.data.subarray((b * time + from) * width, (b * time + to) * width), b * (to - from) * width);
  }
  return { data, shape: [size, to - from, ...rest] };
}

/** (batch, time_i, …) one after the other along time. */
export function concatTime(parts: readonly Tensor[]): Tensor {
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

/** Rows `from` … `to`−1 of (batch, …), without a copy. */
export function sliceBatch({ data, shape }: Tensor, from: number, to: number): Tensor {
  const [size, ...rest] = shape;
  const width = sizeOf(rest);
  const end = Math.min(size, to);
  return { data: data.subarray(from * width, end * width), shape: [end - from, ...rest] };
}

/** (batch_i, …) below each other. */
export function concatBatch(parts: readonly Tensor[]): Tensor {
  const data = zerosLike(
    parts[0].data,
    parts.reduce((n, p) => n + p.data.length, 0),
  );
  let at = 0;
  for (const p of parts) {
    data.set(p.data, at);
    at += p.data.length;
  }
  return { data, shape: [parts.reduce((n, p) => n + p.shape[0], 0), ...parts[0].shape.slice(1)] };
}
