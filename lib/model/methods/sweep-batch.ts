/** The rows of a sweep: copies of a batch below each other, from some column on. */
import { type Tensor, zerosLike } from "../../tensor.js";
import { concatBatch, type KeyValues, type Pass, subPass } from "../batch/index.js";

/**
 * A pass over the columns from `column` on, of a copy of the batch for each of `copies`, on top of the clean keys of
 * block `l`, to be run through that block. The copies differ in what their images bring.
 */
export function tileFrom(
  whole: Pass,
  copies: readonly Pass[],
  column: number,
  l: number,
  keys?: KeyValues,
): Pass {
  const n = copies.length;
  const repeat = <T>(rows: readonly T[]): T[] => copies.flatMap(() => rows);
  const tiled: Pass = {
    ...whole,
    size: whole.size * n,
    positionIds: whole.positionIds.map((axis) => repeated(axis, n)),
    keyMask: repeated(whole.keyMask, n),
    tokenPositions: repeat(whole.tokenPositions),
    last: repeat(whole.last),
    bidirectionalSpans: whole.bidirectionalSpans && repeated(whole.bidirectionalSpans, n),
    injections: whole.injections?.has(l)
      ? new Map([[l, concatBatch(copies.map((c) => c.injections!.get(l)!))]])
      : undefined,
  };
  const past: (KeyValues | undefined)[] = [];
  if (column > 0 && keys) {
    const tile = (x: Tensor): Tensor => concatBatch(copies.map(() => firstKeys(x, column)));
    past[l] = { key: tile(keys.key), value: tile(keys.value) };
  }
  return subPass(tiled, column, whole.seqLength, past);
}

/** The column from which on something changes: tokens of an image that attend to each other change together. */
export function spanStart(
  {
    bidirectionalSpans: spans,
    size,
    seqLength: time,
  }: Pick<Pass, "bidirectionalSpans" | "size" | "seqLength">,
  column: number,
): number {
  if (!spans || column === time) return column;
  let first = column;
  for (let b = 0; b < size; b++) {
    const own = spans.subarray(b * time, (b + 1) * time);
    if (own[first]) first = own.indexOf(own[first]);
  }
  // A row before may have an image there.
  return first === column ? first : spanStart({ bidirectionalSpans: spans, size, seqLength: time }, first);
}

function repeated<D extends Int32Array | Uint8Array>(data: D, copies: number): D {
  const out = zerosLike(data, data.length * copies);
  for (let i = 0; i < copies; i++) out.set(data, i * data.length);
  return out;
}

/** Keys of the first `n` columns: (batch, heads, keys, size) → (batch, heads, n, size). */
function firstKeys(x: Tensor, n: number): Tensor {
  const [size, heads, keys, width] = x.shape;
  const data = zerosLike(x.data, size * heads * n * width);
  for (let i = 0; i < size * heads; i++) {
    data.set(x.data.subarray(i * keys * width, (i * keys + n) * width), i * n * width);
  }
  return { data, shape: [size, heads, n, width] };
}
