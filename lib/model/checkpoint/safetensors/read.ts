import type { Tensor } from "../../../tensor.js";
import { openFile } from "../files.js";
import { readWeight } from "../store.js";
import { readHeader } from "./header.js";

/** A safetensors file held open; tensors are read when they are asked for. */
export interface SafetensorsReader {
  readonly names: readonly string[];
  /** A tensor as float32, whatever its stored type; undefined where the file has none of this name. */
  read(name: string): Tensor | undefined;
  close(): void;
}

/**
 * Opens a safetensors file and checks its header.
 * @throws ModalscopeError when it is damaged
 */
export function openSafetensors(path: string): SafetensorsReader {
  const file = openFile(path);
  const { tensors } = readHeader(file);
  return {
    names: [...tensors.keys()],
    read(name) {
      const entry = tensors.get(name);
      if (!entry) return undefined;
      return { shape: entry.shape, data: readWeight({ name, ...entry, file: path, source: file }) };
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
