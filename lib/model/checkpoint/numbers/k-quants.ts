/**
 * ggml's "K" types: blocks of 256 numbers in groups of 16 or 32, each group with its own small integer scale
 * (and minimum) under the block's float16 scale.
 *
 * Rounding: scale · group scale · q has at most 11 + 7 + 5 significant bits, so it is exact in float32; the
 * one rounding, of the difference in types with a minimum, happens where it is stored (see legacy-quants).
 */
import { halfToFloat } from "./dtypes.js";

/** 2 bits per number; groups of 16 with a 4-bit scale and a 4-bit minimum. */
export function dequantiseQ2K(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 84) {
    const d = half[bytes[i + 80] | (bytes[i + 81] << 8)];
    const dmin = half[bytes[i + 82] | (bytes[i + 83] << 8)];
    for (let group = 0; group < 16; group++, o += 16) {
      const scales = bytes[i + group];
      const scale = d * (scales & 15);
      const min = dmin * (scales >>> 4);
      // 32 bytes hold 128 numbers: one number of each quarter per byte.
      const at = i + 16 + (group >>> 3) * 32 + (group & 1) * 16;
      const shift = ((group >>> 1) & 3) * 2;
      for (let j = 0; j < 16; j++) into[o + j] = scale * ((bytes[at + j] >>> shift) & 3) - min;
    }
  }
}

/** 2 low bits as in Q2_K and a third bit in a mask; groups of 16 with a signed 6-bit scale. */
export function dequantiseQ3K(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 110) {
    const d = half[bytes[i + 108] | (bytes[i + 109] << 8)];
    for (let group = 0; group < 16; group++, o += 16) {
      const low = (bytes[i + 96 + (group & 7)] >>> (group < 8 ? 0 : 4)) & 15;
      const high = (bytes[i + 104 + (group & 3)] >>> ((group >>> 2) * 2)) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const at = i + 32 + (group >>> 3) * 32 + (group & 1) * 16;
      const shift = ((group >>> 1) & 3) * 2;
      const maskAt = i + (group & 1) * 16;
      const maskShift = group >>> 1;
      for (let j = 0; j < 16; j++) {
        // The mask's bit set means that nothing is subtracted.
        const q = ((bytes[at + j] >>> shift) & 3) - 4 + (((bytes[maskAt + j] >>> maskShift) & 1) << 2);
        into[o + j] = scale * q;
      }
    }
  }
}

/** 4 bits per number; groups of 32 with a 6-bit scale and a 6-bit minimum. */
export function dequantiseQ4K(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 144) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    const dmin = half[bytes[i + 2] | (bytes[i + 3] << 8)];
    for (let group = 0; group < 8; group++, o += 32) {
      const scale = d * sixBitScale(bytes, i + 4, group);
      const min = dmin * sixBitMin(bytes, i + 4, group);
      const at = i + 16 + (group >>> 1) * 32;
      const shift = (group & 1) * 4;
      for (let j = 0; j < 32; j++) into[o + j] = scale * ((bytes[at + j] >>> shift) & 15) - min;
    }
  }
}

/** As Q4_K, with a fifth bit: bit `group` of the 32 bytes before the nibbles. */
export function dequantiseQ5K(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 176) {
    const d = half[bytes[i] | (bytes[i + 1] << 8)];
    const dmin = half[bytes[i + 2] | (bytes[i + 3] << 8)];
    for (let group = 0; group < 8; group++, o += 32) {
      const scale = d * sixBitScale(bytes, i + 4, group);
      const min = dmin * sixBitMin(bytes, i + 4, group);
      const highAt = i + 16;
      const at = i + 48 + (group >>> 1) * 32;
      const shift = (group & 1) * 4;
      for (let j = 0; j < 32; j++) {
        const q = ((bytes[at + j] >>> shift) & 15) | (((bytes[highAt + j] >>> group) & 1) << 4);
        into[o + j] = scale * q - min;
      }
    }
  }
}

/** 4 low and 2 high bits per number, offset by 32; groups of 16 with a signed 8-bit scale. */
export function dequantiseQ6K(bytes: Uint8Array, into: Float32Array, blocks: number): void {
  const half = halfToFloat();
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 210) {
    const d = half[bytes[i + 208] | (bytes[i + 209] << 8)];
    for (let group = 0; group < 16; group++, o += 16) {
      const scale = d * ((bytes[i + 192 + group] << 24) >> 24);
      // Each half of 128 numbers: quarters of 32; the low bits of quarters 0 and 2, 1 and 3 share bytes.
      const quarter = (group >>> 1) & 3;
      const within = (group & 1) * 16;
      const at = i + (group >>> 3) * 64 + (quarter & 1) * 32 + within;
      const shift = (quarter >>> 1) * 4;
      const highAt = i + 128 + (group >>> 3) * 32 + within;
      const highShift = quarter * 2;
      for (let j = 0; j < 16; j++) {
        const q = ((bytes[at + j] >>> shift) & 15) | (((bytes[highAt + j] >>> highShift) & 3) << 4);
        into[o + j] = scale * (q - 32);
      }
    }
  }
}

/**
 * Scale of a group of Q4_K and Q5_K. 12 bytes hold 8 scales and 8 minima of 6 bits: the first four of each
 * whole, the last four as low nibbles in bytes 8–11 and two high bits on top of the first four.
 */
export function sixBitScale(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group] & 63;
  return (bytes[at + group + 4] & 15) | ((bytes[at + group - 4] >>> 2) & 48);
}

/** Minimum of a group; see `sixBitScale`. */
export function sixBitMin(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group + 4] & 63;
  return (bytes[at + group + 4] >>> 4) | ((bytes[at + group] >>> 2) & 48);
}
