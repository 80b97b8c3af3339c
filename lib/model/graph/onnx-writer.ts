import { attributeKind, encodeOnnx } from "../../onnx-messages.js";
import { type Node, type NodeType, nameOf, type Shape, showShape } from "./node.js";

export type FloatType = "float32" | "float64";

export type Attributes = Readonly<
  Record<string, number | string | readonly number[] | { readonly float: number }>
>;

/** Writes one operation over the names of its operands, and returns its value's name. */
export type Form = (to: OnnxWriter, n: Node, inputs: readonly string[]) => string;

/** Bytes that the runtime finds outside the model; `location` is relative to the session's weights folder. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** ONNX's numbers for the types of elements. */
export const elementTypes = { float: 1, uint8: 2, int64: 7, bool: 9, double: 11 } as const;

interface OnnxNode {
  readonly opType: string;
  readonly domain?: string;
  readonly name: string;
  readonly input: string[];
  readonly output: string[];
  readonly attribute?: object[];
}

/** For reshaping to lengths of another value: 0 among them is a length, and not that of the same axis before. */
export const LITERALLY = { allowzero: 1 };

/** Domain of onnxruntime's own operators, and those that are used. */
const CONTRIBUTED = "com.microsoft";
const contributed = new Set(["MultiHeadAttention", "RotaryEmbedding", "FusedMatMul", "MatMulNBits"]);

/** An ONNX model while it is written: nodes and constants, the same ones once. */
export class OnnxWriter {
  private readonly nodes: OnnxNode[] = [];
  private readonly initializers: object[] = [];
  private readonly inputs: object[] = [];
  private readonly outputs: object[] = [];
  private readonly described = new Map<string, object>();
  private readonly memo = new Map<string, string>();
  /** Values that nodes make, and the outputs that some of them are. */
  private readonly made = new Set<string>();
  private readonly renamed = new Map<string, string>();
  private count = 0;

  constructor(private readonly floatType: FloatType) {}

  finish(): Uint8Array {
    const { initializers: initializer, inputs: input, outputs: output } = this;
    const named = (names: readonly string[]): string[] => names.map((name) => this.renamed.get(name) ?? name);
    const node = this.nodes.map((n) => ({ ...n, input: named(n.input), output: named(n.output) }));
    for (const name of this.renamed.keys()) this.described.delete(name);
    const valueInfo = [...this.described.values()];
    const graph = { name: "modalscope", node, initializer, input, output, valueInfo };
    return encodeOnnx("ModelProto", {
      irVersion: 10,
      opsetImport: [
        { domain: "", version: 21 },
        { domain: CONTRIBUTED, version: 1 },
      ],
      graph,
    });
  }

  output(name: string, from: string, n: Node): void {
    // A value that a node makes takes the output's name: a copy under another would be made whether it is asked for or not.
    if (this.made.has(from) && !this.renamed.has(from)) this.renamed.set(from, name);
    else this.nodes.push({ opType: "Identity", name, input: [from], output: [name] });
    this.outputs.push(this.valueInfo(name, n.shape, n.type));
  }

  /** Names the lengths of a value that a node makes. */
  describe(name: string, n: Node): void {
    if (this.made.has(name) && n.shape.length > 0)
      this.described.set(name, this.valueInfo(name, n.shape, n.type));
  }

  /** The same operation on the same operands is emitted once. */
  emit(opType: string, input: readonly string[], attributes: Attributes = {}): string {
    return this.emitAll(opType, input, 1, attributes)[0];
  }

  /** The names of an operation's first `outputs` results. */
  emitAll(
    opType: string,
    input: readonly string[],
    outputs: number,
    attributes: Attributes = {},
  ): readonly string[] {
    const key = JSON.stringify([opType, input, attributes]);
    const known = this.memo.get(key) ?? `v${this.count++}`;
    const names = Array.from({ length: outputs }, (_, i) => (i === 0 ? known : `${known}.${i}`));
    if (this.memo.has(key)) return names;
    this.memo.set(key, known);
    for (const name of names) this.made.add(name);
    this.nodes.push({
      opType,
      name: known,
      input: [...input],
      output: names,
      attribute: Object.entries(attributes).map(([name, value]) => attributeOf(name, value)),
      ...(contributed.has(opType) && { domain: CONTRIBUTED }),
    });
    return names;
  }

  integers(values: readonly number[]): string {
    return this.constant(`int ${values}`, (name) => {
      const data = bytesOf(BigInt64Array.from(values, BigInt));
      this.tensor(name, [values.length], elementTypes.int64, data);
    });
  }

  float(value: number): string {
    return this.constant(`float ${value}`, (name) => {
      const data = this.floatType === "float32" ? Float32Array.of(value) : Float64Array.of(value);
      this.tensor(name, [], this.elementType("float"), bytesOf(data));
    });
  }

  private constant(key: string, declare: (name: string) => void): string {
    const known = this.memo.get(key);
    if (known) return known;
    const name = `c${this.count++}`;
    declare(name);
    this.memo.set(key, name);
    return name;
  }

  elementType(type: NodeType): number {
    if (type === "float") return elementTypes[this.floatType === "float32" ? "float" : "double"];
    return elementTypes[type];
  }

  private valueInfo(name: string, shape: Shape, type: NodeType): object {
    const dim = shape.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d }));
    return { name, type: { tensorType: { elemType: this.elementType(type), shape: { dim } } } };
  }

  /** Pieces that share an input or a weight name it alike: it is declared once. */
  once(name: string, declare: () => void): string {
    if (!this.memo.has(name)) declare();
    this.memo.set(name, name);
    return name;
  }

  input(n: Node): void {
    this.inputs.push(this.valueInfo(nameOf(n), n.shape, n.type));
  }

  /** Declares data under a name: within the model, or outside it. */
  tensor(name: string, dims: readonly number[], dataType: number, data: Uint8Array | ExternalData): void {
    const place =
      data instanceof Uint8Array
        ? { rawData: data }
        : { dataLocation: 1, externalData: externalReference(data) };
    this.initializers.push({ name, dims, dataType, ...place });
  }

  /** (tokens, features): every leading axis in one. */
  flat(name: string, shape: Shape): string {
    if (shape.length === 2) return name;
    const last = shape[shape.length - 1];
    if (typeof last === "string") throw new TypeError(`${showShape(shape)} has no known last length.`);
    return this.emit("Reshape", [name, this.integers([-1, last])]);
  }

  /** Undoes `flat`: the leading axes of `like` and a last axis of `last`. */
  unflat(name: string, like: string, shape: Shape, last: number): string {
    if (shape.length === 2) return name;
    const lead = this.emit("Shape", [like], { start: 0, end: shape.length - 1 });
    const whole = this.emit("Concat", [lead, this.integers([last])], { axis: 0 });
    return this.emit("Reshape", [name, whole], LITERALLY);
  }

  lengthOf(name: string, axis: number): string {
    return this.emit("Shape", [name], { start: axis, end: axis + 1 });
  }
}

function externalReference({ location, offset, byteLength }: ExternalData): object[] {
  const entries = { location, offset, length: byteLength };
  return Object.entries(entries).map(([key, value]) => ({ key, value: String(value) }));
}

function attributeOf(name: string, value: Attributes[string]): object {
  if (typeof value === "number") return { name, type: attributeKind.int, i: value };
  if (typeof value === "string") return { name, type: attributeKind.string, s: Buffer.from(value) };
  if ("float" in value) return { name, type: attributeKind.float, f: value.float };
  return { name, type: attributeKind.ints, ints: [...value] };
}

export function bytesOf(data: BigInt64Array | Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
