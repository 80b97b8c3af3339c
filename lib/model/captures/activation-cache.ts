import { didYouMean, ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { openSafetensors, writeSafetensors } from "../checkpoint/index.js";
import { openShards, type StoredTensors } from "./shards.js";

/** Captures of a run, by hook name: in memory, or in files from which they are read as they are asked for. */
export class ActivationCache {
  private readonly tensors = new Map<string, Tensor>();

  constructor(private readonly file: StoredTensors | undefined = undefined) {}

  /** @throws ModalscopeError naming the nearest names when the run kept no such hook */
  get(name: string): Tensor {
    const found = this.tensors.get(name) ?? this.file?.read(name);
    if (found) return found;
    throw new ModalscopeError(
      `The run kept nothing under "${name}".`,
      "",
      didYouMean(name, this.names) || `Ask for it: capture: ["${name}"].`,
    );
  }

  has(name: string): boolean {
    return this.tensors.has(name) || (this.file?.names.includes(name) ?? false);
  }

  set(name: string, value: Tensor): void {
    this.tensors.set(name, value);
  }

  get names(): string[] {
    return [...(this.file?.names ?? []), ...this.tensors.keys()];
  }

  /** Bytes held in memory. */
  get bytes(): number {
    let total = 0;
    for (const { data } of this.tensors.values()) total += data.byteLength;
    return total;
  }

  /**
   * Writes all tensors to a safetensors file, which Python opens too.
   * @throws ModalscopeError when it cannot be written
   */
  save(path: string, metadata: Readonly<Record<string, string>> = {}): void {
    writeSafetensors(path, Object.fromEntries(this.names.map((name) => [name, this.get(name)])), metadata);
  }

  /**
   * Opens what `save`, or a run with `captureTo`, wrote. Tensors are read when they are asked for.
   * @param path a file, or the files of runs over further prompts: each tensor then holds the rows of all, in order
   * @throws ModalscopeError when there is no such file, it is damaged, or the files do not hold the same captures
   */
  static open(path: string | readonly string[]): ActivationCache {
    return new ActivationCache(typeof path === "string" ? openSafetensors(path) : openShards(path));
  }

  /** Closes the files, if there are any. */
  close(): void {
    this.file?.close();
  }
}
