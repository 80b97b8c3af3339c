import {
  chosen,
  derivativeBy,
  groupedLinear,
  input,
  type Node,
  ops,
  pullback,
  type Shape,
} from "../graph/index.js";
import type { Experts } from "./layers.js";
import { activation, MLP_IN, MLP_OUT, type ModuleContext, projection } from "./layers.js";
import { combined, dispatched } from "./training.js";

/** Inner points that the experts outside the block's graph need; not hooks. */
export const EXPERT_INPUT = "experts.input";

export const EXPERT_WEIGHTS = "mlp.hook_expert_weights";
export const EXPERT_INDICES = "mlp.hook_expert_indices";
export const EXPERT_POST = "mlp.hook_post";
/** Output of a sparse block, which is added to the stream. */
export const ADDED = "hook_mlp_out";

/** The hooks of a sparse block after its graph, and their shapes. */
export function expertHooks({ topK, expertDim }: Experts, hidden: number): [string, Shape][] {
  return [
    [EXPERT_INDICES, ["batch", "time", topK]],
    [EXPERT_POST, ["batch", "time", topK, expertDim]],
    [MLP_OUT, ["batch", "time", hidden]],
    [ADDED, ["batch", "time", hidden]],
  ];
}

/**
 * The second half of a sparse block: stream + Σₑ weightₑ · expertₑ(x).
 * @param stream (batch, time, hidden_size), what is added to
 * @param input (batch, time, hidden_size), what the router and the experts read: `mlp.hook_in`
 */
export function mixture(ctx: ModuleContext, stream: Node, input: Node, experts: Experts): Node {
  const x = ctx.hook(MLP_IN, input);
  const logits = ctx.hook("mlp.hook_router_logits", projection(ctx, "mlp.gate", x, experts.count));
  const weights = ctx.hook(EXPERT_WEIGHTS, routed(logits, experts));
  return ctx.mixture(stream, x, weights, experts);
}

/** Weights of the experts (batch, time, experts): the softmax over all, zero for those that are not chosen. */
function routed(logits: Node, { topK, normalised }: Experts): Node {
  const probabilities = ops.softmax(logits);
  const kept = ops.mul(probabilities, ops.topKMask(probabilities, topK));
  return normalised ? ops.div(kept, ops.sum(kept, [-1], true)) : kept;
}

/**
 * Layout of an expert's matrices: "linear" as (out, in), gate above up, or "transposed" as (in, out), gate
 * left of up.
 */
export type MatrixForm = "linear" | "transposed";

/** Shapes of an expert's two matrices. */
export function matrixShapes(
  { expertDim }: Experts,
  hidden: number,
  form: MatrixForm,
): { gate_up: [number, number]; down: [number, number] } {
  const [up, down]: [[number, number], [number, number]] = [
    [2 * expertDim, hidden],
    [hidden, expertDim],
  ];
  return form === "linear" ? { gate_up: up, down } : { gate_up: [up[1], up[0]], down: [down[1], down[0]] };
}

/** An expert's matrices in a graph. */
export interface Matrices {
  readonly form: MatrixForm;
  /** One, or gate's and up's. */
  readonly gateUp: readonly Node[];
  readonly down: Node;
}

/** One expert's matrices as inputs, `gate_up` and `down`. */
export function fedMatrices(experts: Experts, hidden: number, form: MatrixForm): Matrices {
  const shapes = matrixShapes(experts, hidden, form);
  return { form, gateUp: [input("gate_up", shapes.gate_up)], down: input("down", shapes.down) };
}

/** An expert at its tokens: (tokens, hidden), (tokens, 1), (tokens, inner), (tokens, hidden). */
interface AtTokens {
  readonly x: Node;
  readonly weight: Node;
  readonly post: Node;
  readonly out: Node;
}

/**
 * Some experts from their inner values on, each on its own tokens, which follow each other in the order of the experts:
 * weight · down(post). Inputs: `post` (tokens, inner), `weight` (tokens, 1), and where there are several experts `counts`, how
 * many tokens each has.
 */
export function expertsFromPost(experts: Experts, hidden: number, all: readonly Matrices[]): Node {
  const given = { post: input("post", ["tokens", experts.expertDim]) };
  return concatExperts(atTokens(experts, hidden, all, given).map(({ out }) => out));
}

/** Inputs of `gatheredExperts` that say which rows are a token's: the first of each, the second, …. */
export function slotInputs({ topK }: Experts): string[] {
  return Array.from({ length: topK }, (_, slot) => `rows of tokens.${slot}`);
}

/**
 * Some experts, each on its own rows, which follow each other in the order of the experts: `post`, act(gate x) · up x, and `out`,
 * weight · down(post). Inputs: `x`, all tokens (all, hidden); `rows` (tokens), the numbers of those that the
 * experts are given; `weight` (tokens, 1); and where there are several experts `counts`, how many rows each has, and `sum` (all, hidden),
 * which adds each token's rows in the order of the experts. Inputs of that: `slotInputs` (all), numbers of rows, for a token that has
 * fewer that of the row after the last, and this, `nothing` (1, hidden).
 */
export function gatheredExperts(
  experts: Experts,
  hidden: number,
  all: readonly Matrices[],
): { post: Node; out: Node; sum?: Node } {
  const x = ops.gather(input("x", ["all", hidden]), input("rows", ["tokens"], "int64"));
  const each = atTokens(experts, hidden, all, { x });
  const post = concatExperts(each.map(({ post }) => post));
  const out = each.map((expert) => expert.out);
  if (all.length === 1) return { post, out: out[0] };
  const padded = concatExperts([...out, input("nothing", [1, hidden])]);
  const rows = slotInputs(experts).map((name) => ops.gather(padded, input(name, ["all"], "int64")));
  return { post, out: concatExperts(out), sum: rows.reduce((a, b) => ops.add(a, b)) };
}

/** The pullback of a cotangent `g` (targets, tokens, hidden): `d x`, `d weight` and `d post`. */
export function expertBackward(
  experts: Experts,
  hidden: number,
  all: readonly Matrices[],
  frozenPost: boolean,
): Record<string, Node> {
  const g = input("g", ["targets", "tokens", hidden]);
  const each = atTokens(experts, hidden, all).map(({ x, weight, post, out }, e) => {
    const options = { targets: true, frozen: new Set(frozenPost ? [post] : []) };
    return pullback(new Map([[out, rowsOfExpert(g, all, e)]]), [x, weight, post], options);
  });
  const [dx, dWeight, dPost] = [0, 1, 2].map((i) => each.map((d) => d[i]!));
  return {
    ...(!frozenPost && { [derivativeBy("x")]: concatExperts(dx) }),
    [derivativeBy("weight")]: concatExperts(dWeight),
    [derivativeBy("post")]: concatExperts(dPost),
  };
}

/** weight · down(act(gate x) · up x) of each expert, from the rows that are given on. */
function atTokens(
  experts: Experts,
  hidden: number,
  all: readonly Matrices[],
  { x = input("x", ["tokens", hidden]), post }: { readonly x?: Node; readonly post?: Node } = {},
): AtTokens[] {
  const weight = input("weight", ["tokens", 1]);
  return all.map((matrices, e) => {
    const at = { x: rowsOfExpert(x, all, e), weight: rowsOfExpert(weight, all, e) };
    const inside = post ? rowsOfExpert(post, all, e) : innerValues(experts, matrices, at.x);
    return { ...at, post: inside, out: ops.mul(product(inside, matrices.down, matrices.form), at.weight) };
  });
}

/** The rows of one expert; all, where it is alone. */
function rowsOfExpert(rows: Node, all: readonly Matrices[], e: number): Node {
  if (all.length === 1) return rows;
  return ops.splitPart(rows, input("counts", [all.length], "int64"), -2, e, `tokens of ${e}`);
}

/** The rows of all experts below each other again. */
function concatExperts(parts: readonly Node[]): Node {
  return parts.length === 1 ? parts[0] : ops.concat(parts, -2, "tokens");
}

/** act(gate x) · up x. */
function innerValues({ expertDim, hidden_act }: Experts, { gateUp, form }: Matrices, x: Node): Node {
  const products = gateUp.map((matrix) => product(x, matrix, form));
  const [pre, up] =
    products.length > 1
      ? products
      : [0, expertDim].map((start) => ops.slice(products[0], -1, start, start + expertDim));
  return ops.mul(activation(hidden_act)(pre), up);
}

function product(x: Node, matrix: Node, form: MatrixForm): Node {
  return form === "linear" ? ops.linear(x, matrix) : ops.linearTransposed(x, matrix);
}

/**
 * Chosen experts on their tokens, inside one graph, for training, where all experts are in memory. The rows of an expert
 * lie together; a token has one for each of its experts, whose sum goes back to it. The weights have the names and
 * shapes under which transformers saves them.
 */
export function trainedMixture(ctx: ModuleContext, x: Node, weights: Node, experts: Experts): Node {
  const { count, topK } = experts;
  const hidden = x.shape[2] as number;
  const flat = ops.reshape(weights, ["tokens", count]);
  const routes = chosen(ops.topKMask(flat, topK), topK, "routes");
  const all = expertWeights[experts.checkpointLayout](ctx, experts, hidden);
  const product = (rows: Node, matrix: Node): Node => groupedLinear(rows, matrix, routes.counts);
  const rows = dispatched(ops.rows(x, "tokens"), routes);
  const post = ops.mul(activation(experts.hidden_act)(product(rows, all.gate)), product(rows, all.up));
  const byExpert = ops.reshape(ops.transpose(flat, [1, 0]), ["cells", 1]);
  const weighted = ops.mul(post, ops.gather(byExpert, routes.cells));
  return ops.reshapeLike(combined(product(weighted, all.down), routes), x);
}

/** All experts' matrices: gate and up (count, inner, hidden), down (count, hidden, inner). */
interface AllExperts {
  readonly gate: Node;
  readonly up: Node;
  readonly down: Node;
}

const expertWeights: Readonly<
  Record<Experts["checkpointLayout"], (ctx: ModuleContext, experts: Experts, hidden: number) => AllExperts>
> = {
  separate(ctx, { count, expertDim }, hidden) {
    const all = (name: string, [out, inner]: readonly [number, number]): Node => {
      const each = Array.from({ length: count }, (_, e) =>
        ops.reshape(ctx.weight(`mlp.experts.${e}.${name}.weight`, [out, inner]), [1, out, inner]),
      );
      return ops.concat(each, -3);
    };
    return {
      gate: all("gate_proj", [expertDim, hidden]),
      up: all("up_proj", [expertDim, hidden]),
      down: all("down_proj", [hidden, expertDim]),
    };
  },
  linear(ctx, { count, expertDim }, hidden) {
    const both = ctx.weight("mlp.experts.gate_up_proj", [count, 2 * expertDim, hidden]);
    const half = (start: number): Node => ops.slice(both, -2, start, start + expertDim);
    return {
      gate: half(0),
      up: half(expertDim),
      down: ctx.weight("mlp.experts.down_proj", [count, hidden, expertDim]),
    };
  },
};

/**
 * The load-balancing loss of transformers (`load_balancing_loss_func`; Switch Transformer, Fedus et al. 2021,
 * eqs. 4–6): experts · Σₑ fₑ · Pₑ, with fₑ the share of tokens that chose e and Pₑ its mean probability, over the
 * tokens of all sparse layers. The choice is a constant: gradients flow through P.
 * @param logits router logits of the sparse layers, (batch, time, experts) each
 * @param tokens (batch, time, 1): 1 / (tokens of the batch) at tokens, 0 at padding
 */
export function loadBalancingLoss(logits: readonly Node[], tokens: Node, { count, topK }: Experts): Node {
  const average = (x: Node): Node => ops.mul(ops.sum(ops.mul(x, tokens), [-3, -2]), 1 / logits.length);
  const probabilities = logits.map((l) => ops.softmax(l));
  const total = (parts: readonly Node[]): Node => parts.reduce((a, b) => ops.add(a, b));
  const chosen = total(probabilities.map((p) => average(ops.topKMask(p, topK))));
  const expected = total(probabilities.map(average));
  return ops.mul(ops.sum(ops.mul(chosen, expected), [-1]), count);
}
