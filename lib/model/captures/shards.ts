/** Captures of several runs, each in a file of its own, as one. */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { concatBatch } from "../batch/index.js";
import { openSafetensors, type SafetensorsReader } from "../checkpoint/index.js";

/** Tensors in files, read as they are asked for. */
export interface StoredTensors {
  readonly names: readonly string[];
  /** Undefined where there is none of this name. */
  read(name: string): Tensor | undefined;
  close(): void;
}

interface Shard {
  readonly path: string;
  readonly file: SafetensorsReader;
}

/**
 * Files whose tensors follow each other by rows, the first axis.
 * @throws ModalscopeError when there are none, one cannot be opened, or they differ in names or in another axis
 */
export function openShards(paths: readonly string[]): StoredTensors {
  const shards: Shard[] = [];
  const close = (): void => {
    for (const { file } of shards) file.close();
  };
  try {
    for (const path of paths) shards.push({ path, file: openSafetensors(path) });
    checkAlike(shards);
  } catch (error) {
    close();
    throw error;
  }
  const [{ file: first }] = shards;
  return {
    names: first.names,
    read: (name) =>
      first.names.includes(name) ? concatBatch(shards.map(({ file }) => file.read(name)!)) : undefined,
    close,
  };
}

function checkAlike(shards: readonly Shard[]): void {
  if (shards.length === 0) throw new ModalscopeError("There are no captures to open.", "The list is empty.");
  const [first, ...others] = shards;
  for (const { path, file } of others) {
    const odd =
      first.file.names.find((name) => file.shapeOf(name) === undefined) ??
      file.names.find((name) => first.file.shapeOf(name) === undefined);
    if (odd !== undefined)
      throw new ModalscopeError(
        `${path} and ${first.path} hold different captures:`,
        `one of them has no "${odd}".`,
      );
    for (const name of file.names) {
      const [rows, mine] = [first.file.shapeOf(name)!, file.shapeOf(name)!];
      if (rows.slice(1).join() === mine.slice(1).join()) continue;
      throw new ModalscopeError(
        `"${name}" is ${mine.join(" × ")} in ${path} and ${rows.join(" × ")} in ${first.path}:`,
        "all axes but the first must be the same.",
        "Pad all batches to one length, or capture chosen positions or a reduction.",
      );
    }
  }
}
