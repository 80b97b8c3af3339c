import { own } from "../../own.js";
import { trainingForms } from "./emit-training.js";
import { type WeightOptions, weightForms } from "./emit-weights.js";
import { doubleErf, doubleGelu } from "./erf-float64.js";
import { type Node, nameOf, showShape, sorted } from "./node.js";
import { type FloatType, type Form, LITERALLY, OnnxWriter } from "./onnx-writer.js";
import { fromEnd } from "./ops.js";

export interface EmitOptions extends WeightOptions {
  readonly float: FloatType;
}

/**
 * Writes the computation of `outputs` as an ONNX model (IR 10, opset 21).
 * Only what the outputs depend on is in it, each node once.
 */
export function emitOnnx(outputs: Readonly<Record<string, Node>>, options: EmitOptions): Uint8Array {
  const to = new OnnxWriter(options.float);
  const table: Readonly<Record<string, Form>> = {
    ...forms,
    ...trainingForms,
    ...(options.float === "float64" && float64Forms),
    ...weightForms(options),
  };
  const names = new Map<Node, string>();
  const operands = (n: Node): string[] => n.inputs.map((x) => names.get(x)!);
  for (const n of sorted(Object.values(outputs))) {
    const form = own(table, n.op);
    if (!form) throw new TypeError(`The operation ${n.op} has no ONNX form.`);
    const name = form(to, n, operands(n));
    names.set(n, name);
    if (options.training) to.describe(name, n);
  }
  for (const [name, n] of Object.entries(outputs)) to.output(name, names.get(n)!, n);
  return to.finish();
}

/** The form of an operation whose ONNX operator has the same operands and meaning. */
const operator =
  (opType: string): Form =>
  (to, _, inputs) =>
    to.emit(opType, inputs);

const softmax: Form = (to, n, inputs) => to.emit(n.op, inputs, { axis: -1 });

const reduction: Form = (to, n, [x]) => {
  const { axes, keepdims } = n.attributes as { axes: readonly number[]; keepdims: boolean };
  return to.emit(n.op, [x, to.integers(axes)], { keepdims: keepdims ? 1 : 0 });
};

const SAME_IN_ONNX = [
  ...["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Exp", "Log", "Sigmoid", "Tanh", "Relu", "Erf"],
  ...["MatMul", "Where", "Max"],
];

const forms: Readonly<Record<string, Form>> = {
  ...Object.fromEntries(SAME_IN_ONNX.map((op) => [op, operator(op)])),
  Softmax: softmax,
  LogSoftmax: softmax,
  Input: (to, n) => to.once(nameOf(n), () => to.input(n)),
  Gelu(to, n, [x]) {
    const { approximate } = n.attributes as { approximate: string };
    return to.emit("Gelu", [x], { approximate });
  },
  Scalar: (to, n) => to.float(n.attributes.value as number),
  Step(to, _, [x]) {
    const positive = to.emit("Greater", [x, to.float(0)]);
    return to.emit("Cast", [positive], { to: to.elementType("float") });
  },
  TopKMask(to, n, [x]) {
    const [, places] = largest(to, n, x);
    const spread = (value: number, like: string): string =>
      to.emit("Expand", [to.float(value), to.emit("Shape", [like])]);
    return to.emit("ScatterElements", [spread(0, x), places, spread(1, places)], { axis: -1 });
  },
  OuterSum(to, n, inputs) {
    const [g, x] = inputs.map((name, i) => to.flat(name, n.inputs[i].shape));
    return to.emit("Gemm", [g, x], { transA: 1 });
  },
  Attention(to, n, inputs) {
    const { heads, scale } = n.attributes as { heads: number; scale: number };
    return to.emit("MultiHeadAttention", inputs, { num_heads: heads, scale: { float: scale } });
  },
  WithPullback: (_to, _n, inputs) => inputs[inputs.length - 1],
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  TopKValues: (to, n, [x]) => largest(to, n, x)[0],
  TopKIndices: (to, n, [x]) => largest(to, n, x)[1],
  ToFloat: (to, _, [x]) => to.emit("Cast", [x], { to: to.elementType("float") }),
  GatherElements: (to, _, inputs) => to.emit("GatherElements", inputs, { axis: -1 }),
  Reshape(to, n, [x]) {
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
    return to.emit("Reshape", [x, to.integers(dims)]);
  },
  Transpose: (to, n, [x]) =>
    to.emit("Transpose", [x], { perm: n.attributes.permutation as readonly number[] }),
  Concat: (to, n, inputs) => to.emit("Concat", inputs, { axis: n.attributes.axis as number }),
  Slice(to, n, [x]) {
    const { start, end, axis } = n.attributes as { start: number; end: number; axis: number };
    return to.emit("Slice", [x, to.integers([start]), to.integers([end]), to.integers([axis])]);
  },
  SliceFrom(to, n, [x]) {
    const { axis, start } = n.attributes as { axis: number; start: number };
    return to.emit("Slice", [x, to.integers([start]), to.integers([2 ** 53]), to.integers([axis])]);
  },
  ConcatPart(to, n, [x, ...parts]) {
    const { axis, index } = n.attributes as { axis: number; index: number };
    const lengths = parts
      .slice(0, index + 1)
      .map((part, i) => to.lengthOf(part, fromEnd(axis, n.inputs[i + 1].shape)));
    const sum = (names: string[]): string =>
      names.length === 0 ? to.integers([0]) : names.reduce((a, b) => to.emit("Add", [a, b]));
    const [start, end] = [sum(lengths.slice(0, -1)), sum(lengths)];
    return to.emit("Slice", [x, start, end, to.integers([axis])]);
  },
  SplitPart(to, n, [x, counts]) {
    const { axis, index } = n.attributes as { axis: number; index: number };
    return to.emitAll("Split", [x, counts], n.inputs[1].shape[0] as number, { axis })[index];
  },
  Pad(to, n, [x]) {
    const { axis, before, after } = n.attributes as { axis: number; before: number; after: number };
    const widths = to.integers([before, after]);
    return to.emit("Pad", [x, widths, to.float(0), to.integers([axis])]);
  },
  ReshapeLike: (to, _, [x, like]) => to.emit("Reshape", [x, to.emit("Shape", [like])], LITERALLY),
  Gather: (to, _, inputs) => to.emit("Gather", inputs, { axis: 0 }),
  ScatterSum(to, n, [g, index, matrix]) {
    const updates = to.flat(g, n.inputs[0].shape);
    const column = to.emit("Reshape", [index, to.integers([-1, 1])]);
    const places = to.emit("Expand", [column, to.emit("Shape", [updates])]);
    const zeros = to.emit("Expand", [to.float(0), to.emit("Shape", [matrix])]);
    // ScatterND would do without the repeated index, but adds from several threads: equal runs would differ.
    return to.emit("ScatterElements", [zeros, places, updates], { axis: 0, reduction: "add" });
  },
  ExpandLike: (to, _, [x, like]) => to.emit("Expand", [x, to.emit("Shape", [like])]),
};

/** Of operators that onnxruntime has in float32 only. */
const float64Forms: Readonly<Record<string, Form>> = {
  Erf: (to, _, [x]) => doubleErf(to, x),
  Gelu: (to, n, [x]) => doubleGelu(to, x, n.attributes.approximate as string),
};

/** The k largest elements of the last axis, and their indices. */
function largest(to: OnnxWriter, n: Node, x: string): readonly string[] {
  return to.emitAll("TopK", [x, to.integers([n.attributes.k as number])], 2);
}
