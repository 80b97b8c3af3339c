import { sizeOf, type Tensor } from "../../../tensor.js";
import { openFile } from "../files.js";
import { readSlices, readWeight, type StoredWeight } from "../store.js";
import { readHeader } from "./header.js";

/** A safetensors file held open; tensors are read when they are asked for. */
export interface SafetensorsReader {
  readonly names: readonly string[];
  /** A tensor as float32, whatever its stored type; undefined where the file has none of this name. */
  read(name: string): Tensor | undefined;
  /** A tensor's shape; undefined where the file has none of this name. */
  shapeOf(name: string): readonly number[] | undefined;
  /**
   * Rows of a tensor's last axis as float32, counted through all its other axes: row i · b + j of (a, b, c) is [i, j].
   * Nothing else is read.
   * @throws ModalscopeError for a row that is not there
   */
  readRows(name: string, rows: readonly number[]): Float32Array | undefined;
  close(): void;
}

/**
 * Opens a safetensors file and checks its header.
 * @throws ModalscopeError when it is damaged
 */
export function openSafetensors(path: string): SafetensorsReader {
  const file = openFile(path);
  const { tensors } = readHeader(file);
  const stored = (name: string): StoredWeight | undefined => {
    const entry = tensors.get(name);
    return entry && { name, ...entry, file: path, source: file };
  };
  return {
    names: [...tensors.keys()],
    shapeOf: (name) => tensors.get(name)?.shape,
    read(name) {
      const weight = stored(name);
      return weight && { shape: weight.shape, data: readWeight(weight) };
    },
    readRows(name, rows) {
      const weight = stored(name);
      if (!weight) return undefined;
      const width = weight.shape.at(-1) ?? 1;
      const matrix = [width === 0 ? 0 : sizeOf(weight.shape) / width, width];
      return readSlices({ ...weight, shape: matrix }, rows);
    },
    close: () => file.close(),
  };
}

/**
 * Reads a whole safetensors file as float32 tensors, whatever their stored types.
 * @throws ModalscopeError when it is damaged, or holds a type that cannot be read
 */
export function readSafetensors(path: string): Map<string, Tensor> {
  const file = openSafetensors(path);
  try {
    return new Map(file.names.map((name) => [name, file.read(name)!]));
  } finally {
    file.close();
  }
}
