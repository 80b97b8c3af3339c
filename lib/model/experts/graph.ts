/** Mixtures of experts as graphs: the router, one expert, and all experts at once for training. */
import { activation } from "../families/family.js";
import { input, type Node, type Shape } from "../graph/node.js";
import * as ops from "../graph/ops.js";
import { pullback } from "../graph/vjp.js";
import { projection, type Scope } from "../layers.js";

/** Small gated MLPs beside each other, of which a router gives each token a few. */
export interface Experts {
  /** How many there are. */
  readonly count: number;
  /** How many each token gets. */
  readonly perToken: number;
  /** Length of the vectors inside an expert. */
  readonly inner: number;
  /** Whether the weights of a token's experts are divided by their sum. */
  readonly normalised: boolean;
  readonly hidden_act: string;
  /** How transformers saves their weights in checkpoints of this family. */
  readonly savedAs: "separate" | "linear";
}

/** Inner points that the experts outside the block's graph need; not hooks. */
export const EXPERT_INPUT = "experts.input";

export const EXPERT_WEIGHTS = "mlp.hook_expert_weights";
export const EXPERT_INDICES = "mlp.hook_expert_indices";
export const EXPERT_POST = "mlp.hook_post";
export const MLP_OUT = "hook_mlp_out";

/** The hooks of a sparse block after its graph, and their shapes. */
export function expertHooks({ perToken, inner }: Experts, hidden: number): [string, Shape][] {
  return [
    [EXPERT_INDICES, ["batch", "time", perToken]],
    [EXPERT_POST, ["batch", "time", perToken, inner]],
    [MLP_OUT, ["batch", "time", hidden]],
  ];
}

/**
 * The second half of a sparse block: stream + Σₑ weightₑ · expertₑ(x).
 * @param stream (batch, time, hidden_size), what is added to
 * @param x (batch, time, hidden_size), what the router and the experts read
 */
export function mixture(scope: Scope, stream: Node, x: Node, experts: Experts): Node {
  const logits = scope.hook("mlp.hook_router_logits", projection(scope, "mlp.gate", x, experts.count));
  const weights = scope.hook(EXPERT_WEIGHTS, routed(logits, experts));
  return scope.mixture(stream, x, weights, experts);
}

/** Weights of the experts (batch, time, experts): the softmax over all, zero for those that are not chosen. */
function routed(logits: Node, { perToken, normalised }: Experts): Node {
  const probabilities = ops.softmax(logits);
  const kept = ops.mul(probabilities, ops.largest(probabilities, perToken));
  return normalised ? ops.div(kept, ops.sum(kept, [-1], true)) : kept;
}

/**
 * How an expert's matrices lie: "linear" as (out, in), gate above up, or "transposed" as (in, out), gate left of up.
 */
export type MatrixForm = "linear" | "transposed";

/** Shapes of an expert's two matrices. */
export function matrixShapes(
  { inner }: Experts,
  hidden: number,
  form: MatrixForm,
): { gate_up: [number, number]; down: [number, number] } {
  const [up, down]: [[number, number], [number, number]] = [
    [2 * inner, hidden],
    [hidden, inner],
  ];
  return form === "linear" ? { gate_up: up, down } : { gate_up: [up[1], up[0]], down: [down[1], down[0]] };
}

/** Which part of an expert a graph computes: all of it, up to `mlp.hook_post`, or from there on. */
export type ExpertPart = "whole" | "inner" | "outer";

/**
 * One expert on its tokens, its matrices being inputs: weight · down(act(gate x) · up x).
 * Inputs: `x` (tokens, hidden), `weight` (tokens, 1), `gate_up`, `down`; `post` (tokens, inner) for the outer part.
 */
export function expertGraph(
  experts: Experts,
  hidden: number,
  form: MatrixForm,
  part: ExpertPart = "whole",
): { x: Node; weight: Node; post: Node; out: Node } {
  const { inner } = experts;
  const shapes = matrixShapes(experts, hidden, form);
  const times = form === "linear" ? ops.linear : ops.linearTransposed;
  const x = input("x", ["tokens", hidden]);
  const weight = input("weight", ["tokens", 1]);
  const both = times(x, input("gate_up", shapes.gate_up));
  const pre = ops.slice(both, -1, 0, inner);
  const up = ops.slice(both, -1, inner, 2 * inner);
  const computed = ops.mul(activation(experts.hidden_act)(pre), up);
  const post = part === "outer" ? input("post", computed.shape) : computed;
  return { x, weight, post, out: ops.mul(times(post, input("down", shapes.down)), weight) };
}

/** The pullback of a cotangent `g` (targets, tokens, hidden): `d x`, `d weight` and `d post`. */
export function expertBackward(
  experts: Experts,
  hidden: number,
  form: MatrixForm,
  frozenPost: boolean,
): Record<string, Node> {
  const { x, weight, post, out } = expertGraph(experts, hidden, form);
  const g = input("g", ["targets", ...out.shape]);
  const options = { targets: true, frozen: new Set(frozenPost ? [post] : []) };
  const [dx, dWeight, dPost] = pullback(new Map([[out, g]]), [x, weight, post], options);
  return { ...(dx && { "d x": dx }), "d weight": dWeight!, "d post": dPost! };
}

/**
 * Every expert on every token, as one wide MLP whose inner values are multiplied by their expert's weight:
 * for training, where all experts are in memory and the graph must be one. The weights have the names and shapes
 * under which transformers saves them.
 */
export function denseMixture(scope: Scope, x: Node, weights: Node, experts: Experts): Node {
  const { count, inner } = experts;
  const hidden = x.shape[2] as number;
  const [batch, time] = x.shape;
  const all = savedWeights[experts.savedAs](scope, experts, hidden);
  const post = ops.mul(activation(experts.hidden_act)(ops.linear(x, all.gate)), ops.linear(x, all.up));
  const byExpert = ops.reshape(post, [batch, time, count, inner]);
  const weighted = ops.mul(byExpert, ops.reshape(weights, [batch, time, count, 1]));
  return ops.linearTransposed(ops.reshape(weighted, [batch, time, count * inner]), all.down);
}

/** All experts below each other, (count · inner, hidden) each. */
interface AllExperts {
  readonly gate: Node;
  readonly up: Node;
  readonly down: Node;
}

const savedWeights: Readonly<
  Record<Experts["savedAs"], (scope: Scope, experts: Experts, hidden: number) => AllExperts>
> = {
  separate(scope, { count, inner }, hidden) {
    const each = (name: string, shape: readonly number[]): Node[] =>
      Array.from({ length: count }, (_, e) => scope.weight(`mlp.experts.${e}.${name}.weight`, shape));
    const below = (name: string): Node => ops.concat(each(name, [inner, hidden]), -2);
    const down = ops.concat(each("down_proj", [hidden, inner]), -1);
    return { gate: below("gate_proj"), up: below("up_proj"), down: ops.transpose(down, [1, 0]) };
  },
  linear(scope, { count, inner }, hidden) {
    const both = scope.weight("mlp.experts.gate_up_proj", [count, 2 * inner, hidden]);
    const below = (x: Node): Node => ops.reshape(x, [count * inner, hidden]);
    const half = (start: number): Node => below(ops.slice(both, -2, start, start + inner));
    const down = scope.weight("mlp.experts.down_proj", [count, hidden, inner]);
    return { gate: half(0), up: half(inner), down: below(ops.transpose(down, [0, 2, 1])) };
  },
};

/**
 * The load-balancing loss of transformers (`load_balancing_loss_func`; Switch Transformer, Fedus et al. 2021,
 * eqs. 4–6): experts · Σₑ fₑ · Pₑ, with fₑ the share of tokens that chose e and Pₑ its mean probability, over the
 * tokens of all sparse layers. The choice is a constant: gradients flow through P.
 * @param logits router logits of the sparse layers, (batch, time, experts) each
 * @param tokens (batch, time, 1): 1 / (tokens of the batch) at tokens, 0 at padding
 */
export function loadBalancingLoss(logits: readonly Node[], tokens: Node, { count, perToken }: Experts): Node {
  const average = (x: Node): Node => ops.mul(ops.sum(ops.mul(x, tokens), [-3, -2]), 1 / logits.length);
  const probabilities = logits.map((l) => ops.softmax(l));
  const total = (parts: readonly Node[]): Node => parts.reduce((a, b) => ops.add(a, b));
  const chosen = total(probabilities.map((p) => average(ops.largest(p, perToken))));
  const expected = total(probabilities.map(average));
  return ops.mul(ops.sum(ops.mul(chosen, expected), [-1]), count);
}
