import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, write as writeAsync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { ModalscopeError } from "../../../errors.js";
import { sizeOf, type Tensor, type TypedArray } from "../../../tensor.js";
import { byteLengthOf, layouts, type WeightDtype } from "../numbers/dtypes.js";
import { paddingPrefix } from "./header.js";

/** Tensor that a file will hold, known before the first number is written. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
}

/** A safetensors file being written. Nothing lies at its path until `finish`. */
export interface SafetensorsWriter {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Writes part of a tensor, from byte `from` of it on. Parts may come in any order; each must come once. */
  write(name: string, bytes: Uint8Array, from?: number): void;
  /** As `write`, off the main thread. `bytes` must not change until it resolves. */
  writeAsync(name: string, bytes: Uint8Array, from?: number): Promise<void>;
  /** Other values for the metadata's entries. @throws ModalscopeError when the header's length would change */
  replaceMetadata(metadata: Readonly<Record<string, string>>): void;
  /** Puts the file in its place, once it is on the disk. @throws ModalscopeError when a tensor was not written whole. */
  finish(): void;
  /** Drops what was written. Does nothing after `finish`. */
  abort(): void;
}

/** Offsets of the data, and of each tensor where asked for, are multiples of this. */
const alignment = 64;

const dtypeOf = {
  Float32Array: "F32",
  Float64Array: "F64",
  Int32Array: "I32",
  BigInt64Array: "I64",
  Uint8Array: "U8",
  Uint16Array: "U16",
} as const;

/**
 * Writes tensors to a safetensors file, one after the other, in the type of their arrays. The data start at
 * a multiple of 64 bytes. The file appears whole or not at all (it is written beside its place and renamed).
 *
 * @param metadata free-form text entries
 * @throws ModalscopeError when it cannot be written, or a tensor's shape and data disagree
 */
export function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor<TypedArray>>>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const stored = Object.entries(tensors).map(([name, { shape, data }]): StoredTensor => {
    if (data.length !== sizeOf(shape)) {
      throw new ModalscopeError(
        `Tensor "${name}" cannot be written:`,
        `its shape (${shape.join(", ")}) holds ${sizeOf(shape)} numbers, and its data ${data.length}.`,
      );
    }
    const dtype = dtypeOf[data[Symbol.toStringTag] as keyof typeof dtypeOf];
    return { name, shape, dtype, bytes: () => new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  });
  writeStored(path, stored, metadata);
}

/** A type that float32 numbers are stored in. */
export type StoredFloat = "float32" | "bfloat16";

/**
 * As `writeSafetensors`, of float32 tensors that the file holds in another type.
 * @param dtype bfloat16 rounds to the nearest and to even between two, as PyTorch does
 * @throws ModalscopeError when it cannot be written
 */
export function writeFloats(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  dtype: StoredFloat,
  metadata: Readonly<Record<string, string>> = {},
): void {
  if (dtype === "float32") {
    writeSafetensors(path, tensors, metadata);
    return;
  }
  const stored = Object.entries(tensors).map(
    ([name, { shape, data }]): StoredTensor => ({
      name,
      shape,
      dtype: "BF16",
      bytes: () => new Uint8Array(toBfloat16(data).buffer),
    }),
  );
  writeStored(path, stored, metadata);
}

/** A tensor whose bytes are made when it is its turn. */
interface StoredTensor extends TensorToWrite {
  readonly bytes: () => Uint8Array;
}

function writeStored(
  path: string,
  tensors: readonly StoredTensor[],
  metadata: Readonly<Record<string, string>>,
): void {
  const writer = createSafetensors(path, tensors, metadata);
  try {
    for (const { name, bytes } of tensors) writer.write(name, bytes());
    writer.finish();
  } finally {
    writer.abort();
  }
}

/** The upper halves of float32 numbers, rounded. */
function toBfloat16(data: Float32Array): Uint16Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  return out;
}

/**
 * Begins a safetensors file whose tensors are written piece by piece.
 * @param alignTensors puts every tensor, not just the first, at a multiple of 64 bytes. The format allows no
 *   gaps, so they are filled by tensors named `__padding__/…`, which readers here leave out.
 * @param mode of the file, less the umask
 */
export function createSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
  alignTensors = false,
  mode = 0o666,
): SafetensorsWriter {
  const { header, places, size } = layOut(tensors, metadata, alignTensors);
  const temporary = `${path}.${HOST}-${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
  const fd = orExplain(path, () => openSync(temporary, "wx", mode));
  let open = true;
  const left = new Map([...places].map(([name, place]) => [name, place.byteLength]));

  /** Position in the file of a part of a tensor, which is counted as written. */
  const claim = (name: string, bytes: Uint8Array, from: number): number => {
    const place = places.get(name);
    if (!place || from < 0 || from + bytes.byteLength > place.byteLength) {
      throw new ModalscopeError(
        `Bytes ${from} … ${from + bytes.byteLength} of "${name}" cannot be written:`,
        place ? `it has ${place.byteLength}.` : "the file was not laid out with that tensor.",
      );
    }
    left.set(name, left.get(name)! - bytes.byteLength);
    return place.offset + from;
  };
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  const writer: SafetensorsWriter = {
    size,
    write(name, bytes, from = 0) {
      const at = claim(name, bytes, from);
      orExplain(path, () => writeAll(fd, bytes, at));
    },
    async writeAsync(name, bytes, from = 0) {
      const at = claim(name, bytes, from);
      let done = 0;
      while (done < bytes.byteLength) {
        const want = Math.min(mostAtOnce, bytes.byteLength - done);
        const { bytesWritten } = await promisedWrite(fd, bytes, done, want, at + done).catch((error) => {
          throw cannotWrite(path, error);
        });
        done += bytesWritten;
      }
    },
    replaceMetadata(metadata) {
      const { header: other } = layOut(tensors, metadata, alignTensors);
      if (other.byteLength !== header.byteLength)
        throw new ModalscopeError(`The metadata of ${path} cannot be replaced:`, "its length would change.");
      orExplain(path, () => writeAll(fd, other, 0));
    },
    finish() {
      for (const [name, bytes] of left) {
        if (bytes !== 0) {
          throw new ModalscopeError(`${path} is not complete:`, `"${name}" lacks ${bytes} bytes.`);
        }
      }
      // Else a power cut could leave the name without the data.
      orExplain(path, () => fsyncSync(fd));
      close();
      orExplain(path, () => renameSync(temporary, path));
      syncFolder(dirname(path));
    },
    abort() {
      if (open) {
        close();
        rmSync(temporary, { force: true });
      }
    },
  };
  try {
    orExplain(path, () => writeAll(fd, header, 0));
    for (const { name, bytes } of paddings(places)) writer.write(name, bytes);
  } catch (error) {
    writer.abort();
    throw error;
  }
  return writer;
}

/** This machine's name in those of temporary files. */
const HOST = hostname().replace(/\W/g, "_");

/** Whether a temporary file's name says that a process of this machine wrote it, which no longer runs. */
export function isWriterDead(name: string): boolean {
  const [, host, pid] = /\.(\w+)-(\d+)-[0-9a-f]{8}\.tmp$/.exec(name) ?? [];
  if (host !== HOST) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Makes a rename last. Systems that cannot open folders keep it in their own time. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

interface Place {
  readonly dtype: WeightDtype;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

function layOut(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
  alignTensors: boolean,
): { header: Uint8Array; places: Map<string, Place>; size: number } {
  // Larger elements first, so that each tensor is aligned to its own elements at least.
  const ordered = [...tensors].sort((a, b) => layouts[b.dtype].bytes - layouts[a.dtype].bytes);
  const relative = new Map<string, Place>();
  let end = 0;
  for (const { name, dtype, shape } of ordered) {
    const byteLength = byteLengthOf(dtype, shape);
    if (
      Number.isNaN(byteLength) ||
      relative.has(name) ||
      name === "__metadata__" ||
      name.startsWith(paddingPrefix)
    ) {
      throw new ModalscopeError(
        `A tensor "${name}" of shape (${shape.join(", ")}) cannot be written:`,
        "its size is not a whole number, or its name is taken.",
      );
    }
    const gap = alignTensors ? (alignment - (end % alignment)) % alignment : 0;
    if (gap > 0) {
      relative.set(`${paddingPrefix}${name}`, { dtype: "U8", shape: [gap], offset: end, byteLength: gap });
      end += gap;
    }
    relative.set(name, { dtype, shape, offset: end, byteLength });
    end += byteLength;
  }
  const header = headerOf(relative, metadata);
  const places = new Map(
    [...relative].map(([name, place]) => [name, { ...place, offset: header.byteLength + place.offset }]),
  );
  return { header, places, size: header.byteLength + end };
}

/** The header with its length, padded with spaces so that the data start aligned. */
function headerOf(
  places: ReadonlyMap<string, Place>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // Null prototypes: a tensor may be called __proto__.
  const json: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) json.__metadata__ = metadata;
  for (const [name, { dtype, shape, offset, byteLength }] of places) {
    json[name] = { dtype, shape, data_offsets: [offset, offset + byteLength] };
  }
  const text = new TextEncoder().encode(JSON.stringify(json));
  const length = Math.ceil((8 + text.byteLength) / alignment) * alignment;
  const header = new Uint8Array(length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length - 8), true);
  header.set(text, 8);
  return header;
}

function* paddings(places: ReadonlyMap<string, Place>): Iterable<{ name: string; bytes: Uint8Array }> {
  for (const [name, { byteLength }] of places) {
    if (name.startsWith(paddingPrefix)) yield { name, bytes: new Uint8Array(byteLength) };
  }
}

const promisedWrite = promisify(writeAsync);

/** A single write takes less than 2 GiB. */
const mostAtOnce = 2 ** 30;

function writeAll(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.byteLength; ) {
    done += writeSync(fd, bytes, done, Math.min(mostAtOnce, bytes.byteLength - done), at + done);
  }
}

function orExplain<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): ModalscopeError {
  return new ModalscopeError(`${path} cannot be written:`, `${(error as Error).message}.`, "", {
    cause: error,
  });
}
