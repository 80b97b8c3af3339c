import { own } from "../../own.js";
import { type Node, type Pull, type Shape, sorted } from "./node.js";
import * as ops from "./ops.js";
import { groupedLinearTransposed, groupedOuterSum } from "./training-ops.js";

const { add, mul, neg, sub } = ops;

/** Options of `pullback`. */
export interface PullbackOptions {
  /** Taken as constants: no cotangent passes through them. */
  readonly frozen?: ReadonlySet<Node>;
  /**
   * True when each cotangent has one leading axis more than its primal: many targets for one primal.
   * Everything returned then has that axis too.
   */
  readonly targets?: boolean;
  /** Activation functions x · gate(x) are taken with their gates as constants: GELU, SiLU and quick GELU, beside ReLU. */
  readonly constantGates?: boolean;
}

/**
 * Vector–Jacobian products: for each node of `wrt`, Σ over outputs of cotangentᵀ · ∂output/∂node.
 * The result is part of the same graph as the primal, whose values it uses.
 *
 * @param cotangents output node → its cotangent, of the output's shape (with a leading axis if `targets`)
 * @returns one node per entry of `wrt`; undefined where no output depends on it
 */
export function pullback(
  cotangents: ReadonlyMap<Node, Node>,
  wrt: readonly Node[],
  options: PullbackOptions = {},
): (Node | undefined)[] {
  const lead = options.targets ? 1 : 0;
  const order = sorted(cotangents.keys());
  const wanted = new Set(wrt);
  const live = new Set<Node>();
  for (const n of order) {
    if (options.frozen?.has(n) && !wanted.has(n)) continue;
    if (wanted.has(n) || (!options.frozen?.has(n) && n.inputs.some((i) => live.has(i)))) live.add(n);
  }
  const total = new Map<Node, Node>();
  const accumulate = (n: Node, g: Node): void => {
    const before = total.get(n);
    total.set(n, before ? add(before, g, g.shape) : g);
  };
  for (const [output, cotangent] of cotangents) if (live.has(output)) accumulate(output, cotangent);
  for (const n of [...order].reverse()) {
    const g = total.get(n);
    if (!g || options.frozen?.has(n) || !n.inputs.some((i) => live.has(i))) continue;
    const rule = n.pull
      ? writtenOut(n.pull, g)
      : (options.constantGates && own(constantGates, n.op)) || own(rules, n.op);
    if (!rule) throw new TypeError(`The operation ${n.op} has no derivative.`);
    n.inputs.forEach((operand, i) => {
      if (!live.has(operand)) return;
      const contribution = rule(n, g, i, lead);
      if (contribution) accumulate(operand, contribution);
    });
  }
  return wrt.map((n) => total.get(n));
}

/** The cotangent of operand `i` of node `n`, from the cotangent `g` of `n`. */
type Rule = (n: Node, g: Node, i: number, lead: number) => Node | undefined;

/** The rule of a node that has its own, whose operands' cotangents are made together. */
function writtenOut(pull: Pull, g: Node): Rule {
  const found = pull(g);
  return (_, __, i, lead) => {
    if (lead > 0) throw new TypeError(perTarget("a value with derivatives of its own"));
    return found[i];
  };
}

/** Sums a cotangent over the axes along which an operand of shape `shape` was repeated. */
function unbroadcast(g: Node, shape: Shape, lead: number): Node {
  const rank = g.shape.length - lead;
  const axes: number[] = [];
  for (let k = 1; k <= rank; k++) {
    const repeated = k > shape.length || (shape[shape.length - k] === 1 && g.shape[g.shape.length - k] !== 1);
    if (repeated) axes.push(-k);
  }
  if (axes.length === 0) return g;
  const summed = ops.sum(g, axes, true);
  const extra = rank - shape.length;
  return extra === 0 ? summed : ops.reshape(summed, [...g.shape.slice(0, lead), ...shape]);
}

/**
 * g · x. With a leading axis in `g` alone, factors of the primal's shape come together first: one pass over all
 * targets in place of one for each factor.
 */
function timesPrimal(g: Node, x: Node, lead: number): Node {
  const [all, factor] = sharedFactor(g, x, lead);
  return factor ? mul(all, mul(factor, x), g.shape) : mul(g, x, g.shape);
}

/** g / x, with factors as in `timesPrimal`. */
function overPrimal(g: Node, x: Node, lead: number): Node {
  if (lead === 0) return ops.div(g, x, g.shape);
  const [all, factor] = sharedFactor(g, x, lead);
  return mul(all, ops.div(factor ?? 1, x), g.shape);
}

/** A product of a cotangent with something that all targets share, taken apart where `x` may go with that. */
function sharedFactor(g: Node, x: Node, lead: number): [Node, Node?] {
  if (lead === 0 || g.op !== "Mul") return [g];
  const [all, factor] = g.inputs;
  const shared = factor.shape.length < g.shape.length && all.shape.length === g.shape.length;
  return shared && broadcasts(factor.shape, x.shape) ? [all, factor] : [g];
}

/** Whether two shapes are known to go together: an edit's inputs have lengths of their own. */
function broadcasts(a: Shape, b: Shape): boolean {
  return a.every((_, i) => {
    const [one, other] = [a[a.length - 1 - i], b[b.length - 1 - i]];
    return other === undefined || one === other || one === 1 || other === 1;
  });
}

/** Swaps the last two axes. */
function swapped(x: Node): Node {
  const permutation = x.shape.map((_, i) => i);
  const n = permutation.length;
  [permutation[n - 2], permutation[n - 1]] = [n - 1, n - 2];
  return ops.transpose(x, permutation);
}

/** GELU(x) / x, of its exact or of its tanh form. */
function geluGate(x: Node, tanh: boolean): Node {
  return mul(add(tanh ? geluTanh(x) : ops.erf(mul(x, Math.SQRT1_2)), 1), 0.5);
}

function geluTanh(x: Node): Node {
  return ops.tanh(mul(mul(add(mul(mul(x, x), 0.044715), 1), x), Math.sqrt(2 / Math.PI)));
}

/** GELU's derivative, of its exact or of its tanh form. */
function geluSlope(x: Node, tanh: boolean): Node {
  const square = mul(x, x);
  if (!tanh) {
    const density = mul(ops.exp(mul(square, -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return add(geluGate(x, tanh), mul(x, density));
  }
  const c = Math.sqrt(2 / Math.PI);
  const t = geluTanh(x);
  const inner = mul(add(mul(square, 3 * 0.044715), 1), c / 2);
  return add(mul(add(t, 1), 0.5), mul(mul(x, sub(1, mul(t, t))), inner));
}

/** Rules of activation functions whose gates are constants. SiLU and quick GELU are x · Sigmoid. */
const constantGates: Record<string, Rule> = {
  Gelu: (n, g) => mul(g, geluGate(n.inputs[0], n.attributes.approximate === "tanh")),
  Sigmoid: () => undefined,
};

const rules: Record<string, Rule> = {
  Add: (n, g, i, lead) => unbroadcast(g, n.inputs[i].shape, lead),
  Sub: (n, g, i, lead) => unbroadcast(i === 0 ? g : neg(g), n.inputs[i].shape, lead),
  Mul: (n, g, i, lead) => unbroadcast(timesPrimal(g, n.inputs[1 - i], lead), n.inputs[i].shape, lead),
  Div: (n, g, i, lead) => {
    const [a, b] = n.inputs;
    const d = i === 0 ? overPrimal(g, b, lead) : neg(ops.div(mul(g, a, g.shape), mul(b, b), g.shape));
    return unbroadcast(d, n.inputs[i].shape, lead);
  },
  Neg: (_, g) => neg(g),
  Sqrt: (n, g) => ops.div(mul(g, 0.5), n),
  Exp: (n, g) => mul(g, n),
  Log: (n, g) => ops.div(g, n.inputs[0]),
  Sigmoid: (n, g) => mul(g, mul(n, sub(1, n))),
  Tanh: (n, g) => mul(g, sub(1, mul(n, n))),
  Erf: (n, g) => mul(g, mul(ops.exp(neg(mul(n.inputs[0], n.inputs[0]))), 2 / Math.sqrt(Math.PI))),
  Gelu: (n, g) => mul(g, geluSlope(n.inputs[0], n.attributes.approximate === "tanh")),
  Relu: (n, g) => mul(g, ops.step(n.inputs[0])),
  Step: () => undefined,
  TopKMask: () => undefined,
  Softmax: (n, g) => {
    const weighted = mul(g, n);
    return sub(weighted, mul(n, ops.sum(weighted, [-1], true)));
  },
  LogSoftmax: (n, g) => sub(g, mul(ops.exp(n), ops.sum(g, [-1], true))),
  Where: (n, g, i, lead) => {
    if (i === 0) return undefined;
    const zero = mul(g, 0);
    const masked = i === 1 ? ops.where(n.inputs[0], g, zero) : ops.where(n.inputs[0], zero, g);
    return unbroadcast(masked, n.inputs[i].shape, lead);
  },
  MatMul: (n, g, i, lead) => {
    const [a, b] = n.inputs;
    const d = i === 0 ? ops.matmul(g, swapped(b)) : ops.matmul(swapped(a), g);
    return unbroadcast(d, n.inputs[i].shape, lead);
  },
  Linear: (n, g, i, lead) => {
    const [x, w] = n.inputs;
    if (i === 0) return ops.linearTransposed(g, w);
    if (i === 2) return unbroadcast(g, n.inputs[2].shape, lead);
    return weightCotangent(g, x, lead);
  },
  LinearTransposed: (n, g, i, lead) => {
    const [x, w] = n.inputs;
    return i === 0 ? ops.linear(g, w) : weightCotangent(x, g, lead);
  },
  GroupedLinear: (n, g, i, lead) => {
    if (lead > 0) throw new TypeError(perTarget("products by a weight"));
    const [x, w, counts] = n.inputs;
    if (i === 2) return undefined;
    return i === 0 ? groupedLinearTransposed(g, w, counts) : groupedOuterSum(g, x, counts);
  },
  ReduceSum: (n, g, _, lead) => expanded(n, g, lead),
  ReduceMean: (n, g, _, lead) => {
    const axes = n.attributes.axes as readonly number[];
    const x = n.inputs[0];
    const count = axes.reduce((c, axis) => {
      const d = x.shape[ops.fromEnd(axis, x.shape)];
      if (typeof d === "string")
        throw new TypeError(`The mean over "${d}" has no derivative: its length is not known.`);
      return c * d;
    }, 1);
    return mul(expanded(n, g, lead), 1 / count);
  },
  Reshape: (n, g, _, lead) => {
    const [x] = n.inputs;
    const open = x.shape.filter((d, i) => typeof d === "string" && d !== n.shape[i]).length;
    if (lead === 0 && open > 1) return ops.reshapeLike(g, x);
    return ops.reshape(g, [...g.shape.slice(0, lead), ...x.shape]);
  },
  ReshapeLike: (n, g, i, lead) => {
    if (lead > 0) throw new TypeError(perTarget("reshaping to a shape known only at run time"));
    return i === 0 ? ops.reshapeLike(g, n.inputs[0]) : undefined;
  },
  Gather: (n, g, i, lead) => {
    if (lead > 0) throw new TypeError(perTarget("looking rows up"));
    return i === 0 ? ops.scatterSum(g, n.inputs[1], n.inputs[0]) : undefined;
  },
  ScatterSum: (n, g, i, lead) => {
    if (lead > 0) throw new TypeError(perTarget("adding to rows"));
    return i === 0 ? ops.gather(g, n.inputs[1]) : undefined;
  },
  Transpose: (n, g, _, lead) => {
    const permutation = n.attributes.permutation as readonly number[];
    const inverse = permutation.map((_, i) => permutation.indexOf(i) + lead);
    return ops.transpose(g, lead === 1 ? [0, ...inverse] : inverse);
  },
  Concat: (n, g, i) => {
    const axis = n.attributes.axis as number;
    return ops.concatPart(g, n.inputs, axis - (axis < 0 ? 0 : n.shape.length), i);
  },
  Slice: (n, g) => {
    const x = n.inputs[0];
    const axis = n.attributes.axis as number;
    const back = axis < 0 ? axis : axis - x.shape.length;
    const length = x.shape[ops.fromEnd(axis, x.shape)];
    if (typeof length === "string")
      throw new TypeError(`A slice of "${length}" has no derivative: its length is not known.`);
    return ops.pad(g, back, n.attributes.start as number, length - (n.attributes.end as number));
  },
  SliceFrom: (n, g) => {
    const { axis, start } = n.attributes as { axis: number; start: number };
    const length = n.inputs[0].shape[ops.fromEnd(axis, n.inputs[0].shape)];
    return ops.pad(g, axis, start, 0, length);
  },
  ConcatPart: (n, g, i, lead) => {
    if (i > 0) return undefined;
    const [x, ...parts] = n.inputs;
    const { axis, index } = n.attributes as { axis: number; index: number };
    const back = axis < 0 ? axis : axis - n.shape.length;
    const nothing = mul(ops.sum(g, [back], true), 0);
    const zerosLike = (p: Node): Node =>
      add(nothing, ops.expandLike(zero, p), [...g.shape.slice(0, lead), ...p.shape]);
    const placed = parts.map((p, j) => (j === index ? g : zerosLike(p)));
    return ops.concat(placed, back, x.shape[ops.fromEnd(axis, x.shape)]);
  },
  Pad: (n, g) => {
    const { axis, before, after } = n.attributes as { axis: number; before: number; after: number };
    const back = axis < 0 ? axis : axis - n.shape.length;
    const length = n.inputs[0].shape[ops.fromEnd(axis, n.inputs[0].shape)];
    if (after === 0) return ops.sliceFrom(g, back, before, length);
    return ops.slice(g, back, before, before + (length as number));
  },
  OuterSum: (n, g, i, lead) => {
    const other = n.inputs[1 - i];
    if (lead === 0) return i === 0 ? ops.linear(other, g) : ops.linearTransposed(other, g);
    // One matrix for each target, which all tokens share.
    const shared = ops.reshape(g, [
      g.shape[0],
      ...other.shape.slice(0, -2).map(() => 1),
      ...g.shape.slice(1),
    ]);
    return ops.matmul(other, i === 0 ? swapped(shared) : shared);
  },
  ExpandLike: (n, g, i, lead) => (i === 0 ? unbroadcast(g, n.inputs[0].shape, lead) : undefined),
};

function weightCotangent(g: Node, x: Node, lead: number): Node {
  if (lead === 0) return ops.outerSum(g, x);
  throw new TypeError(perTarget("products by a weight"));
}

const perTarget = (of: string): string =>
  `The derivative of ${of} is not available for several targets at once: take one at a time.`;

/** A reduction's cotangent, repeated along the axes that were reduced. */
function expanded(n: Node, g: Node, lead: number): Node {
  const x = n.inputs[0];
  const axes = n.attributes.axes as readonly number[];
  const hit = new Set(axes.map((axis) => ops.fromEnd(axis, x.shape)));
  const kept = n.attributes.keepdims
    ? g
    : ops.reshape(g, [...g.shape.slice(0, lead), ...x.shape.map((d, i) => (hit.has(i) ? 1 : d))]);
  // A product with ones repeats along the primal's lengths and leaves the targets' axis alone.
  return mul(kept, ops.expandLike(ones, x), [...g.shape.slice(0, lead), ...x.shape]);
}

const ones = ops.add(0, 1);
const zero = ops.add(0, 0);
