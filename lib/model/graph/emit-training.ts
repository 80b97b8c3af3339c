/** ONNX forms of the operations that only graphs for training have. */
import type { Node } from "./node.js";
import type { Form, OnnxWriter } from "./onnx-writer.js";
import { fromEnd } from "./ops.js";

export const trainingForms: Readonly<Record<string, Form>> = {
  GroupedLinear(to, n, [x, w, counts]) {
    const parts = rowsByGroup(to, n, x, counts);
    const matrices = matricesByGroup(to, n.inputs[1], w);
    const products = parts.map((rows, e) => to.emit("Gemm", [rows, matrices[e]], { transB: 1 }));
    return to.emit("Concat", products, { axis: 0 });
  },
  GroupedLinearTransposed(to, n, [g, w, counts]) {
    const parts = rowsByGroup(to, n, g, counts);
    const matrices = matricesByGroup(to, n.inputs[1], w);
    const products = parts.map((rows, e) => to.emit("Gemm", [rows, matrices[e]]));
    return to.emit("Concat", products, { axis: 0 });
  },
  GroupedOuterSum(to, n, [g, x, counts]) {
    const [left, right] = [g, x].map((rows) => rowsByGroup(to, n, rows, counts));
    const sums = left.map((rows, e) => to.emit("Gemm", [rows, right[e]], { transA: 1 }));
    const joined = to.emit("Concat", sums, { axis: 0 });
    return to.emit("Reshape", [joined, to.integers(n.shape as number[])]);
  },
  Chosen(to, n, [mask]) {
    const [, columns] = n.inputs[0].shape as [unknown, number];
    const { part, k } = n.attributes as { part: string; k: number };
    const marks = to.emit("Cast", [mask], { to: to.elementType("int64") });
    // By column: columns · tokens, in one line.
    const line = to.emit("Reshape", [to.emit("Transpose", [marks], { perm: [1, 0] }), to.integers([-1])]);
    const cells = to.emit("Squeeze", [to.emit("NonZero", [line]), to.integers([0])]);
    if (part === "cells") return cells;
    if (part === "tokens") return to.emit("Mod", [cells, to.lengthOf(mask, 0)]);
    if (part === "counts") return to.emit("ReduceSum", [marks, to.integers([0])], { keepdims: 0 });
    const before = to.emit("CumSum", [line, to.integers([0])], { exclusive: 1 });
    const places = to.emit("Transpose", [to.emit("Reshape", [before, to.integers([columns, -1])])], {
      perm: [1, 0],
    });
    const byToken = to.emit("Squeeze", [
      to.emit("NonZero", [to.emit("Reshape", [marks, to.integers([-1])])]),
      to.integers([0]),
    ]);
    const own = to.emit("Gather", [to.emit("Reshape", [places, to.integers([-1])]), byToken], { axis: 0 });
    return to.emit("Reshape", [own, to.integers([-1, k])]);
  },
  EvenParts(to, n, [x]) {
    const { axis, parts, each } = n.attributes as { axis: number; parts: number; each: number };
    const length = to.lengthOf(x, fromEnd(axis, n.inputs[0].shape));
    // Ends from the last back, a whole length apart: the rest, or nothing, is left to the first.
    const rounded = to.emit("Add", [length, to.integers([parts - 1])]);
    const whole = to.emit("Div", [rounded, to.integers([parts])]);
    const bounds = (first: number): string => {
      const after = to.integers(Array.from({ length: parts }, (_, i) => parts - first - i));
      const at = to.emit("Sub", [length, to.emit("Mul", [whole, after])]);
      return to.emit("Max", [at, to.integers([0])]);
    };
    const lengths = to.emit("Sub", [bounds(1), bounds(0)]);
    return each === 1 ? lengths : to.emit("Mul", [lengths, to.integers([each])]);
  },
  RepeatedRows(to, n, [x]) {
    const each = to.integers([n.attributes.each as number]);
    const scalar = (value: string): string => to.emit("Squeeze", [value]);
    const end = to.emit("Mul", [to.lengthOf(x, 2), each]);
    const all = to.emit("Range", [scalar(to.integers([0])), scalar(end), scalar(to.integers([1]))]);
    return to.emit("Gather", [x, to.emit("Div", [all, each])], { axis: 2 });
  },
  UpToPart(to, n, [x, counts]) {
    const { axis, index } = n.attributes as { axis: number; index: number };
    const own = to.emit("Slice", [counts, to.integers([0]), to.integers([index + 1])]);
    const end = to.emit("ReduceSum", [own, to.integers([0])], { keepdims: 1 });
    return to.emit("Slice", [x, to.integers([0]), end, to.integers([axis])]);
  },
  WithRowsOf: (to, _, [x, like]) => {
    const rows = to.lengthOf(like, 0);
    return to.emit("Expand", [x, to.emit("Concat", [rows, to.integers([1, 1, 1])], { axis: 0 })]);
  },
  PadLike(to, n, [x, like]) {
    const { axis } = n.attributes as { axis: number };
    const lengths = [like, x].map((of, i) => to.lengthOf(of, fromEnd(axis, n.inputs[1 - i].shape)));
    const widths = to.emit("Concat", [to.integers([0]), to.emit("Sub", lengths)], { axis: 0 });
    return to.emit("Pad", [x, widths, to.float(0), to.integers([axis])]);
  },
  RmsNorm(to, n, inputs) {
    const { epsilon, output } = n.attributes as { epsilon: number; output: number };
    const attributes = { axis: -1, epsilon: { float: epsilon } };
    return to.emitAll("SimplifiedLayerNormalization", inputs, 2, attributes)[output];
  },
  LayerNorm(to, n, inputs) {
    const { epsilon, output } = n.attributes as { epsilon: number; output: number };
    return to.emitAll("LayerNormalization", inputs, 3, { axis: -1, epsilon: { float: epsilon } })[output];
  },
  Rotated(to, n, [x, cos, sin]) {
    const [, , heads, size] = n.shape as [unknown, unknown, number, number];
    const [first, half] = [to.integers([0]), to.integers([size / 2])];
    const table = (angles: string): string =>
      to.emit("Reshape", [
        to.emit("Slice", [angles, first, half, to.integers([-1])]),
        to.integers([-1, size / 2]),
      ]);
    const shape = to.emit("Shape", [cos], { start: 0, end: 2 });
    const cells = to.emit("ReduceProd", [shape], { keepdims: 0 });
    const [zero, one] = [to.emit("Squeeze", [to.integers([0])]), to.emit("Squeeze", [to.integers([1])])];
    const places = to.emit("Reshape", [to.emit("Range", [zero, cells, one]), shape]);
    const flat = to.emit("Reshape", [x, to.integers([0, 0, heads * size])]);
    const turned = to.emit("RotaryEmbedding", [flat, places, table(cos), table(sin)]);
    return to.emit("Reshape", [turned, to.integers([0, 0, heads, size])]);
  },
};

/** Each group's rows. */
function rowsByGroup(to: OnnxWriter, n: Node, rows: string, counts: string): readonly string[] {
  const groups = n.inputs[2].shape[0] as number;
  return to.emitAll("Split", [rows, counts], groups, { axis: 0 });
}

/** Each group's matrix of (groups, out, in). */
function matricesByGroup(to: OnnxWriter, w: Node, name: string): readonly string[] {
  const [groups, out, inner] = w.shape as [number, number, number];
  const below = to.emit("Reshape", [name, to.integers([groups * out, inner])]);
  const lengths = to.integers(Array.from({ length: groups }, () => out));
  return to.emitAll("Split", [below, lengths], groups, { axis: 0 });
}
