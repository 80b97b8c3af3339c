/** Checkpoints over opened files: the one place where stored bytes become float32. */
import { didYouMean, ModalscopeError } from "../../errors.js";
import { sizeOf } from "../../tensor.js";
import type { Checkpoint, WeightInfo } from "./checkpoint.js";
import { type OpenFile, readExactly } from "./files.js";
import { dequantise } from "./numbers/dequantise.js";
import { isReadable, layouts } from "./numbers/dtypes.js";
import { type QuantisedMatrix, quantisedMatrix } from "./numbers/nbits.js";

/** A weight with the file it is read from. */
export interface StoredWeight extends WeightInfo {
  readonly source: OpenFile;
}

/** Bytes decoded at a time: small enough to stay in the processor's cache. */
const pieceBytes = 2 ** 20;

/** Numbers in one row, the unit of reading: the last axis, or what stays together when rows are reordered. */
export function rowLength(weight: WeightInfo): number {
  return weight.inverse?.kind === "unpermute" ? sizeOf(weight.shape.slice(1)) : (weight.shape.at(-1) ?? 1);
}

/** Number of rows of a weight. */
export function rowCount(weight: WeightInfo): number {
  const size = sizeOf(weight.shape);
  return size === 0 ? 0 : size / rowLength(weight);
}

/** A checkpoint from what was gathered on opening. `hash` is called once, when first asked for. */
export function checkpointOf(
  opened: {
    readonly path: string;
    readonly format: Checkpoint["format"];
    readonly config: Record<string, unknown>;
    readonly generationConfig?: Record<string, unknown>;
    readonly files: readonly OpenFile[];
    readonly weights: ReadonlyMap<string, StoredWeight>;
  },
  hash: () => string,
): Checkpoint {
  const { path, format, config, generationConfig, files, weights } = opened;
  let hashed: string | undefined;
  return {
    path,
    format,
    modelType: config.model_type as string,
    config,
    ...(generationConfig && { generationConfig }),
    weights,
    get hash() {
      hashed ??= hash();
      return hashed;
    },
    read: (name, into) => readWeight(weightNamed(weights, name), into),
    readRows: (name, rows, into) => readSlices(weightNamed(weights, name), rows, into),
    readQuantised: (name) => readQuantised(weightNamed(weights, name)),
    close: () => {
      for (const file of files) file.close();
    },
  };
}

/** The weight of that name. @throws ModalscopeError with the nearest names when there is none. */
function weightNamed<W>(weights: ReadonlyMap<string, W>, name: string): W {
  const weight = weights.get(name);
  if (weight) return weight;
  throw new ModalscopeError(
    `The checkpoint has no weight "${name}".`,
    "",
    didYouMean(name, weights.keys()) || `It has ${weights.size} weights: see checkpoint.weights.keys().`,
  );
}

/** Whether two weights have the same type, shape and bytes. */
export function sameBytes(a: StoredWeight, b: StoredWeight): boolean {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  const [left, right] = [a, b].map(() => new Uint8Array(Math.min(pieceBytes, a.byteLength)));
  for (let done = 0; done < a.byteLength; done += pieceBytes) {
    const length = Math.min(pieceBytes, a.byteLength - done);
    readExactly(a.source, left.subarray(0, length), a.offset + done);
    readExactly(b.source, right.subarray(0, length), b.offset + done);
    if (Buffer.compare(left.subarray(0, length), right.subarray(0, length)) !== 0) return false;
  }
  return true;
}

/** Whether a checkpoint stores the same bytes under two names. */
export function sameWeight(checkpoint: Checkpoint, one: string, other: string): boolean {
  const [a, b] = [one, other].map((name) => weightNamed(checkpoint.weights, name) as StoredWeight);
  return sameBytes(a, b);
}

/** `Checkpoint.read`. */
export function readWeight(weight: StoredWeight, into?: Float32Array): Float32Array {
  const size = sizeOf(weight.shape);
  if (into && into.length !== size) {
    throw wrongSize(weight, into, `its shape (${weight.shape.join(", ")}) holds ${size}.`);
  }
  // Checked first, so that a type that cannot be read takes no memory.
  if (isReadable(weight.dtype)) {
    const out = into ?? new Float32Array(size);
    readRange(weight, 0, rowCount(weight), out);
    return out;
  }
  throw new ModalscopeError(`"${weight.name}" is stored as ${weight.dtype}, which cannot be read.`);
}

function wrongSize({ name }: WeightInfo, { length }: Float32Array, why: string): ModalscopeError {
  return new ModalscopeError(`"${name}" cannot be read into an array of ${length}:`, why);
}

/** `Checkpoint.readRows`. */
export function readSlices(weight: StoredWeight, rows: readonly number[], into?: Float32Array): Float32Array {
  const [length, ...rest] = weight.shape;
  if (rest.length === 0) {
    throw new ModalscopeError(
      `"${weight.name}" has no rows:`,
      `its shape is (${weight.shape.join(", ")}).`,
      "Use read.",
    );
  }
  for (const row of rows) {
    if (!Number.isInteger(row) || row < 0 || row >= length) {
      throw new ModalscopeError(`"${weight.name}" has no row ${row}:`, `its rows are 0 … ${length - 1}.`);
    }
  }
  const slice = sizeOf(rest);
  const size = rows.length * slice;
  if (into && into.length !== size) throw wrongSize(weight, into, `those rows hold ${size}.`);
  const out = into ?? new Float32Array(size);
  const perSlice = slice === 0 ? 0 : slice / rowLength(weight);
  for (let i = 0, end = 0; i < rows.length; i = end) {
    // Neighbours in the file are read at once.
    for (end = i + 1; end < rows.length && rows[end] === rows[end - 1] + 1; ) end++;
    readRange(weight, rows[i] * perSlice, (end - i) * perSlice, out.subarray(i * slice, end * slice));
  }
  return out;
}

/**
 * Rows `first` … `first + count − 1` (see `rowLength`) into the start of `into`, with llama.cpp's changes undone.
 */
export function readRange(weight: StoredWeight, first: number, count: number, into: Float32Array): void {
  const length = rowLength(weight);
  if (weight.inverse?.kind === "unpermute") {
    const storedRow = unpermuted(weight.shape[0], weight.inverse.heads);
    for (let i = 0; i < count; i++) {
      readStored(weight, storedRow(first + i) * length, into.subarray(i * length, (i + 1) * length));
    }
    return;
  }
  const out = into.subarray(0, count * length);
  readStored(weight, first * length, out);
  if (weight.inverse?.kind === "subtractOne") for (let i = 0; i < out.length; i++) out[i] -= 1;
}

/** `Checkpoint.readQuantised`. */
function readQuantised(weight: StoredWeight): QuantisedMatrix | undefined {
  const { shape, dtype, inverse, offset, byteLength, source } = weight;
  if (shape.length !== 2 || inverse?.kind === "subtractOne") return undefined;
  const [rows, columns] = shape;
  const made = quantisedMatrix(dtype, rows, columns);
  if (made === undefined) return undefined;
  const rowBytes = byteLength / rows;
  const storedRow = inverse === undefined ? (row: number) => row : unpermuted(rows, inverse.heads);
  const atOnce = inverse === undefined ? Math.max(1, Math.floor(pieceBytes / rowBytes)) : 1;
  const piece = new Uint8Array(Math.min(rows, atOnce) * rowBytes);
  for (let row = 0; row < rows; row += atOnce) {
    const part = piece.subarray(0, Math.min(atOnce, rows - row) * rowBytes);
    readExactly(source, part, offset + storedRow(row) * rowBytes);
    made.fill(part, row);
  }
  return made.matrix;
}

/**
 * Which stored row is which row of the model: llama.cpp pairs the two halves of each head's rows, row j of
 * the first half with row j of the second, because its rotary embedding turns neighbours.
 */
function unpermuted(rows: number, heads: number): (row: number) => number {
  const perHead = rows / heads;
  const half = perHead / 2;
  return (row) => {
    const within = row % perHead;
    return row - within + 2 * (within % half) + (within < half ? 0 : 1);
  };
}

/** Fills `into` with the numbers from `first` on, as they are stored. `first` starts a block. */
function readStored(weight: StoredWeight, first: number, into: Float32Array): void {
  const { elements, bytes } = layouts[weight.dtype];
  const start = weight.offset + (first / elements) * bytes;
  if (weight.dtype === "F32") {
    readExactly(weight.source, new Uint8Array(into.buffer, into.byteOffset, into.byteLength), start);
    return;
  }
  const blocks = into.length / elements;
  const blocksAtOnce = Math.max(1, Math.floor(pieceBytes / bytes));
  const piece = new Uint8Array(Math.min(blocks, blocksAtOnce) * bytes);
  for (let done = 0; done < blocks; done += blocksAtOnce) {
    const part = piece.subarray(0, Math.min(blocksAtOnce, blocks - done) * bytes);
    readExactly(weight.source, part, start + done * bytes);
    dequantise(weight.dtype, part, into.subarray(done * elements));
  }
}
