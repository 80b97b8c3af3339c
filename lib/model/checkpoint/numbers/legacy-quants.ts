/**
 * ggml's first quantised types: blocks of 32 numbers d·q or d·q + m, with float16 d and m.
 *
 * Rounding: d has 11 significant bits and q at most 8, so d·q is exact in float32; the one rounding, of the
 * sum, happens where it is stored. A double sum of two floats rounded to float32 is the float32 sum (a
 * double has more than twice the bits). So the results are those of float32 arithmetic, with no rounding
 * calls in the loops.
 */
import { halfToFloat } from "./dtypes.js";

/** 16 bytes after the scale: byte j holds numbers j (low four bits) and j + 16 (high four bits), offset by 8. */
export function dequantiseQ40(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 18, o += 32) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    for (let j = 0; j < 16; j++) {
      const q = bytes[i + 2 + j];
      into[o + j] = d * ((q & 15) - 8);
      into[o + j + 16] = d * ((q >>> 4) - 8);
    }
  }
}

/** As Q4_0, with a minimum in place of the offset. */
export function dequantiseQ41(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 20, o += 32) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    const m = half[bytes[i + 2] | (bytes[i + 3] << 8)];
    for (let j = 0; j < 16; j++) {
      const q = bytes[i + 4 + j];
      into[o + j] = d * (q & 15) + m;
      into[o + j + 16] = d * (q >>> 4) + m;
    }
  }
}

/** As Q4_0, with the fifth bits of all 32 numbers in one word between scale and nibbles; offset by 16. */
export function dequantiseQ50(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 22, o += 32) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    const high = bytes[i + 2] | (bytes[i + 3] << 8) | (bytes[i + 4] << 16) | (bytes[i + 5] << 24);
    for (let j = 0; j < 16; j++) {
      const q = bytes[i + 6 + j];
      into[o + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16);
      into[o + j + 16] = d * (((q >>> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  }
}

/** As Q5_0, with a minimum in place of the offset. */
export function dequantiseQ51(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 24, o += 32) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    const m = half[bytes[i + 2] | (bytes[i + 3] << 8)];
    const high = bytes[i + 4] | (bytes[i + 5] << 8) | (bytes[i + 6] << 16) | (bytes[i + 7] << 24);
    for (let j = 0; j < 16; j++) {
      const q = bytes[i + 8 + j];
      into[o + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m;
      into[o + j + 16] = d * ((q >>> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  }
}

/** 32 signed bytes after the scale. */
export function dequantiseQ80(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 34, o += 32) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    for (let j = 0; j < 32; j++) into[o + j] = d * signed[i + 2 + j];
  }
}
