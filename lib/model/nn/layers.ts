import { ModalscopeError } from "../../errors.js";
import { own } from "../../own.js";
import { type Dim, layerNormalised, type Node, ops, rmsNormalised, rotated } from "../graph/index.js";
import { trainedAttention, trainedLayerNorm, trainedRmsNorm, trainedRotary } from "./training.js";

/** Context that a family's blocks and head are built in. */
export interface ModuleContext {
  /** Names a value, so that it can be captured, edited, frozen and differentiated by. Returns the value to go on with. */
  hook(name: string, x: Node): Node;
  /** A weight of this block, under its checkpoint's name without the layer's prefix. */
  weight(name: string, shape: readonly number[]): Node;
  /**
   * stream + Σₑ weightsₑ · expertₑ(x), the sum being `hook_mlp_out`. It ends the block: where only chosen experts run,
   * they do so outside the block's graph.
   */
  mixture(stream: Node, x: Node, weights: Node, experts: Experts): Node;
  /** Attention in one operation, where every query attends to every key: scores and pattern are not hooks then. */
  readonly fused?: boolean;
  /** Norms and rotations in one operation each: what is inside them is no hook then. */
  readonly condensed?: boolean;
  /** Logits before a soft cap. */
  readonly uncapped?: boolean;
  /** In a graph for training the values inside norms, rotations, attention and experts are not hooks. */
  readonly training?: { readonly causal: boolean };
}

/** Inputs of a block: the residual stream, rotary angles, mask, and keys and values of earlier positions. */
export interface BlockInputs {
  /** (batch, time, hidden_size) */
  readonly x: Node;
  /** (batch, time, head_dim) each */
  readonly cos: Node;
  readonly sin: Node;
  /** (batch, 1 or heads, time, keys): 0 where a query attends, a large negative number elsewhere. */
  readonly mask: Node;
  /** Rotated keys and values of earlier positions, (batch, key-value heads, past, head_dim) each. */
  readonly past?: { readonly key: Node; readonly value: Node };
  /**
   * Rotated queries of these columns, (batch, time, heads, head_dim), and keys and values of all,
   * (batch, key-value heads, keys, head_dim), where they are computed before.
   */
  readonly precomputed?: { readonly query: Node; readonly key: Node; readonly value: Node };
}

/** Gain, bias and ε of a norm. */
export interface NormWeights {
  /** (width) each */
  readonly gain: Node;
  readonly bias: Node;
  readonly eps: number;
}

/** x / √(mean x² + ε) · gain. The scale and the normalised value before the gain are hooks. */
export function rmsNorm(
  ctx: ModuleContext,
  name: string,
  x: Node,
  { gain, eps }: Omit<NormWeights, "bias">,
): Node {
  if (ctx.training) return trainedRmsNorm(x, gain, eps);
  if (ctx.condensed) return rmsNormalised(x, gain, eps).value;
  const power = ops.mean(ops.mul(x, x), [-1], true); // (…, 1)
  const scale = ctx.hook(`${name}.hook_scale`, ops.sqrt(ops.add(power, eps)));
  return ops.mul(ctx.hook(`${name}.hook_normalized`, ops.div(x, scale)), gain);
}

/** (x − mean) / √(variance + ε) · gain + bias. The scale and the normalised value before the gain are hooks. */
export function layerNorm(ctx: ModuleContext, name: string, x: Node, { gain, bias, eps }: NormWeights): Node {
  if (ctx.training) return trainedLayerNorm(x, gain, bias, eps);
  if (ctx.condensed) return layerNormalised(x, [gain, bias], eps).value;
  const centred = ops.sub(x, ops.mean(x, [-1], true));
  const variance = ops.mean(ops.mul(centred, centred), [-1], true); // (…, 1)
  const scale = ctx.hook(`${name}.hook_scale`, ops.sqrt(ops.add(variance, eps)));
  return ops.add(ops.mul(ctx.hook(`${name}.hook_normalized`, ops.div(centred, scale)), gain), bias);
}

/** x Wᵀ (+ b) with the weights `<name>.weight` (to, from) and, where there is one, `<name>.bias` (to). */
export function projection(
  ctx: ModuleContext,
  name: string,
  x: Node,
  to: number,
  { bias = false }: { readonly bias?: boolean } = {},
): Node {
  const from = x.shape[x.shape.length - 1] as number;
  const b = bias ? ctx.weight(`${name}.bias`, [to]) : undefined;
  return ops.linear(x, ctx.weight(`${name}.weight`, [to, from]), b);
}

/** Number of heads, and length of one head's vectors. */
export interface HeadShape {
  readonly heads: number;
  readonly headDim: number;
}

/** Queries, keys or values, `attn.hook_q`, `hook_k` or `hook_v`: (batch, time, width) → (batch, time, heads, head_dim). */
export function projectHeads(
  ctx: ModuleContext,
  name: "q" | "k" | "v",
  x: Node,
  { heads, headDim, bias }: HeadShape & { readonly bias?: boolean },
): Node {
  const projected = projection(ctx, `self_attn.${name}_proj`, x, heads * headDim, { bias });
  return ctx.hook(`attn.hook_${name}`, splitHeads(projected, { heads, headDim }));
}

/** (batch, time, heads · head_dim) → (batch, time, heads, head_dim). */
export function splitHeads(x: Node, { heads, headDim }: HeadShape): Node {
  return ops.reshape(x, [x.shape[0], x.shape[1], heads, headDim]); // (batch, time, heads, head_dim)
}

/** (batch, time, heads, head_dim) → (batch, time, heads · head_dim). */
function joinHeads(x: Node): Node {
  const [batch, time, heads, headDim] = x.shape as [Dim, Dim, number, number];
  return ops.reshape(x, [batch, time, heads * headDim]); // (batch, time, heads · head_dim)
}

/** Queries or keys rotated by their positions, `attn.hook_rot_q` or `hook_rot_k`: (batch, time, heads, head_dim). */
export function rotateHeads(
  ctx: ModuleContext,
  name: "q" | "k",
  x: Node,
  angles: Pick<BlockInputs, "cos" | "sin">,
): Node {
  if (ctx.condensed) return rotated(x, angles.cos, angles.sin);
  const turn = ctx.training ? trainedRotary : rotary;
  return ctx.hook(`attn.hook_rot_${name}`, turn(x, angles));
}

/** x · cos + (−x₂, x₁) · sin for the halves x₁, x₂ of each head of (batch, time, heads, head_dim). */
function rotary(x: Node, { cos, sin }: Pick<BlockInputs, "cos" | "sin">): Node {
  const headDim = x.shape[3] as number;
  const half = headDim / 2;
  const perHead = (angles: Node): Node => ops.reshape(angles, [x.shape[0], x.shape[1], 1, headDim]); // (batch, time, 1, head_dim)
  const turned = ops.concat([ops.neg(ops.slice(x, -1, half, headDim)), ops.slice(x, -1, 0, half)], -1);
  return ops.add(ops.mul(x, perHead(cos)), ops.mul(turned, perHead(sin)));
}

/**
 * Attention of queries on keys, grouped heads sharing a key: softmax(scale · q kᵀ + mask) v.
 * @param q (batch, time, heads, head_dim), rotated; k, v: (batch, time, key-value heads, head_dim)
 * @returns (batch, time, heads · head_dim)
 */
export function attention(
  ctx: ModuleContext,
  { q, k, v }: { readonly q: Node; readonly k: Node; readonly v: Node },
  { mask, past, precomputed }: Pick<BlockInputs, "mask" | "past" | "precomputed">,
  { scale }: { readonly scale: number },
): Node {
  const [batch, time, heads, headDim] = q.shape as [string, string, number, number];
  if (ctx.fused) {
    const [query, key, value] = [q, k, v].map(joinHeads);
    const z = splitHeads(ops.fusedAttention(query, key, value, { heads, scale }), { heads, headDim });
    return joinHeads(ctx.hook("attn.hook_z", z));
  }
  if (ctx.training) {
    return joinHeads(
      ctx.hook("attn.hook_z", trainedAttention({ q, k, v }, { ...ctx.training, mask, scale })),
    );
  }
  const kvHeads = k.shape[2] as number;
  const keys = past || precomputed ? "keys" : time;
  const withPast = (name: "key" | "value", x: Node): Node => {
    const own = ops.transpose(x, [0, 2, 1, 3]); // (batch, kvHeads, time, headDim)
    if (!past) return ctx.hook(`present.${name}`, own);
    return ctx.hook(
      `present.${name}`,
      ops.concat([past[name], ctx.hook(`present.new_${name}`, own)], -2, keys),
    );
  };
  const query = precomputed?.query ?? ctx.hook("present.query", q);
  const key = precomputed?.key ?? withPast("key", k);
  const value = precomputed?.value ?? withPast("value", v);
  // The queries of a group lie below each other, so that one product serves the group.
  const rows = heads === kvHeads ? time : `${heads / kvHeads}·${time}`;
  const byHead = ops.transpose(query, [0, 2, 1, 3]); // (batch, heads, time, headDim)
  const grouped = ops.reshape(byHead, [batch, kvHeads, rows, headDim]); // (batch, kvHeads, group · time, headDim)
  const keysLast = ops.transpose(key, [0, 1, 3, 2]); // (batch, kvHeads, headDim, keys)
  const products = ops.matmul(ops.mul(grouped, scale), keysLast);
  const raw = ops.reshape(products, [batch, heads, time, keys]); // (batch, heads, time, keys)
  const scores = ctx.hook("attn.hook_attn_scores", ops.add(raw, mask, raw.shape));
  const pattern = ctx.hook("attn.hook_pattern", ops.softmax(scores));
  const weights = ops.reshape(pattern, [batch, kvHeads, rows, keys]); // (batch, kvHeads, group · time, keys)
  const mixed = ops.reshape(ops.matmul(weights, value), [batch, heads, time, headDim]); // (batch, heads, time, headDim)
  const z = ctx.hook("attn.hook_z", ops.transpose(mixed, [0, 2, 1, 3])); // (batch, time, heads, headDim)
  return joinHeads(z);
}

/** Hooks of the input and the output of an MLP or a mixture of experts. */
export const MLP_IN = "mlp.hook_in";
export const MLP_OUT = "mlp.hook_out";

/** Hook of the stream between attention and MLP. */
export const RESID_MID = "hook_resid_mid";

/** Points of a block that its condensed graph names beside `out`: those that most runs ask for, and what experts take. */
export const CONDENSED_POINTS: ReadonlySet<string> = new Set([
  ...[RESID_MID, "hook_attn_out", "hook_mlp_out", MLP_IN, MLP_OUT, "mlp.hook_post"],
  ...["present.key", "present.value", "present.new_key", "present.new_value"],
  ...["experts.input", "mlp.hook_expert_weights"],
]);

/** Sizes and activation of an MLP. */
export interface MlpOptions {
  /** Width between the two products. */
  readonly hidden: number;
  readonly act: (x: Node) => Node;
  readonly bias?: boolean;
}

/**
 * down(act(gate x) · up x), from `mlp.hook_in` to `mlp.hook_out`: `mlp.hook_pre` is gate x, `mlp.hook_post` what goes
 * into `down`.
 */
export function gatedMlp(ctx: ModuleContext, input: Node, { hidden, act, bias }: MlpOptions): Node {
  const x = ctx.hook(MLP_IN, input);
  const pre = ctx.hook("mlp.hook_pre", projection(ctx, "mlp.gate_proj", x, hidden, { bias }));
  const up = ctx.hook("mlp.hook_pre_linear", projection(ctx, "mlp.up_proj", x, hidden, { bias }));
  const post = ctx.hook("mlp.hook_post", ops.mul(act(pre), up));
  return ctx.hook(MLP_OUT, projection(ctx, "mlp.down_proj", post, x.shape[2] as number, { bias }));
}

/**
 * second(act(first x)), from `mlp.hook_in` to `mlp.hook_out`: `mlp.hook_pre` is first x, `mlp.hook_post` what goes into
 * the second.
 */
export function mlp(
  ctx: ModuleContext,
  input: Node,
  [first, second]: readonly [string, string],
  { hidden, act, bias = true, to = input.shape[2] as number }: MlpOptions & { readonly to?: number },
): Node {
  const x = ctx.hook(MLP_IN, input);
  const pre = ctx.hook("mlp.hook_pre", projection(ctx, first, x, hidden, { bias }));
  const post = ctx.hook("mlp.hook_post", act(pre));
  return ctx.hook(MLP_OUT, projection(ctx, second, post, to, { bias }));
}

/** Mixture of experts: gated MLPs beside each other, of which a router gives each token a few. */
export interface Experts {
  /** Number of experts. */
  readonly count: number;
  /** Experts of one token. */
  readonly topK: number;
  /** Length of the vectors inside an expert. */
  readonly expertDim: number;
  /** Whether the weights of a token's experts are divided by their sum. */
  readonly normalised: boolean;
  readonly hidden_act: string;
  /** Layout of their weights in the checkpoints that transformers saves of this family. */
  readonly checkpointLayout: "separate" | "linear";
}

const ACTIVATIONS: Readonly<Record<string, (x: Node) => Node>> = {
  silu: ops.silu,
  relu: ops.relu,
  gelu: ops.gelu,
  gelu_pytorch_tanh: ops.geluTanh,
  gelu_new: ops.geluTanh,
  quick_gelu: (x) => ops.mul(x, ops.sigmoid(ops.mul(x, 1.702))),
};

/** Activation function of a name in config.json. */
export function activation(name: string): (x: Node) => Node {
  const found = own(ACTIVATIONS, name);
  if (found) return found;
  throw new ModalscopeError(
    `config.json asks for the activation "${name}".`,
    `Implemented are ${Object.keys(ACTIVATIONS).join(", ")}.`,
  );
}
