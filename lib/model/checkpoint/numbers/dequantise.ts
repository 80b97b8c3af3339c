import { ModalscopeError } from "../../../errors.js";
import {
  halfToFloat,
  isReadable,
  layouts,
  type ReadableDtype,
  readableNames,
  type WeightDtype,
} from "./dtypes.js";
import { dequantiseQ2K, dequantiseQ3K, dequantiseQ4K, dequantiseQ5K, dequantiseQ6K } from "./k-quants.js";
import {
  dequantiseQ40,
  dequantiseQ41,
  dequantiseQ50,
  dequantiseQ51,
  dequantiseQ80,
} from "./legacy-quants.js";

/**
 * Turns stored numbers into float32, bit for bit as the Python package `gguf` does (`gguf.quants`).
 *
 * @param dtype how the numbers are stored
 * @param bytes whole blocks; starting at a multiple of 8 bytes in their buffer
 * @param into gets `bytes.byteLength / block bytes × block elements` numbers, from its start
 * @throws ModalscopeError for a dtype that cannot be read, or when `bytes` are not whole blocks that fit `into`.
 */
export function dequantise(dtype: WeightDtype, bytes: Uint8Array, into: Float32Array): void {
  if (!isReadable(dtype)) {
    throw new ModalscopeError(`Weights stored as ${dtype} cannot be read.`, `Readable are ${readableNames}.`);
  }
  const layout = layouts[dtype];
  const blocks = bytes.byteLength / layout.bytes;
  if (!Number.isInteger(blocks) || blocks * layout.elements > into.length) {
    throw new ModalscopeError(
      `${bytes.byteLength} bytes of ${dtype} do not fit ${into.length} numbers:`,
      `each block of ${layout.elements} takes ${layout.bytes} bytes.`,
    );
  }
  readers[dtype](bytes, into, blocks);
}

type Reader = (bytes: Uint8Array, into: Float32Array, blocks: number) => void;

const readers: Record<ReadableDtype, Reader> = {
  F32: (bytes, into) => {
    // As raw bytes, which keeps NaN payloads.
    new Uint8Array(into.buffer, into.byteOffset, bytes.byteLength).set(bytes);
  },
  F16: (bytes, into, n) => {
    const half = new Uint16Array(bytes.buffer, bytes.byteOffset, n);
    const bits = new Uint32Array(halfToFloat().buffer);
    const out = new Uint32Array(into.buffer, into.byteOffset, n);
    for (let i = 0; i < n; i++) out[i] = bits[half[i]];
  },
  BF16: readBf16,
  F64: copyFrom(Float64Array),
  I64: copyFrom(BigInt64Array),
  I32: copyFrom(Int32Array),
  I16: copyFrom(Int16Array),
  I8: copyFrom(Int8Array),
  U64: copyFrom(BigUint64Array),
  U32: copyFrom(Uint32Array),
  U16: copyFrom(Uint16Array),
  U8: copyFrom(Uint8Array),
  BOOL: copyFrom(Uint8Array),
  Q4_0: dequantiseQ40,
  Q4_1: dequantiseQ41,
  Q5_0: dequantiseQ50,
  Q5_1: dequantiseQ51,
  Q8_0: dequantiseQ80,
  Q2_K: dequantiseQ2K,
  Q3_K: dequantiseQ3K,
  Q4_K: dequantiseQ4K,
  Q5_K: dequantiseQ5K,
  Q6_K: dequantiseQ6K,
};

/** A bfloat16 is the upper half of a float32: two of them are split out of each 32-bit word. */
function readBf16(bytes: Uint8Array, into: Float32Array, n: number): void {
  const pairs = n >>> 1;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, pairs);
  const out = new Uint32Array(into.buffer, into.byteOffset, n);
  for (let i = 0; i < pairs; i++) {
    const word = words[i];
    out[2 * i] = word << 16;
    out[2 * i + 1] = word & 0xffff0000;
  }
  if (n & 1) out[n - 1] = (bytes[2 * n - 2] << 16) | (bytes[2 * n - 1] << 24);
}

type Numbers = {
  new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ): { readonly length: number; readonly [i: number]: number | bigint };
};

function copyFrom(numbers: Numbers): Reader {
  return (bytes, into, n) => {
    const from = new numbers(bytes.buffer, bytes.byteOffset, n);
    for (let i = 0; i < n; i++) into[i] = Number(from[i]);
  };
}
