import { type Dim, type Node, node, type Shape, scalar, showShape } from "./node.js";

/** The shape of an elementwise result, by NumPy's broadcasting rule. */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 1; i <= rank; i++) {
    const x = a.length >= i ? a[a.length - i] : 1;
    const y = b.length >= i ? b[b.length - i] : 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new RangeError(`Shapes ${showShape(a)} and ${showShape(b)} do not broadcast: ${x} against ${y}.`);
    }
    out.unshift(x === 1 ? y : x);
  }
  return out;
}

function asNode(x: Node | number): Node {
  return typeof x === "number" ? scalar(x) : x;
}

function binary(op: string): (a: Node | number, b: Node | number, shape?: Shape) => Node {
  return (a, b, shape) => {
    const [x, y] = [asNode(a), asNode(b)];
    return node(op, [x, y], shape ?? broadcast(x.shape, y.shape));
  };
}

function unary(op: string): (x: Node) => Node {
  return (x) => node(op, [x], x.shape);
}

type Binary = (a: Node | number, b: Node | number, shape?: Shape) => Node;
type Unary = (x: Node) => Node;

/** Elementwise, with broadcasting; `shape` overrides the inferred one where an operand's dims are free. */
export const add: Binary = binary("Add");
export const sub: Binary = binary("Sub");
export const mul: Binary = binary("Mul");
export const div: Binary = binary("Div");
/** The larger of two. It has no derivative here. */
export const max: Binary = binary("Max");

export const neg: Unary = unary("Neg");
export const sqrt: Unary = unary("Sqrt");
export const exp: Unary = unary("Exp");
export const log: Unary = unary("Log");
export const sigmoid: Unary = unary("Sigmoid");
export const tanh: Unary = unary("Tanh");
export const erf: Unary = unary("Erf");
export const relu: Unary = unary("Relu");
/** 1 where x > 0, else 0. Its derivative is taken as zero. */
export const step: Unary = unary("Step");
/** 1 at the k largest elements of the last axis, whose length is known, else 0. Its derivative is taken as zero. */
export function topKMask(x: Node, k: number): Node {
  return node("TopKMask", [x], x.shape, { k });
}
/** Whole numbers (…, k): where the k largest elements of the last axis are, the largest first. It has no derivative. */
export function topKIndices(x: Node, k: number): Node {
  return node("TopKIndices", [x], [...x.shape.slice(0, -1), k], { k }, "int64");
}
/** (…, k): the k largest elements of the last axis, the largest first; of equals the one that comes first. It has no derivative. */
export function topKValues(x: Node, k: number): Node {
  return node("TopKValues", [x], [...x.shape.slice(0, -1), k], { k });
}
/** Whole numbers as numbers of the graph's own type. */
export function toFloat(x: Node): Node {
  return node("ToFloat", [x], x.shape);
}
/** Over the last axis. */
export const softmax: Unary = unary("Softmax");
export const logSoftmax: Unary = unary("LogSoftmax");

/** `condition ? a : b`, elementwise; `condition` is of type bool. */
export function where(condition: Node, a: Node, b: Node): Node {
  return node("Where", [condition, a, b], broadcast(condition.shape, broadcast(a.shape, b.shape)));
}

/** Batched matrix product of (…, n, k) and (…, k, m). */
export function matmul(a: Node, b: Node): Node {
  const k = a.shape[a.shape.length - 1];
  if (a.shape.length < 2 || b.shape.length < 2 || k !== b.shape[b.shape.length - 2]) {
    throw new RangeError(`No matrix product of ${showShape(a.shape)} and ${showShape(b.shape)}.`);
  }
  const lead = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return node("MatMul", [a, b], [...lead, a.shape[a.shape.length - 2], b.shape[b.shape.length - 1]]);
}

/** x Wᵀ (+ b): x (…, in), W (out, in) as checkpoints store it, b (out). */
export function linear(x: Node, w: Node, b?: Node): Node {
  const [out, inner] = w.shape;
  if (x.shape[x.shape.length - 1] !== inner) {
    throw new RangeError(`A weight of shape ${showShape(w.shape)} does not apply to ${showShape(x.shape)}.`);
  }
  return node("Linear", b ? [x, w, b] : [x, w], [...x.shape.slice(0, -1), out]);
}

/** g W: the transpose of `linear`, g (…, out), W (out, in). */
export function linearTransposed(g: Node, w: Node): Node {
  return node("LinearTransposed", [g, w], [...g.shape.slice(0, -1), w.shape[1]]);
}

/** Σ over tokens of g ⊗ x: g (…, out), x (…, in) with the same leading axes → (out, in). */
export function outerSum(g: Node, x: Node): Node {
  return node("OuterSum", [g, x], [g.shape[g.shape.length - 1], x.shape[x.shape.length - 1]]);
}

/** Sum over axes, counted from the end (−1 is the last). */
export function sum(x: Node, axes: readonly number[], keepdims = false): Node {
  return reduce("ReduceSum", x, axes, keepdims);
}

/** Mean over axes, counted from the end. */
export function mean(x: Node, axes: readonly number[], keepdims = false): Node {
  return reduce("ReduceMean", x, axes, keepdims);
}

/** Largest element over axes, counted from the end. It has no derivative here. */
export function maxOver(x: Node, axes: readonly number[], keepdims = false): Node {
  return reduce("ReduceMax", x, axes, keepdims);
}

function reduce(op: string, x: Node, axes: readonly number[], keepdims: boolean): Node {
  const hit = new Set(axes.map((axis) => fromEnd(axis, x.shape)));
  const shape = keepdims
    ? x.shape.map((d, i) => (hit.has(i) ? 1 : d))
    : x.shape.filter((_, i) => !hit.has(i));
  return node(op, [x], shape, { axes, keepdims });
}

/**
 * softmax(scale · q kᵀ) v of each head, without keeping the scores; it has no derivative.
 * @param q (batch, queries, heads · size); k, v: (batch, keys, heads · size)
 * @returns (batch, queries, heads · size)
 */
export function fusedAttention(
  q: Node,
  k: Node,
  v: Node,
  { heads, scale }: { readonly heads: number; readonly scale: number },
): Node {
  return node("Attention", [q, k, v], q.shape, { heads, scale });
}

/** At most one named length may move to another axis or be new; the others stay where they are. */
export function reshape(x: Node, shape: Shape): Node {
  return node("Reshape", [x], shape);
}

/** `permutation[i]` is the axis that becomes axis i. */
export function transpose(x: Node, permutation: readonly number[]): Node {
  return node(
    "Transpose",
    [x],
    permutation.map((p) => x.shape[p]),
    { permutation },
  );
}

/** Joins along `axis` (from the end); `length` names the joined length when it is not known. */
export function concat(parts: readonly Node[], axis: number, length?: Dim): Node {
  const i = fromEnd(axis, parts[0].shape);
  const lengths = parts.map((p) => p.shape[i]);
  const total = lengths.every((d) => typeof d === "number") ? lengths.reduce((a, b) => a + b, 0) : length;
  if (total === undefined) throw new RangeError(`Name the length that joins ${lengths.join(" and ")}.`);
  return node(
    "Concat",
    parts,
    parts[0].shape.map((d, j) => (j === i ? total : d)),
    { axis },
  );
}

/** Elements start … end−1 of `axis` (from the end), whose length is known. */
export function slice(x: Node, axis: number, start: number, end: number): Node {
  const i = fromEnd(axis, x.shape);
  return node(
    "Slice",
    [x],
    x.shape.map((d, j) => (j === i ? end - start : d)),
    { axis, start, end },
  );
}

/** Elements of `axis` (from the end) from `start` on; `length` names how many these are where that is not known. */
export function sliceFrom(x: Node, axis: number, start: number, length: Dim): Node {
  const i = fromEnd(axis, x.shape);
  const whole = x.shape[i];
  const left = typeof whole === "number" ? whole - start : length;
  return node(
    "SliceFrom",
    [x],
    x.shape.map((d, j) => (j === i ? left : d)),
    { axis, start },
  );
}

/** Part `index` of what `concat(parts, axis)` joined, cut from `x`; lengths are read from `parts` at run time. */
export function concatPart(x: Node, parts: readonly Node[], axis: number, index: number): Node {
  const i = fromEnd(axis, x.shape);
  const length = parts[index].shape[fromEnd(axis, parts[index].shape)];
  return node(
    "ConcatPart",
    [x, ...parts],
    x.shape.map((d, j) => (j === i ? length : d)),
    { axis, index },
  );
}

/**
 * Elements of `axis` (from the end) taken apart: `counts` (groups), whole numbers that add up to its length, of which
 * any may be zero, say how many are in each group. The `index`-th group; its length is called `length`.
 */
export function splitPart(x: Node, counts: Node, axis: number, index: number, length: Dim): Node {
  const i = fromEnd(axis, x.shape);
  return node(
    "SplitPart",
    [x, counts],
    x.shape.map((d, j) => (j === i ? length : d)),
    { axis, index },
  );
}

/** Zeros before and after along `axis` (from the end); `length` names the new length where the old is not known. */
export function pad(x: Node, axis: number, before: number, after: number, length?: Dim): Node {
  const i = fromEnd(axis, x.shape);
  return node(
    "Pad",
    [x],
    x.shape.map((d, j) => (j === i ? (length ?? (d as number) + before + after) : d)),
    { axis, before, after },
  );
}

/** `x` repeated to the shape of `like`, by broadcasting. */
export function expandLike(x: Node, like: Node): Node {
  return node("ExpandLike", [x, like], like.shape);
}

/** `x` with the shape that `like` has at run time: for shapes with several lengths that are not known before. */
export function reshapeLike(x: Node, like: Node): Node {
  return node("ReshapeLike", [x, like], like.shape);
}

/** Every leading axis in one, whose length is called `length`: (…, features) → (length, features). */
export function rows(x: Node, length: Dim): Node {
  return reshape(x, [length, x.shape[x.shape.length - 1]]);
}

/** Rows of a matrix by their numbers: (rows, features) and whole numbers (…) → (…, features). */
export function gather(matrix: Node, index: Node): Node {
  return node("Gather", [matrix, index], [...index.shape, matrix.shape[1]]);
}

/** Elements of the last axis: x (…, n) and whole numbers (…, k) with the same leading axes → (…, k). It has no derivative. */
export function gatherElements(x: Node, index: Node): Node {
  return node("GatherElements", [x, index], index.shape);
}

/** The transpose of `gather`: each vector of `g` (…, features) added to its row of zeros shaped like `matrix`. */
export function scatterSum(g: Node, index: Node, matrix: Node): Node {
  return node("ScatterSum", [g, index, matrix], matrix.shape);
}

/** Index from the front of an axis given from the end (negative) or from the front. */
export function fromEnd(axis: number, shape: Shape): number {
  const i = axis < 0 ? shape.length + axis : axis;
  if (!(i >= 0 && i < shape.length)) throw new RangeError(`${showShape(shape)} has no axis ${axis}.`);
  return i;
}

/** x·σ(x). */
export function silu(x: Node): Node {
  return mul(x, sigmoid(x));
}

/** x·Φ(x), with the error function. */
export function gelu(x: Node): Node {
  return node("Gelu", [x], x.shape, { approximate: "none" });
}

/** GELU's tanh form: ½x(1 + tanh(√(2/π)(x + 0.044715x³))). */
export function geluTanh(x: Node): Node {
  return node("Gelu", [x], x.shape, { approximate: "tanh" });
}
