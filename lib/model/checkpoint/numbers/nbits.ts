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

/** One of ggml's blocks, taken apart: numbers, and scales and zeros of its groups. */
interface Parts {
  readonly q: Uint8Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

interface Form {
  readonly bits: 4 | 8;
  readonly block: 16 | 32;
  readonly hasZeros: boolean;
  readonly read: (bytes: Uint8Array, at: number, into: Parts) => void;
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
  const zeros = hasZeros ? new Float32Array(size / block) : undefined;
  const groups = elements / block;
  const parts: Parts = {
    q: new Uint8Array(elements),
    scales: new Float32Array(groups),
    zeros: new Float32Array(groups),
  };
  return {
    matrix: { bits, block, data, scales, ...(zeros && { zeros }) },
    /** Whole rows from `firstRow` on. */
    fill(bytes, firstRow) {
      let at = (firstRow * columns) / elements;
      for (let i = 0; i < bytes.length; i += stride, at++) {
        read(bytes, i, parts);
        scales.set(parts.scales, at * groups);
        zeros?.set(parts.zeros, at * groups);
        if (bits === 8) data.set(parts.q, at * elements);
        else pack(parts.q, data, (at * elements) / 2);
      }
    },
  };
}

function pack(q: Uint8Array, into: Uint8Array, at: number): void {
  for (let j = 0; j < q.length; j += 2) into[at + j / 2] = q[j] | (q[j + 1] << 4);
}

/** A group of the numbers scale · q − min. One without a scale is the constant −min, which is (0 − 1) · min. */
function setGroup({ q, scales, zeros }: Parts, group: number, scale: number, min: number): void {
  scales[group] = scale === 0 ? min : scale;
  zeros[group] = scale === 0 ? 1 : min / scale;
  const block = q.length / scales.length;
  if (scale === 0) q.fill(0, group * block, (group + 1) * block);
}

const halfAt = (bytes: Uint8Array, at: number): number => halfToFloat()[bytes[at] | (bytes[at + 1] << 8)];

function readNibbles(bytes: Uint8Array, at: number, q: Uint8Array): void {
  for (let j = 0; j < 16; j++) {
    q[j] = bytes[at + j] & 15;
    q[j + 16] = bytes[at + j] >>> 4;
  }
}

function readQ40(bytes: Uint8Array, at: number, { q, scales }: Parts): void {
  scales[0] = halfAt(bytes, at);
  readNibbles(bytes, at + 2, q);
}

function readQ41(bytes: Uint8Array, at: number, into: Parts): void {
  readNibbles(bytes, at + 4, into.q);
  setGroup(into, 0, halfAt(bytes, at), -halfAt(bytes, at + 2));
}

function readQ50(bytes: Uint8Array, at: number, { q, scales }: Parts): void {
  scales[0] = halfAt(bytes, at);
  readNibbles(bytes, at + 6, q);
  // The fifth bits; offset by 16 there and by 128 here.
  for (let j = 0; j < 32; j++) q[j] += (((bytes[at + 2 + (j >>> 3)] >>> (j & 7)) & 1) << 4) + 112;
}

function readQ80(bytes: Uint8Array, at: number, { q, scales }: Parts): void {
  scales[0] = halfAt(bytes, at);
  for (let j = 0; j < 32; j++) q[j] = bytes[at + 2 + j] ^ 128;
}

function readQ2K(bytes: Uint8Array, at: number, into: Parts): void {
  const [d, dmin] = [halfAt(bytes, at + 80), halfAt(bytes, at + 82)];
  for (let group = 0; group < 16; group++) {
    const from = at + 16 + (group >>> 3) * 32 + (group & 1) * 16;
    const shift = ((group >>> 1) & 3) * 2;
    for (let j = 0; j < 16; j++) into.q[group * 16 + j] = (bytes[from + j] >>> shift) & 3;
    setGroup(into, group, d * (bytes[at + group] & 15), dmin * (bytes[at + group] >>> 4));
  }
}

function readQ3K(bytes: Uint8Array, at: number, { q, scales }: Parts): void {
  const d = halfAt(bytes, at + 108);
  for (let group = 0; group < 16; group++) {
    const low = (bytes[at + 96 + (group & 7)] >>> (group < 8 ? 0 : 4)) & 15;
    const high = (bytes[at + 104 + (group & 3)] >>> ((group >>> 2) * 2)) & 3;
    scales[group] = d * ((low | (high << 4)) - 32);
    const from = at + 32 + (group >>> 3) * 32 + (group & 1) * 16;
    const shift = ((group >>> 1) & 3) * 2;
    const mask = at + (group & 1) * 16;
    for (let j = 0; j < 16; j++) {
      // Offset by 4 there where the mask's bit is not set, and by 8 here.
      const third = ((bytes[mask + j] >>> (group >>> 1)) & 1) << 2;
      q[group * 16 + j] = ((bytes[from + j] >>> shift) & 3) + third + 4;
    }
  }
}

function readQ4K(bytes: Uint8Array, at: number, into: Parts): void {
  const [d, dmin] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
  for (let group = 0; group < 8; group++) {
    const from = at + 16 + (group >>> 1) * 32;
    const shift = (group & 1) * 4;
    for (let j = 0; j < 32; j++) into.q[group * 32 + j] = (bytes[from + j] >>> shift) & 15;
    setGroup(into, group, d * sixBitScale(bytes, at + 4, group), dmin * sixBitMin(bytes, at + 4, group));
  }
}

function readQ6K(bytes: Uint8Array, at: number, { q, scales }: Parts): void {
  const d = halfAt(bytes, at + 208);
  for (let group = 0; group < 16; group++) {
    scales[group] = d * ((bytes[at + 192 + group] << 24) >> 24);
    const quarter = (group >>> 1) & 3;
    const within = (group & 1) * 16;
    const from = at + (group >>> 3) * 64 + (quarter & 1) * 32 + within;
    const shift = (quarter >>> 1) * 4;
    const highFrom = at + 128 + (group >>> 3) * 32 + within;
    for (let j = 0; j < 16; j++) {
      const high = ((bytes[highFrom + j] >>> (quarter * 2)) & 3) << 4;
      // Offset by 32 there and by 128 here.
      q[group * 16 + j] = (((bytes[from + j] >>> shift) & 15) | high) + 96;
    }
  }
}
