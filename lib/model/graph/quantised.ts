/**
 * Products with quantised matrices in the forms that onnxruntime's MatMulNBits computes fast without rounding the inputs: 4 bits,
 * and 8 as the zero. With q = 16 h + l, scale · (q − zero) = 16 · scale · (h − 8) + scale · (l − 8) + scale · (136 − zero),
 * and with 4 bits scale · (q − zero) = scale · (q − 8) + scale · (8 − zero): the last terms are the same for a whole block, so they take
 * the sum of the block's inputs. (Measured with onnxruntime 1.30 at one row: 8 bits at once, or other zeros, 8 to 20 times as slow
 * as float32; this 1.5 to 3 times as fast.)
 */

/** A matrix (out, in) of numbers (q − zero) · scale, in blocks of numbers with one scale. */
export interface QuantisedWeight {
  readonly bits: number;
  readonly block: number;
  /** `(out, in / block, block · bits / 8)` */
  readonly data: Uint8Array;
  /** `(out, in / block)` */
  readonly scales: Float32Array;
  /** `(out, in / block)`; 2^(bits − 1) where left out. */
  readonly zeros?: Float32Array;
  /** Rounds the inputs to 8 bits too. */
  readonly int8?: boolean;
}

/** A matrix of numbers (q − 2^(bits − 1)) · scale. */
export interface Plane {
  readonly bits: number;
  readonly data: Uint8Array;
  readonly scales: Float32Array;
}

/** A quantised matrix as a sum: planes, and a constant for each block. */
export interface Planes {
  readonly planes: readonly Plane[];
  /** `(out, in / block)` */
  readonly constants?: Float32Array;
}

export function planesOf({ bits, data, scales, zeros, int8 }: QuantisedWeight): Planes {
  if (bits === 8 && !int8) {
    const high = nibbles(data, 4);
    const low = nibbles(data, 0);
    return {
      planes: [
        { bits: 4, data: high, scales: scales.map((s) => 16 * s) },
        { bits: 4, data: low, scales },
      ],
      constants: scales.map((s) => 8 * s),
    };
  }
  const constants = zeros?.map((zero, i) => (8 - zero) * scales[i]);
  return { planes: [{ bits, data, scales }], ...(constants && { constants }) };
}

/** The upper or lower halves of bytes, two in one. */
function nibbles(data: Uint8Array, shift: number): Uint8Array {
  const half = new Uint8Array(data.length / 2);
  for (let i = 0; i < half.length; i++)
    half[i] = ((data[2 * i] >>> shift) & 15) | (((data[2 * i + 1] >>> shift) & 15) << 4);
  return half;
}
