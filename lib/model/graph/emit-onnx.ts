import { attributeKind, encodeOnnx } from "../../onnx-messages.js";
import { type Attributes, type OnnxWriter, trainingForms } from "./emit-training.js";
import { doubleErf, doubleGelu } from "./erf-float64.js";
import { type Node, type NodeType, nameOf, type Shape, showShape, sorted } from "./node.js";
import { fromEnd } from "./ops.js";
import { planesOf, type QuantisedWeight } from "./quantised.js";

/** Source of a weight in an emitted model. */
export type WeightBinding =
  | { readonly kind: "input" }
  /** float32 data inside a file that the runtime maps; `location` is relative to the session's weights folder. */
  | { readonly kind: "file"; readonly location: string; readonly offset: number; readonly byteLength: number }
  | { readonly kind: "inline"; readonly data: Float32Array | Float64Array }
  /** A matrix that only `linear` reads. */
  | { readonly kind: "quantised"; readonly matrix: QuantisedWeight };

export interface EmitOptions {
  readonly float: "float32" | "float64";
  readonly bind: (name: string) => WeightBinding;
  /** Takes the data of quantised weights by the location that the model names; left out, they are in the model's bytes. */
  readonly external?: Map<string, Uint8Array>;
  /**
   * For a graph that is large and whose weights are inputs: names the lengths of all values, without which the runtime
   * compares each with all that are free to plan its memory, and takes products by weights without reshaping.
   */
  readonly training?: boolean;
}

const FLOAT = 1;
const UINT8 = 2;
const INT64 = 7;
const BOOL = 9;
const DOUBLE = 11;

/**
 * Writes the computation of `outputs` as an ONNX model (IR 10, opset 21).
 * Only what the outputs depend on is in it, each node once.
 */
export function emitOnnx(outputs: Readonly<Record<string, Node>>, options: EmitOptions): Uint8Array {
  const emitter = new Emitter(options);
  const names = new Map<Node, string>();
  for (const n of sorted(Object.values(outputs))) {
    const name = emitter.lower(n, (x) => names.get(x)!);
    names.set(n, name);
    if (options.training) emitter.describe(name, n);
  }
  for (const [name, n] of Object.entries(outputs)) emitter.output(name, names.get(n)!, n);
  return emitter.finish();
}

interface OnnxNode {
  readonly opType: string;
  readonly domain?: string;
  readonly name: string;
  readonly input: string[];
  readonly output: string[];
  readonly attribute?: object[];
}

/** For reshaping to lengths of another value: 0 among them is a length, and not that of the same axis before. */
const LITERALLY = { allowzero: 1 };

/** Domain of onnxruntime's own operators, and those that are used. */
const CONTRIBUTED = "com.microsoft";
const contributed = new Set(["MultiHeadAttention", "RotaryEmbedding", "FusedMatMul", "MatMulNBits"]);

/** What the operators of a quantised matrix need to know of it. */
interface QuantisedForm {
  readonly block: number;
  readonly int8: boolean;
  /** Of each plane. */
  readonly bits: readonly number[];
  readonly hasConstants: boolean;
}

class Emitter implements OnnxWriter {
  private readonly nodes: OnnxNode[] = [];
  private readonly initializers: object[] = [];
  private readonly inputs: object[] = [];
  private readonly outputs: object[] = [];
  private readonly described = new Map<string, object>();
  private readonly memo = new Map<string, string>();
  /** Values that nodes make, and the outputs that some of them are. */
  private readonly made = new Set<string>();
  private readonly renamed = new Map<string, string>();
  private readonly quantised = new Map<string, QuantisedForm>();
  private count = 0;

  constructor(private readonly options: EmitOptions) {}

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

  /** Emits one node and returns the name of its value. */
  lower(n: Node, of: (operand: Node) => string): string {
    const special = this.special[n.op];
    if (special) return special(n, of);
    const training = trainingForms[n.op];
    if (training) return training(this, n, n.inputs.map(of));
    const type = plain[n.op];
    if (!type) throw new TypeError(`The operation ${n.op} has no ONNX form.`);
    return this.emit(type, n.inputs.map(of), softmaxes.has(n.op) ? { axis: -1 } : {});
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

  integers(values: readonly number[], dims: number[] = [values.length]): string {
    const key = `int ${dims} ${values}`;
    const known = this.memo.get(key);
    if (known) return known;
    const name = `c${this.count++}`;
    const data = BigInt64Array.from(values, BigInt);
    this.initializers.push({ name, dims, dataType: INT64, rawData: bytesOf(data) });
    this.memo.set(key, name);
    return name;
  }

  float(value: number): string {
    const key = `float ${value}`;
    const known = this.memo.get(key);
    if (known) return known;
    const name = `c${this.count++}`;
    const data = this.options.float === "float32" ? Float32Array.of(value) : Float64Array.of(value);
    this.initializers.push({ name, dims: [], dataType: this.elementType("float"), rawData: bytesOf(data) });
    this.memo.set(key, name);
    return name;
  }

  elementType(type: NodeType): number {
    if (type === "float") return this.options.float === "float32" ? FLOAT : DOUBLE;
    return type === "int64" ? INT64 : BOOL;
  }

  private valueInfo(name: string, shape: Shape, type: NodeType): object {
    const dim = shape.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d }));
    return { name, type: { tensorType: { elemType: this.elementType(type), shape: { dim } } } };
  }

  /** Pieces that share an input or a weight name it alike: it is declared once. */
  private once(name: string, declare: () => void): string {
    if (!this.memo.has(name)) declare();
    this.memo.set(name, name);
    return name;
  }

  private weight(n: Node): void {
    const name = nameOf(n);
    const binding = this.options.bind(name);
    const dims = n.shape as number[];
    const dataType = this.elementType("float");
    if (binding.kind === "input") {
      this.inputs.push(this.valueInfo(name, n.shape, "float"));
    } else if (binding.kind === "quantised") {
      this.quantisedWeight(name, dims, binding.matrix);
    } else if (binding.kind === "inline") {
      this.initializers.push({ name, dims, dataType, rawData: bytesOf(binding.data) });
    } else {
      const externalData = externalReference(binding.location, binding.offset, binding.byteLength);
      this.initializers.push({ name, dims, dataType: FLOAT, dataLocation: 1, externalData });
    }
  }

  private quantisedWeight(name: string, [rows, columns]: number[], matrix: QuantisedWeight): void {
    const { block } = matrix;
    const { planes, constants } = planesOf(matrix);
    const dims = [rows, columns / block];
    planes.forEach(({ bits, data, scales }, p) => {
      const packed = [...dims, (block * bits) / 8];
      this.data(`${name}.${p}`, packed, UINT8, data);
      this.data(`${name}.${p}.scales`, dims, FLOAT, bytesOf(scales));
    });
    if (constants !== undefined) this.data(`${name}.constants`, dims, FLOAT, bytesOf(constants));
    this.quantised.set(name, {
      block,
      int8: matrix.int8 ?? false,
      bits: planes.map(({ bits }) => bits),
      hasConstants: constants !== undefined,
    });
  }

  private data(name: string, dims: number[], dataType: number, data: Uint8Array): void {
    const { external } = this.options;
    if (external === undefined) {
      this.initializers.push({ name, dims, dataType, rawData: data });
      return;
    }
    external.set(name, data);
    const externalData = externalReference(name, 0, data.byteLength);
    this.initializers.push({ name, dims, dataType, dataLocation: 1, externalData });
  }

  /** x · Wᵀ with a quantised W, of x (tokens, in). */
  private quantisedLinear(x: string, w: Node, form: QuantisedForm): string {
    const { block, int8, bits, hasConstants } = form;
    const name = nameOf(w);
    const [N, K] = w.shape as number[];
    // Level 4: the inputs are rounded to 8 bits.
    const attributes = { K, N, block_size: block, accuracy_level: int8 ? 4 : 0 };
    const terms = bits.map((n, p) =>
      this.emit("MatMulNBits", [x, `${name}.${p}`, `${name}.${p}.scales`], { ...attributes, bits: n }),
    );
    if (hasConstants) {
      const blocks = this.emit("Reshape", [x, this.integers([-1, K / block, block])]);
      const sums = this.emit("ReduceSum", [blocks, this.integers([-1])], { keepdims: 0 });
      terms.push(this.emit("Gemm", [sums, `${name}.constants`], { transB: 1 }));
    }
    return terms.reduce((a, b) => this.emit("Add", [a, b]));
  }

  /** (tokens, features): every leading axis in one. */
  flat(name: string, shape: Shape): string {
    if (shape.length === 2) return name;
    const last = shape[shape.length - 1];
    if (typeof last === "string") throw new TypeError(`${showShape(shape)} has no known last length.`);
    return this.emit("Reshape", [name, this.integers([-1, last])]);
  }

  /** Undoes `flat`: the leading axes of `like` and a last axis of `last`. */
  private unflat(name: string, like: string, shape: Shape, last: number): string {
    if (shape.length === 2) return name;
    const lead = this.emit("Shape", [like], { start: 0, end: shape.length - 1 });
    const whole = this.emit("Concat", [lead, this.integers([last])], { axis: 0 });
    return this.emit("Reshape", [name, whole], LITERALLY);
  }

  lengthOf(name: string, axis: number): string {
    return this.emit("Shape", [name], { start: axis, end: axis + 1 });
  }

  private readonly special: Record<string, (n: Node, of: (operand: Node) => string) => string> = {
    Input: (n) => this.once(nameOf(n), () => this.inputs.push(this.valueInfo(nameOf(n), n.shape, n.type))),
    Weight: (n) => this.once(nameOf(n), () => this.weight(n)),
    Erf: (n, of) => {
      const x = of(n.inputs[0]);
      if (this.options.float === "float32") return this.emit("Erf", [x]);
      return doubleErf(
        x,
        (op, inputs) => this.emit(op, inputs),
        (value) => this.float(value),
      );
    },
    Gelu: (n, of) => {
      const x = of(n.inputs[0]);
      const { approximate } = n.attributes as { approximate: string };
      if (this.options.float === "float32") return this.emit("Gelu", [x], { approximate });
      return doubleGelu(
        x,
        approximate,
        (op, inputs) => this.emit(op, inputs),
        (value) => this.float(value),
      );
    },
    Scalar: (n) => this.float(n.attributes.value as number),
    Step: (n, of) => {
      const positive = this.emit("Greater", [of(n.inputs[0]), this.float(0)]);
      return this.emit("Cast", [positive], { to: this.elementType("float") });
    },
    TopKMask: (n, of) => {
      const x = of(n.inputs[0]);
      const [, places] = this.largest(x, n.attributes.k as number);
      const spread = (value: number, like: string): string =>
        this.emit("Expand", [this.float(value), this.emit("Shape", [like])]);
      return this.emit("ScatterElements", [spread(0, x), places, spread(1, places)], { axis: -1 });
    },
    Linear: (n, of) => {
      const [x, w, b] = n.inputs;
      const quantised = w.op === "Weight" ? this.quantised.get(nameOf(w)) : undefined;
      if (quantised !== undefined) {
        const y = this.quantisedLinear(this.flat(of(x), x.shape), w, quantised);
        const biased = b ? this.emit("Add", [y, of(b)]) : y;
        return this.unflat(biased, of(x), x.shape, w.shape[0] as number);
      }
      if (this.options.training && x.shape.length > 2) {
        const y = this.emit("FusedMatMul", [of(x), of(w)], { transB: 1 });
        return b ? this.emit("Add", [y, of(b)]) : y;
      }
      const operands = [this.flat(of(x), x.shape), of(w), ...n.inputs.slice(2).map(of)];
      const y = this.emit("Gemm", operands, { transB: 1 });
      return this.unflat(y, of(x), x.shape, w.shape[0] as number);
    },
    LinearTransposed: (n, of) => {
      const [g, w] = n.inputs;
      if (this.options.training && g.shape.length > 2) return this.emit("MatMul", [of(g), of(w)]);
      const y = this.emit("Gemm", [this.flat(of(g), g.shape), of(w)]);
      return this.unflat(y, of(g), g.shape, w.shape[1] as number);
    },
    OuterSum: (n, of) => {
      const [g, x] = n.inputs.map((i) => this.flat(of(i), i.shape));
      return this.emit("Gemm", [g, x], { transA: 1 });
    },
    Attention: (n, of) => {
      const { heads, scale } = n.attributes as { heads: number; scale: number };
      return this.emit("MultiHeadAttention", n.inputs.map(of), { num_heads: heads, scale: { float: scale } });
    },
    WithPullback: (n, of) => of(n.inputs[n.inputs.length - 1]),
    ReduceSum: (n, of) => this.reduce(n, of),
    ReduceMean: (n, of) => this.reduce(n, of),
    ReduceMax: (n, of) => this.reduce(n, of),
    TopKValues: (n, of) => this.largest(of(n.inputs[0]), n.attributes.k as number)[0],
    TopKIndices: (n, of) => this.largest(of(n.inputs[0]), n.attributes.k as number)[1],
    ToFloat: (n, of) => this.emit("Cast", [of(n.inputs[0])], { to: this.elementType("float") }),
    GatherElements: (n, of) => this.emit("GatherElements", n.inputs.map(of), { axis: -1 }),
    Reshape: (n, of) => {
      const from = n.inputs[0].shape;
      let free = 0;
      const dims = n.shape.map((d, i) => {
        if (typeof d === "number") return d;
        if (from[i] === d) return 0;
        free++;
        return -1;
      });
      if (free > 1)
        throw new TypeError(
          `Reshaping ${showShape(from)} to ${showShape(n.shape)} leaves ${free} lengths open.`,
        );
      return this.emit("Reshape", [of(n.inputs[0]), this.integers(dims)]);
    },
    Transpose: (n, of) =>
      this.emit("Transpose", [of(n.inputs[0])], { perm: n.attributes.permutation as readonly number[] }),
    Concat: (n, of) => this.emit("Concat", n.inputs.map(of), { axis: n.attributes.axis as number }),
    Slice: (n, of) => {
      const { start, end, axis } = n.attributes as { start: number; end: number; axis: number };
      return this.emit("Slice", [of(n.inputs[0]), ...[[start], [end], [axis]].map((v) => this.integers(v))]);
    },
    SliceFrom: (n, of) => {
      const { axis, start } = n.attributes as { axis: number; start: number };
      const bounds = [[start], [2 ** 53], [axis]].map((v) => this.integers(v));
      return this.emit("Slice", [of(n.inputs[0]), ...bounds]);
    },
    ConcatPart: (n, of) => {
      const [x, ...parts] = n.inputs;
      const { axis, index } = n.attributes as { axis: number; index: number };
      const lengths = parts.slice(0, index + 1).map((p) => this.lengthOf(of(p), fromEnd(axis, p.shape)));
      const sum = (names: string[]): string =>
        names.length === 0 ? this.integers([0]) : names.reduce((a, b) => this.emit("Add", [a, b]));
      const [start, end] = [sum(lengths.slice(0, -1)), sum(lengths)];
      return this.emit("Slice", [of(x), start, end, this.integers([axis])]);
    },
    SplitPart: (n, of) => {
      const [x, counts] = n.inputs;
      const { axis, index } = n.attributes as { axis: number; index: number };
      return this.emitAll("Split", [of(x), of(counts)], counts.shape[0] as number, { axis })[index];
    },
    Pad: (n, of) => {
      const { axis, before, after } = n.attributes as { axis: number; before: number; after: number };
      const widths = this.integers([before, after]);
      return this.emit("Pad", [of(n.inputs[0]), widths, this.float(0), this.integers([axis])]);
    },
    ReshapeLike: (n, of) =>
      this.emit("Reshape", [of(n.inputs[0]), this.emit("Shape", [of(n.inputs[1])])], LITERALLY),
    Gather: (n, of) => this.emit("Gather", n.inputs.map(of), { axis: 0 }),
    ScatterSum: (n, of) => {
      const [g, index, matrix] = n.inputs;
      const updates = this.flat(of(g), g.shape);
      const column = this.emit("Reshape", [of(index), this.integers([-1, 1])]);
      const places = this.emit("Expand", [column, this.emit("Shape", [updates])]);
      const zeros = this.emit("Expand", [this.float(0), this.emit("Shape", [of(matrix)])]);
      // ScatterND would do without the repeated index, but adds from several threads: equal runs would differ.
      return this.emit("ScatterElements", [zeros, places, updates], { axis: 0, reduction: "add" });
    },
    ExpandLike: (n, of) => this.emit("Expand", [of(n.inputs[0]), this.emit("Shape", [of(n.inputs[1])])]),
  };

  /** The k largest elements of the last axis, and their indices. */
  private largest(x: string, k: number): readonly string[] {
    return this.emitAll("TopK", [x, this.integers([k])], 2);
  }

  private reduce(n: Node, of: (operand: Node) => string): string {
    const { axes, keepdims } = n.attributes as { axes: readonly number[]; keepdims: boolean };
    return this.emit(n.op, [of(n.inputs[0]), this.integers(axes)], { keepdims: keepdims ? 1 : 0 });
  }
}

const softmaxes = new Set(["Softmax", "LogSoftmax"]);

/** Operations whose ONNX form has the same name, operands and meaning. */
const plain: Record<string, string> = Object.fromEntries(
  [
    ...["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Exp", "Log", "Sigmoid", "Tanh", "Relu"],
    ...["Softmax", "LogSoftmax", "MatMul", "Where", "Max"],
  ].map((op) => [op, op]),
);

/** Where a tensor's bytes lie. */
function externalReference(location: string, offset: number, length: number): object[] {
  return Object.entries({ location, offset, length }).map(([key, value]) => ({ key, value: String(value) }));
}

function attributeOf(name: string, value: Attributes[string]): object {
  if (typeof value === "number") return { name, type: attributeKind.int, i: value };
  if (typeof value === "string") return { name, type: attributeKind.string, s: Buffer.from(value) };
  if ("float" in value) return { name, type: attributeKind.float, f: value.float };
  return { name, type: attributeKind.ints, ints: [...value] };
}

function bytesOf(data: BigInt64Array | Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
