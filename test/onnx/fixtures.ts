import { readFileSync } from "node:fs";
import { join } from "node:path";
import onnxProto, { type onnx as Onnx } from "onnx-proto";
import type { OnnxArray, OnnxModel } from "../../lib/onnx/index.js";
import { sizeOf, type Tensor, tensor } from "../../lib/tensor.js";

export const folder: string = join(import.meta.dirname, "../../../test/fixtures/onnx");

export function fixture(...path: string[]): string {
  return join(folder, ...path);
}

const arrays = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  I64: BigInt64Array,
  U8: Uint8Array,
  U16: Uint16Array,
};

/** A safetensors file's tensors in their own types. */
export function goldens(name: string): Record<string, OnnxArray> {
  const file = readFileSync(fixture(name));
  const header = Number(file.readBigUInt64LE(0));
  const entries: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(file.toString("utf8", 8, 8 + header));
  const found: Record<string, OnnxArray> = {};
  for (const [key, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    if (key === "__metadata__") continue;
    const [from, to] = data_offsets.map((offset) => file.byteOffset + 8 + header + offset);
    const ArrayType = arrays[dtype as keyof typeof arrays];
    found[key] = { shape, data: new ArrayType(file.buffer.slice(from, to)) };
  }
  return found;
}

/** max|a − b| / max|b|; Infinity where shapes or array types differ, or where one is NaN and the other is not. */
export function deviation(a: OnnxArray, b: OnnxArray): number {
  if (a.shape.join() !== b.shape.join() || a.data.constructor !== b.data.constructor) return Infinity;
  let [worst, largest] = [0, 0];
  for (let i = 0; i < b.data.length; i++) {
    const [x, y] = [Number(a.data[i]), Number(b.data[i])];
    if (Object.is(x, y)) continue;
    const difference = Math.abs(x - y);
    if (Number.isNaN(difference)) return Infinity;
    worst = Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(y));
  }
  return worst === 0 ? 0 : worst / largest;
}

export function floats(values: readonly number[], shape: readonly number[] = [values.length]): Tensor {
  return tensor(Float32Array.from(values), shape);
}

export function filledWith(shape: readonly number[], value: number): Tensor {
  return tensor(new Float32Array(sizeOf(shape)).fill(value), shape);
}

/** A tensor's values as plain numbers. */
export function numbers(array: OnnxArray | undefined): number[] {
  return Array.from((array?.data ?? []) as ArrayLike<number | bigint>, Number);
}

export const onnx: typeof Onnx = onnxProto.onnx;

/** An ONNX model's bytes from a graph as onnx-proto takes it. */
export function modelBytes(graph: object, more: object = {}): Uint8Array {
  const model = {
    irVersion: 8,
    opsetImport: [{ domain: "", version: 17 }],
    graph: { name: "g", ...graph },
    ...more,
  };
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject(model)).finish();
}

/** A float32 input or output. */
export function float(name: string, ...shape: (number | string)[]): Onnx.IValueInfoProto {
  const dim = shape.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: 1, shape: { dim } } } };
}

export function node(opType: string, input: string[], output: string[], more: object = {}): Onnx.INodeProto {
  return { opType, input, output, ...more };
}

export function weight(
  name: string,
  values: readonly number[],
  dims: number[] = [values.length],
): Onnx.ITensorProto {
  return { name, dims, dataType: 1, rawData: new Uint8Array(Float32Array.from(values).buffer) };
}

/** Opens with one thread, hands over, and closes whatever happens. */
export async function using<T>(
  opened: Promise<OnnxModel>,
  use: (model: OnnxModel) => Promise<T>,
): Promise<T> {
  const model = await opened;
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}
