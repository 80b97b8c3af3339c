/** Arrays on their way down: which columns of them count, and their axes. */
import { sizeOf, type Tensor } from "../../tensor.js";
import type { HeldRun } from "../backward/index.js";

/** Some at once, in order. */
export function chunksOf<T>(all: readonly T[], atOnce = 64): T[][] {
  return Array.from({ length: Math.ceil(all.length / atOnce) }, (_, i) =>
    all.slice(i * atOnce, (i + 1) * atOnce),
  );
}

/** For each column, the number of columns from the first on outside which its cotangents stay zero. */
export function reachOfColumns({ values }: HeldRun, time: number): number[] {
  const closed = new Array<boolean>(time + 1).fill(true);
  for (const [name, { data, shape }] of values) {
    if (!name.endsWith("attn.hook_pattern")) continue;
    for (let row = 0; row < sizeOf(shape.slice(0, -1)); row++) {
      const query = row % time;
      for (let key = time - 1; key > query; key--) {
        if (data[row * time + key] === 0) continue;
        closed.fill(false, query + 1, key + 1);
        break;
      }
    }
  }
  return Array.from({ length: time }, (_, column) => {
    let n = column + 1;
    while (!closed[n]) n++;
    return n;
  });
}

/** (time, K, width) → (1, time, width, K). */
export function columnsLast({ data, shape: [time, count, width] }: Tensor): Tensor {
  const out = new (data.constructor as new (n: number) => Float32Array)(data.length);
  for (let t = 0; t < time; t++) {
    for (let k = 0; k < count; k++) {
      for (let j = 0; j < width; j++) out[(t * width + j) * count + k] = data[(t * count + k) * width + j];
    }
  }
  return { data: out, shape: [1, time, width, count] };
}

/** (rows, 1, time, width) by (1, time, width, K): (time, rows, K). */
export function projectStream(g: Tensor, vectors: Tensor): Tensor {
  const [rows, , time, width] = g.shape;
  const count = vectors.shape[3];
  const data = new (g.data.constructor as new (n: number) => Float32Array)(time * rows * count);
  for (let t = 0; t < time; t++) {
    for (let r = 0; r < rows; r++) {
      const to = (t * rows + r) * count;
      for (let j = 0; j < width; j++) {
        const value = g.data[(r * time + t) * width + j];
        if (value === 0) continue;
        const from = (t * width + j) * count;
        for (let k = 0; k < count; k++) data[to + k] += value * vectors.data[from + k];
      }
    }
  }
  return { data, shape: [time, rows, count] };
}

/** Leaves out the axis of a batch of one. */
export const withoutBatch = ({ data, shape }: Tensor, axis: number): Tensor => ({
  data,
  shape: shape.filter((_, i) => i !== axis),
});

/** As one axis. */
export const flat = ({ data }: Tensor): Tensor => ({ data, shape: [data.length] });
