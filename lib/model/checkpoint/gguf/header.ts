import { ModalscopeError } from "../../../errors.js";
import type { OpenFile } from "../files.js";
import { byteLengthOf, isReadable, layouts, readableNames, type WeightDtype } from "../numbers/dtypes.js";
import { type Cursor, cursorOf, type NumbersOf } from "./cursor.js";

/** A metadata value. 64-bit integers are numbers where these are exact, else bigints. */
export type GgufValue = number | bigint | boolean | string | GgufArray;

/** A metadata array: numbers as the typed array of their stored type, booleans as bytes. */
export type GgufArray =
  | readonly string[]
  | readonly GgufArray[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** Location of one tensor in a GGUF file. */
export interface GgufTensor {
  readonly dtype: WeightDtype;
  /** Slowest axis first, as Hugging Face writes it: (out, in). The file has it the other way round. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Contents of a GGUF file before its tensors' data. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** First byte after metadata and tensor list. */
  readonly headerEnd: number;
}

/** ggml's numbers for tensor types. Types that cannot be read are listed for the sake of the message. */
const ggmlTypes: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  6: "Q5_0",
  7: "Q5_1",
  8: "Q8_0",
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  12: "Q4_K",
  13: "Q5_K",
  14: "Q6_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  30: "BF16",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
  40: "NVFP4",
};

/** ggml's own limit. */
const mostAxes = 4;

/** Arrays of arrays are allowed by the format and used by nobody; this keeps a crafted file off the stack. */
const mostNesting = 4;

/**
 * Reads and checks header, metadata and tensor list of a GGUF file of version 2 or 3 (little-endian); the
 * tensors' data are not touched. Every count and length is checked against what is left of the file before
 * memory is taken for it; tensors lie inside the file, aligned, and do not overlap.
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @param strings whether to read arrays of strings: without them (they are then empty) it takes a tenth of
 *   the time, and only the tokenizer needs them
 * @throws ModalscopeError when the file is not sound, or holds a tensor type that cannot be read.
 */
export function readGgufHeader(file: OpenFile, strings: boolean): GgufHeader {
  const cursor = cursorOf(file);
  const version = readVersion(cursor);
  // The smallest tensor entry: name length, axis count, type, offset. The smallest metadata entry: key
  // length, type and a byte.
  const tensorCount = cursor.count("tensors", 24);
  const metadataCount = cursor.count("metadata entries", 13);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    const key = cursor.string("a metadata key");
    if (metadata.has(key)) throw cursor.broken(`metadata "${key}" comes twice.`);
    metadata.set(key, readValue(cursor, cursor.u32("a value type"), key, strings));
  }
  const listed = new Map<string, Omit<GgufTensor, "byteLength">>();
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.string("a tensor name");
    if (listed.has(name)) throw cursor.broken(`tensor "${name}" comes twice.`);
    listed.set(name, readTensorEntry(cursor, name));
  }
  const headerEnd = cursor.position;
  return {
    version,
    metadata,
    tensors: placeTensors(cursor, listed, alignmentOf(cursor, metadata)),
    headerEnd,
  };
}

function readVersion(cursor: Cursor): number {
  if (cursor.size < 24 || cursor.u32("the magic") !== 0x46554747) {
    throw cursor.broken("it does not start with GGUF.");
  }
  const version = cursor.u32("the version");
  if (version === 2 || version === 3) return version;
  if ((version & 0xffff) === 0) {
    throw new ModalscopeError(
      `${cursor.path} is a big-endian GGUF file:`,
      "only little-endian ones are read.",
      "Convert it with gguf-convert-endian from the Python package gguf.",
    );
  }
  throw new ModalscopeError(
    `${cursor.path} is a GGUF file of version ${version}:`,
    "versions 2 and 3 are read.",
    "Convert the model again with a current llama.cpp.",
  );
}

function readValue(cursor: Cursor, type: number, key: string, strings: boolean): GgufValue {
  switch (type) {
    case 0:
      return cursor.numbers(Uint8Array, 1)[0];
    case 1:
      return cursor.numbers(Int8Array, 1)[0];
    case 2:
      return cursor.numbers(Uint16Array, 1)[0];
    case 3:
      return cursor.numbers(Int16Array, 1)[0];
    case 4:
      return cursor.u32(key);
    case 5:
      return cursor.numbers(Int32Array, 1)[0];
    case 6:
      return cursor.numbers(Float32Array, 1)[0];
    case 7:
      return readBoolean(cursor, key);
    case 8:
      return cursor.string(`metadata "${key}"`);
    case 9:
      return readArray(cursor, key, strings, 1);
    case 10:
      return exact(cursor.numbers(BigUint64Array, 1)[0]);
    case 11:
      return exact(cursor.numbers(BigInt64Array, 1)[0]);
    case 12:
      return cursor.numbers(Float64Array, 1)[0];
    default:
      throw cursor.broken(`metadata "${key}" has the unknown value type ${type}.`);
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readBoolean(cursor: Cursor, key: string): boolean {
  const byte = cursor.numbers(Uint8Array, 1)[0];
  if (byte > 1) throw cursor.broken(`metadata "${key}" should be true or false, and is ${byte}.`);
  return byte === 1;
}

const numberArrays = {
  0: Uint8Array,
  1: Int8Array,
  2: Uint16Array,
  3: Int16Array,
  4: Uint32Array,
  5: Int32Array,
  6: Float32Array,
  7: Uint8Array,
  10: BigUint64Array,
  11: BigInt64Array,
  12: Float64Array,
} as const;

function readArray(cursor: Cursor, key: string, strings: boolean, depth: number): GgufArray {
  const type = cursor.u32(`the element type of "${key}"`);
  if (type in numberArrays) {
    const numbers: NumbersOf<GgufArray> = numberArrays[type as keyof typeof numberArrays];
    return cursor.numbers(numbers, cursor.count(`elements of "${key}"`, numbers.BYTES_PER_ELEMENT));
  }
  if (type === 8) {
    const count = cursor.count(`elements of "${key}"`, 8);
    const what = `metadata "${key}"`;
    if (strings) return cursor.strings(count, what);
    cursor.skipStrings(count, what);
    return [];
  }
  if (type === 9 && depth < mostNesting) {
    const count = cursor.count(`elements of "${key}"`, 12);
    const arrays: GgufArray[] = [];
    for (let i = 0; i < count; i++) arrays.push(readArray(cursor, key, strings, depth + 1));
    return arrays;
  }
  throw cursor.broken(
    type === 9
      ? `metadata "${key}" nests arrays more than ${mostNesting} deep.`
      : `metadata "${key}" is an array of the unknown type ${type}.`,
  );
}

function readTensorEntry(cursor: Cursor, name: string): Omit<GgufTensor, "byteLength"> {
  const axes = cursor.u32(`the number of axes of "${name}"`);
  if (axes > mostAxes) throw cursor.broken(`tensor "${name}" has ${axes} axes, more than ${mostAxes}.`);
  const shape: number[] = [];
  for (let i = 0; i < axes; i++) shape.unshift(cursor.u64(`the shape of "${name}"`));
  const type = cursor.u32(`the type of "${name}"`);
  const dtype = ggmlTypes[type] ?? `type ${type}`;
  if (!isReadable(dtype)) {
    throw new ModalscopeError(
      `${cursor.path}: tensor "${name}" is stored as ${dtype}, which cannot be read.`,
      `Readable are ${readableNames}.`,
      "Get the model in another quantisation, such as Q4_K_M, Q8_0 or F16.",
    );
  }
  return { dtype, shape, offset: cursor.u64(`the offset of "${name}"`) };
}

function alignmentOf(cursor: Cursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  if (
    typeof alignment !== "number" ||
    alignment < 1 ||
    alignment > 2 ** 31 ||
    2 ** Math.round(Math.log2(alignment)) !== alignment
  ) {
    throw cursor.broken(`general.alignment is ${alignment}, not a power of two.`);
  }
  return alignment;
}

/** Offsets become absolute and are checked: inside the file, aligned, apart. */
function placeTensors(
  cursor: Cursor,
  listed: ReadonlyMap<string, Omit<GgufTensor, "byteLength">>,
  alignment: number,
): Map<string, GgufTensor> {
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const placed = new Map<string, GgufTensor>();
  for (const [name, { dtype, shape, offset }] of listed) {
    const byteLength = byteLengthOf(dtype, shape);
    if (Number.isNaN(byteLength)) {
      const { elements } = layouts[dtype];
      throw cursor.broken(
        `tensor "${name}" of shape (${shape.join(", ")}) is too large, or no whole blocks of ${elements} as ${dtype}.`,
      );
    }
    if (offset % alignment !== 0) {
      throw cursor.broken(`tensor "${name}" starts at ${offset}, which is not a multiple of ${alignment}.`);
    }
    if (dataStart + offset + byteLength > cursor.size) {
      throw cursor.broken(
        `tensor "${name}" ends at byte ${dataStart + offset + byteLength}, past the file's end at ${cursor.size}.`,
      );
    }
    placed.set(name, { dtype, shape, offset: dataStart + offset, byteLength });
  }
  let end = dataStart;
  let before = "";
  const ordered = [...placed].sort(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength);
  for (const [name, { offset, byteLength }] of ordered) {
    if (offset < end) throw cursor.broken(`tensors "${before}" and "${name}" overlap.`);
    end = offset + byteLength;
    before = name;
  }
  return placed;
}
