import { didYouMean, ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { openSafetensors, type SafetensorsReader, writeSafetensors } from "../checkpoint/index.js";

/** Captures of a run, by hook name: in memory, or in a file from which it is read as it is asked for. */
export class ActivationCache {
  private readonly tensors = new Map<string, Tensor>();

  constructor(private readonly file: SafetensorsReader | undefined = undefined) {}

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
   * @throws ModalscopeError when there is no such file, or it is damaged
   */
  static open(path: string): ActivationCache {
    return new ActivationCache(openSafetensors(path));
  }

  /** Closes the file, if there is one. */
  close(): void {
    this.file?.close();
  }
}
