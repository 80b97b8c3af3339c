/**
 * ggml's quantised numbers in the form that onnxruntime's MatMulNBits computes with: (q − zero) · scale, with q of 4 or 8
 * bits, in blocks of 16 or 32. Nothing is rounded but zeros, which are a block's minimum over its scale. Q5_1 and Q5_K have no such form:
 * 5 bits with a minimum, where the operator takes minima with 4 bits only.
 */
import { halfToFloat, layouts, type WeightDtype } from "./dtypes.js";
import { sixBitMin, sixBitScale } from "./k-quants.js";

/** A matrix of quantised numbers. */
export interface QuantisedMatrix {
  readonly bits: 4 | 8;
  /** Numbers that share a scale. */
  readonly block: 16 | 32;
  /** `(rows, columns / block, block · bits / 8)`: of two numbers in a byte the first is in the low bits. */
  readonly data: Uint8Array;
  /** `(rows, columns / block)` */
  readonly scales: Float32Array;
  /** `(rows, columns / block)`; 2^(bits − 1) everywhere where left out. */
  readonly zeros?: Float32Array;
}

/** Where the next of ggml's blocks goes to. */
interface Target {
  /** Numbers as `QuantisedMatrix.data` has them. */
  readonly data: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
  /** First byte of the block's numbers in `data`. */
  dataAt: number;
  /** Its first group, of those that have a scale. */
  groupAt: number;
}

interface Form {
  readonly bits: 4 | 8;
  readonly block: 16 | 32;
  readonly hasZeros: boolean;
  /** One of ggml's blocks, from byte `at` on. */
  readonly read: (bytes: Uint8Array, at: number, to: Target) => void;
}

/** The form of each type that has one. */
const forms: Partial<Record<WeightDtype, Form>> = {
  Q4_0: { bits: 4, block: 32, hasZeros: false, read: readQ40 },
  Q4_1: { bits: 4, block: 32, hasZeros: true, read: readQ41 },
  Q5_0: { bits: 8, block: 32, hasZeros: false, read: readQ50 },
  Q8_0: { bits: 8, block: 32, hasZeros: false, read: readQ80 },
  Q2_K: { bits: 4, block: 16, hasZeros: true, read: readQ2K },
  Q3_K: { bits: 4, block: 16, hasZeros: false, read: readQ3K },
  Q4_K: { bits: 4, block: 32, hasZeros: true, read: readQ4K },
  Q6_K: { bits: 8, block: 16, hasZeros: false, read: readQ6K },
};

/** Bytes of a matrix of so many numbers in this form; undefined for a type that has none. */
export function quantisedBytes(dtype: WeightDtype, numbers: number): number | undefined {
  const form = forms[dtype];
  if (form === undefined) return undefined;
  // With 8 bits the runtime has two scales and a constant for each block (lib/model/graph/quantised.ts), with zeros one of each.
  const floats = form.bits === 8 ? 3 : form.hasZeros ? 2 : 1;
  return numbers * (form.bits / 8) + (numbers / form.block) * 4 * floats;
}

/** A matrix to fill with rows; undefined for a type that has no such form. */
export function quantisedMatrix(
  dtype: WeightDtype,
  rows: number,
  columns: number,
): { matrix: QuantisedMatrix; fill(bytes: Uint8Array, firstRow: number): void } | undefined {
  const form = forms[dtype];
  if (form === undefined) return undefined;
  const { bits, block, hasZeros, read } = form;
  const { elements, bytes: stride } = layouts[dtype];
  const size = rows * columns;
  const data = new Uint8Array((size * bits) / 8);
  const scales = new Float32Array(size / block);
  const zeros = new Float32Array(hasZeros ? size / block : 0);
  const to: Target = { data, scales, zeros, dataAt: 0, groupAt: 0 };
  return {
    matrix: { bits, block, data, scales, ...(hasZeros && { zeros }) },
    /** Whole rows from `firstRow` on. */
    fill(bytes, firstRow) {
      const first = firstRow * columns;
      to.dataAt = (first * bits) / 8;
      to.groupAt = first / block;
      for (let at = 0; at < bytes.length; at += stride) {
        read(bytes, at, to);
        to.dataAt += (elements * bits) / 8;
        to.groupAt += elements / block;
      }
    },
  };
}

/**
 * Scale and zero of a group of the numbers scale · q − min of 4 bits. One without a scale is the constant −min, which is
 * (0 − 1) · min.
 */
function setGroup(to: Target, group: number, block: number, scale: number, min: number): void {
  const { data, scales, zeros, dataAt, groupAt } = to;
  scales[groupAt + group] = scale === 0 ? min : scale;
  zeros[groupAt + group] = scale === 0 ? 1 : min / scale;
  const bytes = block / 2;
  if (scale === 0) data.fill(0, dataAt + group * bytes, dataAt + (group + 1) * bytes);
}

const halfAt = (bytes: Uint8Array, at: number): number => halfToFloat()[bytes[at] | (bytes[at + 1] << 8)];

/** 2 · `half` numbers of 4 bits, the first half in the low bits of `half` bytes, the second in the high. */
function packHalves(bytes: Uint8Array, at: number, half: number, data: Uint8Array, to: number): void {
  for (let j = 0; j < half; j += 2) {
    const a = bytes[at + j];
    const b = bytes[at + j + 1];
    data[to + (j >>> 1)] = (a & 15) | ((b & 15) << 4);
    data[to + ((half + j) >>> 1)] = (a >>> 4) | (b & 240);
  }
}

function readQ40(bytes: Uint8Array, at: number, { data, scales, dataAt, groupAt }: Target): void {
  scales[groupAt] = halfAt(bytes, at);
  packHalves(bytes, at + 2, 16, data, dataAt);
}

function readQ41(bytes: Uint8Array, at: number, to: Target): void {
  packHalves(bytes, at + 4, 16, to.data, to.dataAt);
  setGroup(to, 0, 32, halfAt(bytes, at), -halfAt(bytes, at + 2));
}

function readQ50(bytes: Uint8Array, at: number, { data, scales, dataAt, groupAt }: Target): void {
  scales[groupAt] = halfAt(bytes, at);
  // The fifth bits; offset by 16 there and by 128 here.
  for (let j = 0; j < 32; j++) {
    const low = (bytes[at + 6 + (j & 15)] >>> ((j >>> 4) * 4)) & 15;
    data[dataAt + j] = low + (((bytes[at + 2 + (j >>> 3)] >>> (j & 7)) & 1) << 4) + 112;
  }
}

function readQ80(bytes: Uint8Array, at: number, { data, scales, dataAt, groupAt }: Target): void {
  scales[groupAt] = halfAt(bytes, at);
  for (let j = 0; j < 32; j++) data[dataAt + j] = bytes[at + 2 + j] ^ 128;
}

function readQ2K(bytes: Uint8Array, at: number, to: Target): void {
  const [d, dmin] = [halfAt(bytes, at + 80), halfAt(bytes, at + 82)];
  for (let group = 0; group < 16; group++) {
    const from = at + 16 + (group >>> 3) * 32 + (group & 1) * 16;
    const shift = ((group >>> 1) & 3) * 2;
    for (let j = 0; j < 16; j += 2) {
      const [a, b] = [(bytes[from + j] >>> shift) & 3, (bytes[from + j + 1] >>> shift) & 3];
      to.data[to.dataAt + group * 8 + j / 2] = a | (b << 4);
    }
    setGroup(to, group, 16, d * (bytes[at + group] & 15), dmin * (bytes[at + group] >>> 4));
  }
}

function readQ3K(bytes: Uint8Array, at: number, { data, scales, dataAt, groupAt }: Target): void {
  const d = halfAt(bytes, at + 108);
  for (let group = 0; group < 16; group++) {
    const low = (bytes[at + 96 + (group & 7)] >>> (group < 8 ? 0 : 4)) & 15;
    const high = (bytes[at + 104 + (group & 3)] >>> ((group >>> 2) * 2)) & 3;
    scales[groupAt + group] = d * ((low | (high << 4)) - 32);
    const from = at + 32 + (group >>> 3) * 32 + (group & 1) * 16;
    const shift = ((group >>> 1) & 3) * 2;
    const mask = at + (group & 1) * 16;
    // Offset by 4 there where the mask's bit is not set, and by 8 here.
    const numberAt = (j: number): number =>
      ((bytes[from + j] >>> shift) & 3) + (((bytes[mask + j] >>> (group >>> 1)) & 1) << 2) + 4;
    for (let j = 0; j < 16; j += 2) data[dataAt + group * 8 + j / 2] = numberAt(j) | (numberAt(j + 1) << 4);
  }
}

function readQ4K(bytes: Uint8Array, at: number, to: Target): void {
  const [d, dmin] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
  for (let pair = 0; pair < 4; pair++)
    packHalves(bytes, at + 16 + pair * 32, 32, to.data, to.dataAt + pair * 32);
  for (let group = 0; group < 8; group++)
    setGroup(to, group, 32, d * sixBitScale(bytes, at + 4, group), dmin * sixBitMin(bytes, at + 4, group));
}

function readQ6K(bytes: Uint8Array, at: number, { data, scales, dataAt, groupAt }: Target): void {
  const d = halfAt(bytes, at + 208);
  for (let group = 0; group < 16; group++) {
    scales[groupAt + group] = d * ((bytes[at + 192 + group] << 24) >> 24);
    const quarter = (group >>> 1) & 3;
    const within = (group & 1) * 16;
    const from = at + (group >>> 3) * 64 + (quarter & 1) * 32 + within;
    const shift = (quarter >>> 1) * 4;
    const highFrom = at + 128 + (group >>> 3) * 32 + within;
    for (let j = 0; j < 16; j++) {
      const high = ((bytes[highFrom + j] >>> (quarter * 2)) & 3) << 4;
      // Offset by 32 there and by 128 here.
      data[dataAt + group * 16 + j] = (((bytes[from + j] >>> shift) & 15) | high) + 96;
    }
  }
}
