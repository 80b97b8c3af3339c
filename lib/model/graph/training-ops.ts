/** Operations that graphs for training are made of: one projection for each group of rows, and pieces of sequences. */
import { type Dim, type Node, node, type Shape, showShape } from "./node.js";
import { fromEnd } from "./ops.js";

/**
 * x Wₑᵀ, with e the group of each row: x (rows, in), in the order of their groups, W (groups, out, in).
 * @param counts (groups), whole numbers: rows of each group, which may be none
 */
export function groupedLinear(x: Node, w: Node, counts: Node): Node {
  return node("GroupedLinear", [x, w, counts], [x.shape[0], w.shape[1]]);
}

/** g Wₑ: the transpose of `groupedLinear`, g (rows, out), W (groups, out, in). */
export function groupedLinearTransposed(g: Node, w: Node, counts: Node): Node {
  return node("GroupedLinearTransposed", [g, w, counts], [g.shape[0], w.shape[2]]);
}

/** Σ over the rows of each group of g ⊗ x: g (rows, out), x (rows, in) → (groups, out, in). */
export function groupedOuterSum(g: Node, x: Node, counts: Node): Node {
  return node("GroupedOuterSum", [g, x, counts], [counts.shape[0], g.shape[1], x.shape[1]]);
}

/** Where the elements of a matrix of zeros and ones are that are 1; `k` of them are in each row, by name `rows` in all. */
export interface Chosen {
  /** (rows): the row of each, in the order of the columns. */
  readonly tokens: Node;
  /** (rows): the place of each in the transposed matrix, in one line. */
  readonly cells: Node;
  /** (columns): how many there are in each column. */
  readonly counts: Node;
  /** (tokens, k): by row, where its own are in that order. */
  readonly positions: Node;
}

/** @param mask (tokens, columns), k ones in each row */
export function chosen(mask: Node, k: number, rows: Dim): Chosen {
  const part = (name: keyof Chosen, shape: Shape): Node =>
    node("Chosen", [mask], shape, { part: name, k }, "int64");
  return {
    tokens: part("tokens", [rows]),
    cells: part("cells", [rows]),
    counts: part("counts", [mask.shape[1]]),
    positions: part("positions", [mask.shape[0], k]),
  };
}

/** Whole numbers (parts): the lengths of as many pieces of an axis (from the end), `each` times; any that are empty come first. */
export function evenParts(x: Node, axis: number, parts: number, each: number): Node {
  return node("EvenParts", [x], [parts], { axis, parts, each }, "int64");
}

/** Every row `each` times: (…, rows, features) with two leading axes → (…, rows · each, features), called `length`. */
export function repeatedRows(x: Node, each: number, length: Dim): Node {
  return node("RepeatedRows", [x], replaced(x.shape, -2, length), { each });
}

/** The elements of an axis (from the end) before the end of part `index`: the first `index` + 1 of `counts`. */
export function upToPart(x: Node, counts: Node, axis: number, index: number, length: Dim): Node {
  return node("UpToPart", [x, counts], replaced(x.shape, axis, length), { axis, index });
}

/** `x` of four axes, one row of a batch or all, for every row of `like`. */
export function withRowsOf(x: Node, like: Node): Node {
  return node("WithRowsOf", [x, like], [like.shape[0], ...x.shape.slice(1)]);
}

/** Zeros after the elements of an axis (from the end), up to the length that it has in `like`. */
export function padLike(x: Node, like: Node, axis: number): Node {
  const length = like.shape[fromEnd(axis, like.shape)];
  return node("PadLike", [x, like], replaced(x.shape, axis, length), { axis });
}

function replaced(shape: Shape, axis: number, length: Dim): Shape {
  const i = fromEnd(axis, shape);
  return shape.map((d, j) => (j === i ? length : d));
}

/** A normalised value and what it was divided by, as one over it: (…, 1). */
export interface Normalised {
  readonly value: Node;
  readonly inverse: Node;
}

/** x / √(mean x² + ε) · gain over the last axis. */
export function rmsNormalised(x: Node, gain: Node, epsilon: number): Normalised {
  const inputs = [x, gain];
  const scale = [...x.shape.slice(0, -1), 1];
  return {
    value: node("RmsNorm", inputs, x.shape, { epsilon, output: 0 }),
    inverse: node("RmsNorm", inputs, scale, { epsilon, output: 1 }),
  };
}

/** (x − mean) / √(variance + ε) · gain + bias over the last axis, with the mean. */
export function layerNormalised(
  x: Node,
  [gain, bias]: readonly [Node, Node],
  epsilon: number,
): Normalised & { readonly mean: Node } {
  const inputs = [x, gain, bias];
  const scale = [...x.shape.slice(0, -1), 1];
  return {
    value: node("LayerNorm", inputs, x.shape, { epsilon, output: 0 }),
    mean: node("LayerNorm", inputs, scale, { epsilon, output: 1 }),
    inverse: node("LayerNorm", inputs, scale, { epsilon, output: 2 }),
  };
}

/** x · cos + (−x₂, x₁) · sin for the halves of each head of (batch, time, heads, size); cos, sin (batch, time, size). */
export function rotated(x: Node, cos: Node, sin: Node): Node {
  if (x.shape.length !== 4) throw new RangeError(`${showShape(x.shape)} has no heads.`);
  return node("Rotated", [x, cos, sin], x.shape);
}
