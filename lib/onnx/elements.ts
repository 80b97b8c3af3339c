import type { TypedArray } from "../tensor.js";

/** Types in which values pass between TypeScript and the runtime. */
export type Carrier = "float32" | "float64" | "int32" | "int64" | "uint8" | "uint16" | "bool";

/** One of ONNX's element types. */
export interface Element {
  /** Its number in TensorProto.DataType. */
  readonly code: number;
  readonly name: string;
  /** Bits of one element; undefined for strings, which have no fixed size. */
  readonly bits?: number;
  /**
   * The type it has outside of the model; a Cast inside of it stands between where they differ, so that float16
   * is read and given as float32. Undefined for what no numeric array holds (strings, complex numbers).
   */
  readonly carrier?: Carrier;
  /** The type that an edit computes in; only floats have one. */
  readonly edited?: "float32" | "float64";
  /** Whether the runtime's binding can name the type of an output; it fails on the others. */
  readonly named: boolean;
}

const f32 = { carrier: "float32", edited: "float32" } as const;

const elements: readonly Element[] = [
  { code: 1, name: "float32", bits: 32, ...f32, named: true },
  { code: 2, name: "uint8", bits: 8, carrier: "uint8", named: true },
  { code: 3, name: "int8", bits: 8, carrier: "int32", named: true },
  { code: 4, name: "uint16", bits: 16, carrier: "uint16", named: true },
  { code: 5, name: "int16", bits: 16, carrier: "int32", named: true },
  { code: 6, name: "int32", bits: 32, carrier: "int32", named: true },
  { code: 7, name: "int64", bits: 64, carrier: "int64", named: true },
  { code: 8, name: "string", named: true },
  { code: 9, name: "bool", bits: 8, carrier: "bool", named: true },
  { code: 10, name: "float16", bits: 16, ...f32, named: true },
  { code: 11, name: "float64", bits: 64, carrier: "float64", edited: "float64", named: true },
  { code: 12, name: "uint32", bits: 32, carrier: "int64", named: true },
  { code: 13, name: "uint64", bits: 64, carrier: "int64", named: true },
  { code: 14, name: "complex64", bits: 64, named: false },
  { code: 15, name: "complex128", bits: 128, named: false },
  { code: 16, name: "bfloat16", bits: 16, ...f32, named: false },
  { code: 17, name: "float8e4m3fn", bits: 8, carrier: "float32", named: false },
  { code: 18, name: "float8e4m3fnuz", bits: 8, carrier: "float32", named: false },
  { code: 19, name: "float8e5m2", bits: 8, carrier: "float32", named: false },
  { code: 20, name: "float8e5m2fnuz", bits: 8, carrier: "float32", named: false },
  { code: 21, name: "uint4", bits: 4, carrier: "uint8", named: true },
  { code: 22, name: "int4", bits: 4, carrier: "int32", named: true },
  { code: 23, name: "float4e2m1", bits: 4, carrier: "float32", named: false },
  { code: 24, name: "float8e8m0", bits: 8, carrier: "float32", named: false },
  { code: 25, name: "uint2", bits: 2, carrier: "uint8", named: false },
  { code: 26, name: "int2", bits: 2, carrier: "int32", named: false },
];

const byCode = new Map(elements.map((e) => [e.code, e]));
const byName = new Map(elements.map((e) => [e.name, e]));

export function elementOf(code: number): Element | undefined {
  return byCode.get(code);
}

export function elementNamed(name: string): Element {
  const element = byName.get(name);
  if (element === undefined) throw new RangeError(`ONNX has no element type ${name}.`);
  return element;
}

type ArrayType = (new (length: number) => TypedArray) & { readonly name: string };

/** The array that carries each type. */
export const arrays: Readonly<Record<Carrier, ArrayType>> = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  bool: Uint8Array,
};
