import { createHash } from "node:crypto";
import { readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, checkPrivate } from "../../cache-folder.js";
import { ModalscopeError } from "../../errors.js";
import { makeFolder } from "../../folder.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf } from "../../tensor.js";
import type { Checkpoint } from "./checkpoint.js";
import { Checksums, isIntact } from "./copy-checksums.js";
import { isFile, type OpenFile, openFile, statOf } from "./files.js";
import { isReadable, readableNames } from "./numbers/dtypes.js";
import { readHeader } from "./safetensors/header.js";
import { createSafetensors, isWriterDead, type SafetensorsWriter } from "./safetensors/write.js";
import { checkpointOf, readRange, rowCount, rowLength, type StoredWeight } from "./store.js";

/** Numbers converted at a time: large enough that calls cost nothing, small against any memory. */
const chunkNumbers = 2 ** 21;

/** Counted up when converted files change their form; older ones are then ignored. */
const cacheVersion = "2";

/**
 * The checkpoint with every weight as float32 in a safetensors file, which a runtime can map into memory:
 * itself where its files hold just that, else a copy in `cacheDir`, made at the first call (4 bytes per parameter on
 * disk) and found again at the next. In a copy each weight starts at a multiple of 64 bytes.
 *
 * Two processes may convert the same checkpoint at once: each writes a file of its own and renames it. A copy
 * is used again only while the checkpoint's content, and its files' sizes and dates, are the same. A process that opens
 * a copy for the first time, or after its times changed, compares each weight's checksum, at about the disk's speed.
 * @param checkpoint as `openCheckpoint` gave it; closing what is returned closes it too
 * @param options.keepAsStored names weights that stay as they are stored, for those that are never mapped
 * @throws ModalscopeError when the disk is too small or cannot be written, or a weight cannot be read
 */
export async function float32Checkpoint(
  checkpoint: Checkpoint,
  cacheDir: string = cacheFolder(),
  {
    onProgress,
    signal,
    keepAsStored = () => false,
  }: TaskOptions & { keepAsStored?: (name: string) => boolean } = {},
): Promise<Checkpoint> {
  const all = storedWeights(checkpoint);
  const weights = all.filter(({ name }) => !keepAsStored(name));
  const kept = all.filter(({ name }) => keepAsStored(name));
  if (weights.every((w) => w.dtype === "F32" && !w.inverse && w.offset % 4 === 0)) return checkpoint;
  for (const { name, dtype } of all) {
    if (!isReadable(dtype)) {
      throw new ModalscopeError(
        `"${name}" is stored as ${dtype}, which cannot be read.`,
        `Readable are ${readableNames}.`,
      );
    }
  }
  const path = join(
    cacheDir,
    "float32",
    `${checkpoint.modelType.replace(/\W/g, "_")}-${keyOf(checkpoint, weights)}.safetensors`,
  );
  const found = await openCopy(path, checkpoint, weights, kept, { onProgress, signal });
  if (found) return found;
  const total = weights.reduce((bytes, { shape }) => bytes + 4 * sizeOf(shape), 0);
  prepareFolder(dirname(path), total + 512 * weights.length);
  const checksums = new Checksums(weights.map(({ name }) => name));
  const metadata = (): Record<string, string> => ({
    source: checkpoint.hash,
    version: cacheVersion,
    ...checksums.metadata(),
  });
  const writer = createSafetensors(
    path,
    weights.map(({ name, shape }) => ({ name, shape, dtype: "F32" })),
    metadata(),
    true,
    0o644,
  );
  try {
    await convert(weights, { writer, checksums }, total, { onProgress, signal });
    writer.replaceMetadata(metadata());
    await finish(writer, path, weights);
  } finally {
    writer.abort();
  }
  const made = await openCopy(path, checkpoint, weights, kept, { signal });
  if (made) return made;
  throw new ModalscopeError(
    `${path} was written and does not hold what was written.`,
    "The disk may be faulty.",
  );
}

/** In file order, so that reading is sequential. */
function storedWeights(checkpoint: Checkpoint): StoredWeight[] {
  const weights = [...checkpoint.weights.values()] as StoredWeight[];
  if (weights.some(({ source }) => source === undefined)) {
    throw new ModalscopeError("This checkpoint cannot be converted:", "it was not opened by openCheckpoint.");
  }
  return weights.sort((a, b) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
}

/**
 * Names the copy. The files' dates count, because the hash of a large checkpoint only samples its data: after
 * an edit in place, the copy is stale whatever the samples say.
 */
function keyOf(checkpoint: Checkpoint, weights: readonly StoredWeight[]): string {
  const hash = createHash("sha256").update(`${cacheVersion}\n${checkpoint.hash}\n`);
  for (const file of new Set(weights.map((w) => w.file))) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 32);
}

/** Opens the copy if it is there and sound. */
async function openCopy(
  path: string,
  checkpoint: Checkpoint,
  weights: readonly StoredWeight[],
  kept: readonly StoredWeight[],
  options: TaskOptions,
): Promise<Checkpoint | undefined> {
  const sound = await soundCopy(path, weights, options);
  if (!sound) return undefined;
  for (const weight of kept) sound.weights.set(weight.name, weight);
  const { config, generationConfig, hash } = checkpoint;
  const copy = checkpointOf(
    { path: checkpoint.path, format: "safetensors", config, generationConfig, ...sound },
    () => hash,
  );
  return {
    ...copy,
    close: () => {
      copy.close();
      checkpoint.close();
    },
  };
}

/** The copy's opened file and weights. A missing or damaged one gives none: it is made again. */
async function soundCopy(
  path: string,
  weights: readonly StoredWeight[],
  options: TaskOptions = {},
): Promise<{ files: [OpenFile]; weights: Map<string, StoredWeight> } | undefined> {
  if (!isFile(path)) return undefined;
  checkPrivate(dirname(path));
  if (!isOwn(path)) return undefined;
  const file = openFile(path);
  try {
    const copies = new Map<string, StoredWeight>();
    const { metadata, tensors } = readHeader(file);
    for (const [name, entry] of tensors) {
      copies.set(name, { name, ...entry, file: path, source: file });
    }
    if (matches(weights, copies) && (await isIntact(file, statSync(path), metadata, copies, options)))
      return { files: [file], weights: copies };
  } catch (error) {
    file.close();
    if (!(error instanceof ModalscopeError)) throw error;
    return undefined;
  }
  file.close();
  return undefined;
}

/** Whether no other user may write to a copy: one that was made with an open umask is made again. */
function isOwn(path: string): boolean {
  return process.platform === "win32" || (statSync(path).mode & 0o022) === 0;
}

/** Whether a copy is one of these weights: names, shapes, and the first, middle and last row of each. */
function matches(weights: readonly StoredWeight[], copies: ReadonlyMap<string, StoredWeight>): boolean {
  if (copies.size !== weights.length) return false;
  return weights.every((weight) => {
    const copy = copies.get(weight.name);
    if (copy?.dtype !== "F32" || copy.shape.join() !== weight.shape.join()) return false;
    const rows = rowCount(weight);
    const row = new Float32Array(rowLength(weight));
    const copied = new Float32Array(rowLength(weight));
    for (const at of new Set([0, rows >> 1, rows - 1])) {
      if (rows === 0) break;
      readRange(weight, at, 1, row);
      readCopied(copy, at, copied);
      if (Buffer.compare(bytesOf(row), bytesOf(copied)) !== 0) return false;
    }
    return true;
  });
}

/** The same row of the copy, whose rows may be cut otherwise: a reordered vector has rows of one number. */
function readCopied(copy: StoredWeight, row: number, into: Float32Array): void {
  const flat = { ...copy, shape: [sizeOf(copy.shape) / into.length, into.length] };
  readRange(flat, row, 1, into);
}

function bytesOf(numbers: Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Makes the folder, clears what crashed conversions left, and checks that `bytes` more fit the disk. */
function prepareFolder(folder: string, bytes: number): void {
  try {
    makeFolder(folder, 0o755);
  } catch (error) {
    throw new ModalscopeError(
      `The cache folder ${folder} cannot be made:`,
      `${(error as Error).message}.`,
      "Set MODALSCOPE_CACHE to a folder that can be written.",
      { cause: error },
    );
  }
  checkPrivate(folder);
  clearDead(folder);
  const { bavail, bsize } = statfsSync(folder);
  if (bytes > bavail * bsize) {
    throw new ModalscopeError(
      `Converting this checkpoint to float32 takes ${gigabytes(bytes)} in ${folder},`,
      `and only ${gigabytes(bavail * bsize)} are free.`,
      "Free some, or set MODALSCOPE_CACHE to a folder on a larger disk.",
    );
  }
}

/** Removes files whose writer has died: at once where it was a process of this machine, after a day elsewhere. */
function clearDead(folder: string): void {
  const dayAgo = Date.now() - 86_400_000;
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".tmp")) continue;
    const path = join(folder, name);
    const stat = statOf(path);
    if (stat && (stat.mtimeMs < dayAgo || isWriterDead(name))) rmSync(path, { force: true });
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Converts chunk by chunk: while one is being written, the next is read and converted. */
async function convert(
  weights: readonly StoredWeight[],
  { writer, checksums }: { readonly writer: SafetensorsWriter; readonly checksums: Checksums },
  total: number,
  { onProgress, signal }: TaskOptions,
): Promise<void> {
  const longest = weights.reduce((most, weight) => Math.max(most, rowLength(weight)), 1);
  const size = Math.min(Math.max(chunkNumbers, longest), total / 4);
  const buffers = [new Float32Array(size), new Float32Array(size)];
  let writing: Promise<void> = Promise.resolve();
  let turn = 0;
  let done = 0;
  try {
    for (const weight of weights) {
      const length = rowLength(weight);
      const rows = rowCount(weight);
      const rowsAtOnce = Math.max(1, Math.floor(size / length));
      for (let first = 0; first < rows; first += rowsAtOnce) {
        signal?.throwIfAborted();
        const count = Math.min(rowsAtOnce, rows - first);
        const chunk = buffers[turn++ % 2].subarray(0, count * length);
        readRange(weight, first, count, chunk);
        checksums.add(weight.name, bytesOf(chunk));
        await writing;
        writing = writer.writeAsync(weight.name, bytesOf(chunk), first * length * 4);
        done += chunk.byteLength;
        onProgress?.(done, total, "Converting weights to float32");
      }
    }
  } finally {
    // Also on the way out: the file must not be closed under a write.
    await writing;
  }
}

/** Puts the copy in place, unless another process was faster and the system refuses to replace its file. */
async function finish(
  writer: SafetensorsWriter,
  path: string,
  weights: readonly StoredWeight[],
): Promise<void> {
  try {
    writer.finish();
  } catch (error) {
    const other = await soundCopy(path, weights);
    if (!other) throw error;
    other.files[0].close();
  }
}
