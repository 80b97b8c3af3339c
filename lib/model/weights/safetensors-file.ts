import type { Tensor } from "../../tensor.js";
import { openFile } from "./files.js";
import { readHeader } from "./safetensors.js";
import { readWeight } from "./store.js";

/**
 * Reads a whole safetensors file as float32 tensors, whatever their stored types.
 * @throws ModalscopeError when it is damaged, or holds a type that cannot be read
 */
export function readSafetensors(path: string): Map<string, Tensor> {
  const file = openFile(path);
  try {
    const tensors = new Map<string, Tensor>();
    for (const [name, entry] of readHeader(file).tensors) {
      tensors.set(name, {
        shape: entry.shape,
        data: readWeight({ name, ...entry, file: path, source: file }),
      });
    }
    return tensors;
  } finally {
    file.close();
  }
}
