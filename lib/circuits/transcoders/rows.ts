/** Matrices that are read by row: held in memory, or left in their file. */
import type { SafetensorsReader } from "../../model/checkpoint/index.js";

/** A matrix (count, width). */
export interface RowMatrix {
  readonly count: number;
  readonly width: number;
  /** The rows of these numbers, one after the other. */
  rows(ids: ArrayLike<number>): Float32Array;
  /** Rows `first … end − 1`. */
  range(first: number, end: number): Float32Array;
}

/** Matrices up to this size are held once they have been read; others are read from the file each time. */
const HELD_BYTES = 2 ** 24;

/** A matrix in memory. */
export function matrixOf(data: Float32Array, width: number): RowMatrix {
  return {
    count: data.length / width,
    width,
    rows(ids) {
      const out = new Float32Array(ids.length * width);
      for (let i = 0; i < ids.length; i++)
        out.set(data.subarray(ids[i] * width, (ids[i] + 1) * width), i * width);
      return out;
    },
    range: (first, end) => data.subarray(first * width, end * width),
  };
}

/**
 * A tensor of a safetensors file as the matrix of its last axis, read when it is asked for.
 * @param checked takes what is read of it and throws where it is not sound
 */
export function matrixIn(
  file: SafetensorsReader,
  name: string,
  checked: (data: Float32Array) => Float32Array,
): RowMatrix {
  const shape = file.shapeOf(name)!;
  const width = shape[shape.length - 1];
  const count = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const rows = (ids: ArrayLike<number>): Float32Array => checked(file.readRows(name, Array.from(ids))!);
  return heldRows({
    count,
    width,
    rows,
    range: (first, end) =>
      end - first === count
        ? checked(file.read(name)!.data)
        : rows(Array.from({ length: end - first }, (_, i) => first + i)),
  });
}

/** The same matrix, made whole once when it is first asked for, unless it is too large to be held. */
export function heldRows(matrix: RowMatrix): RowMatrix {
  const { count, width } = matrix;
  if (count * width * 4 > HELD_BYTES) return matrix;
  let held: RowMatrix | undefined;
  const whole = (): RowMatrix => {
    held ??= matrixOf(matrix.range(0, count), width);
    return held;
  };
  return {
    count,
    width,
    rows: (ids) => whole().rows(ids),
    range: (first, end) => whole().range(first, end),
  };
}

/** The transpose of a matrix (rows, columns) in memory. */
export function transposed(data: Float32Array, columns: number): Float32Array {
  const rows = data.length / columns;
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
  return out;
}
