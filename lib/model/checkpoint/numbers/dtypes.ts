/**
 * Layout of numbers in weight files: `elements` numbers take `bytes` bytes. Plain types have blocks of one;
 * ggml's quantised types share a scale between the numbers of a block.
 */
export interface Layout {
  readonly elements: number;
  readonly bytes: number;
}

const plain = (bytes: number): Layout => ({ elements: 1, bytes });
const block = (elements: number, bytes: number): Layout => ({ elements, bytes });

type PlainDtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL";

type QuantisedDtype = "Q4_0" | "Q4_1" | "Q5_0" | "Q5_1" | "Q8_0" | "Q2_K" | "Q3_K" | "Q4_K" | "Q5_K" | "Q6_K";

/** A stored number type that `dequantise` turns into float32. */
export type ReadableDtype = PlainDtype | QuantisedDtype;

/** Safetensors types whose headers are understood but whose values are not read here. */
type OpaqueDtype = "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "C64";

/** Any stored number type of a safetensors or GGUF file that can be opened. */
export type WeightDtype = ReadableDtype | OpaqueDtype;

const readable: Record<ReadableDtype, Layout> = {
  F64: plain(8),
  F32: plain(4),
  F16: plain(2),
  BF16: plain(2),
  I64: plain(8),
  I32: plain(4),
  I16: plain(2),
  I8: plain(1),
  U64: plain(8),
  U32: plain(4),
  U16: plain(2),
  U8: plain(1),
  BOOL: plain(1),
  Q4_0: block(32, 18),
  Q4_1: block(32, 20),
  Q5_0: block(32, 22),
  Q5_1: block(32, 24),
  Q8_0: block(32, 34),
  Q2_K: block(256, 84),
  Q3_K: block(256, 110),
  Q4_K: block(256, 144),
  Q5_K: block(256, 176),
  Q6_K: block(256, 210),
};

const opaque: Record<OpaqueDtype, Layout> = {
  F8_E5M2: plain(1),
  F8_E4M3: plain(1),
  F8_E8M0: plain(1),
  C64: plain(8),
};

/** The block layout of every known type. */
export const layouts: Readonly<Record<WeightDtype, Layout>> = { ...readable, ...opaque };

/** Whether `name` is a type that `dequantise` can read. */
export function isReadable(name: string): name is ReadableDtype {
  return Object.hasOwn(readable, name);
}

/** The names of all types that can be read, for error messages. */
export const readableNames: string = Object.keys(readable).join(", ");

/** The types that a safetensors file may hold: the plain ones. */
export function isSafetensorsDtype(name: string): name is WeightDtype {
  return Object.hasOwn(layouts, name) && layouts[name as WeightDtype].elements === 1;
}

/** Bytes that `shape` takes as `dtype`; NaN when the last axis is not whole blocks, or the size is past 2^53. */
export function byteLengthOf(dtype: WeightDtype, shape: readonly number[]): number {
  const { elements, bytes } = layouts[dtype];
  if ((shape.at(-1) ?? 1) % elements !== 0) return Number.NaN;
  let size = bytes;
  let empty = false;
  for (const n of shape) {
    if (n === 0) empty = true;
    else size *= n;
    // Checked at each step, so that a zero after an overflow cannot hide it.
    if (!Number.isSafeInteger(size)) return Number.NaN;
  }
  return empty ? 0 : size / elements;
}

let table: Float32Array | undefined;

/** The float32 value of each of the 65,536 float16 bit patterns (256 KiB, made when first asked for). */
export function halfToFloat(): Float32Array {
  if (table) return table;
  // As bits, so that a NaN keeps its payload.
  const float = new Float32Array(65536);
  const bits = new Uint32Array(float.buffer);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) float[half] = (sign ? -fraction : fraction) * 2 ** -24;
    else bits[half] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
  }
  table = float;
  return table;
}
