import { ModalscopeError } from "../../errors.js";
import { type Node, ops } from "../graph/index.js";

/** What a family writes a block or a head against. */
export interface ModuleContext {
  /** Names a value: it can then be captured, edited, frozen and differentiated by. Returns what to go on with. */
  hook(name: string, x: Node): Node;
  /** A weight of this block, under its checkpoint's name without the layer's prefix. */
  weight(name: string, shape: readonly number[]): Node;
  /**
   * stream + Σₑ weightsₑ · expertₑ(x), the sum being `hook_mlp_out`. It ends the block: where only chosen experts run,
   * they do so outside the block's graph.
   */
  mixture(stream: Node, x: Node, weights: Node, experts: Experts): Node;
  /** Attention in one operation, where every query sees every key: its scores and pattern are not hooks then. */
  readonly fused?: boolean;
}

/** What a decoder's block is given besides the residual stream. */
export interface BlockInputs {
  /** (batch, time, hidden_size) */
  readonly x: Node;
  /** (batch, time, head_dim) each */
  readonly cos: Node;
  readonly sin: Node;
  /** (batch, 1 or heads, time, keys): 0 where a query may look, a large negative number elsewhere. */
  readonly mask: Node;
  /** Rotated keys and values of earlier positions, (batch, key-value heads, past, head_dim) each. */
  readonly past?: { readonly key: Node; readonly value: Node };
  /**
   * Rotated queries of these columns, (batch, time, heads, head_dim), and keys and values of all,
   * (batch, key-value heads, keys, head_dim), where they are known before.
   */
  readonly precomputed?: { readonly query: Node; readonly key: Node; readonly value: Node };
}

/** x / √(mean x² + ε) · gain. The scale and the normalised value before the gain are hooks. */
export function rmsNorm(ctx: ModuleContext, name: string, x: Node, gain: Node, eps: number): Node {
  const power = ops.mean(ops.mul(x, x), [-1], true);
  const scale = ctx.hook(`${name}.hook_scale`, ops.sqrt(ops.add(power, eps)));
  return ops.mul(ctx.hook(`${name}.hook_normalized`, ops.div(x, scale)), gain);
}

/** (x − mean) / √(variance + ε) · gain + bias. The scale and the normalised value before the gain are hooks. */
export function layerNorm(
  ctx: ModuleContext,
  name: string,
  x: Node,
  gain: Node,
  bias: Node,
  eps: number,
): Node {
  const centred = ops.sub(x, ops.mean(x, [-1], true));
  const variance = ops.mean(ops.mul(centred, centred), [-1], true);
  const scale = ctx.hook(`${name}.hook_scale`, ops.sqrt(ops.add(variance, eps)));
  return ops.add(ops.mul(ctx.hook(`${name}.hook_normalized`, ops.div(centred, scale)), gain), bias);
}

/** (batch, time, heads · size) → (batch, time, heads, size). */
export function splitHeads(x: Node, heads: number, size: number): Node {
  return ops.reshape(x, [x.shape[0], x.shape[1], heads, size]);
}

/** Rotates each head of (batch, time, heads, head_dim) by its position. */
export function rotary(x: Node, cos: Node, sin: Node): Node {
  const size = x.shape[3] as number;
  const half = size / 2;
  const angles = [cos.shape[0], cos.shape[1], 1, size];
  const turned = ops.concat([ops.neg(ops.slice(x, -1, half, size)), ops.slice(x, -1, 0, half)], -1);
  return ops.add(ops.mul(x, ops.reshape(cos, angles)), ops.mul(turned, ops.reshape(sin, angles)));
}

/**
 * Attention of queries on keys, grouped heads sharing a key: softmax(scale · q kᵀ + mask) v.
 * @param q (batch, time, heads, head_dim), rotated; k, v: (batch, time, key-value heads, head_dim)
 * @returns (batch, time, heads · head_dim)
 */
export function attention(
  ctx: ModuleContext,
  { q, k, v }: { q: Node; k: Node; v: Node },
  { mask, past, precomputed }: Pick<BlockInputs, "mask" | "past" | "precomputed">,
  { scale }: { readonly scale: number },
): Node {
  const [batch, time, heads, size] = q.shape as [string, string, number, number];
  if (ctx.fused) {
    const [query, key, value] = [q, k, v].map((x) => ops.reshape(x, [batch, time, heads * size]));
    const z = splitHeads(ops.fusedAttention(query, key, value, { heads, scale }), heads, size);
    return ops.reshape(ctx.hook("attn.hook_z", z), [batch, time, heads * size]);
  }
  const kvHeads = k.shape[2] as number;
  const keys = past || precomputed ? "keys" : time;
  const join = (before: Node | undefined, x: Node): Node => {
    const own = ops.transpose(x, [0, 2, 1, 3]); // (batch, kvHeads, time, size)
    return before ? ops.concat([before, own], -2, keys) : own;
  };
  const query = precomputed?.query ?? ctx.hook("present.query", q);
  const key = precomputed?.key ?? ctx.hook("present.key", join(past?.key, k));
  const value = precomputed?.value ?? ctx.hook("present.value", join(past?.value, v));
  // The queries of a group lie below each other, so that one product serves the group.
  const rows = heads === kvHeads ? time : `${heads / kvHeads}·${time}`;
  const grouped = ops.reshape(ops.transpose(query, [0, 2, 1, 3]), [batch, kvHeads, rows, size]);
  const products = ops.matmul(ops.mul(grouped, scale), ops.transpose(key, [0, 1, 3, 2]));
  const raw = ops.reshape(products, [batch, heads, time, keys]);
  const scores = ctx.hook("attn.hook_attn_scores", ops.add(raw, mask, raw.shape));
  const pattern = ctx.hook("attn.hook_pattern", ops.softmax(scores));
  const mixed = ops.matmul(ops.reshape(pattern, [batch, kvHeads, rows, keys]), value);
  const z = ops.transpose(ops.reshape(mixed, [batch, heads, time, size]), [0, 2, 1, 3]);
  return ops.reshape(ctx.hook("attn.hook_z", z), [batch, time, heads * size]);
}

/** x Wᵀ (+ b) with the weights `<name>.weight` (to, from) and, where there is one, `<name>.bias` (to). */
export function projection(ctx: ModuleContext, name: string, x: Node, to: number, bias = false): Node {
  const from = x.shape[x.shape.length - 1] as number;
  const b = bias ? ctx.weight(`${name}.bias`, [to]) : undefined;
  return ops.linear(x, ctx.weight(`${name}.weight`, [to, from]), b);
}

/** down(act(gate x) · up x): `mlp.hook_pre` is gate x, `mlp.hook_post` what goes into `down`. */
export function gatedMlp(
  ctx: ModuleContext,
  x: Node,
  inner: number,
  activation: (x: Node) => Node,
  bias = false,
): Node {
  const pre = ctx.hook("mlp.hook_pre", projection(ctx, "mlp.gate_proj", x, inner, bias));
  const up = ctx.hook("mlp.hook_pre_linear", projection(ctx, "mlp.up_proj", x, inner, bias));
  const post = ctx.hook("mlp.hook_post", ops.mul(activation(pre), up));
  return projection(ctx, "mlp.down_proj", post, x.shape[2] as number, bias);
}

/** second(act(first x)): `mlp.hook_pre` is first x, `mlp.hook_post` what goes into the second. */
export function mlp(
  ctx: ModuleContext,
  x: Node,
  [first, second]: readonly [string, string],
  inner: number,
  activation: (x: Node) => Node,
  { to = x.shape[2] as number, bias = true }: { to?: number; bias?: boolean } = {},
): Node {
  const pre = ctx.hook("mlp.hook_pre", projection(ctx, first, x, inner, bias));
  const post = ctx.hook("mlp.hook_post", activation(pre));
  return projection(ctx, second, post, to, bias);
}

/** Small gated MLPs beside each other, of which a router gives each token a few. */
export interface Experts {
  /** How many there are. */
  readonly count: number;
  /** How many each token gets. */
  readonly topK: number;
  /** Length of the vectors inside an expert. */
  readonly expertDim: number;
  /** Whether the weights of a token's experts are divided by their sum. */
  readonly normalised: boolean;
  readonly hidden_act: string;
  /** How transformers saves their weights in checkpoints of this family. */
  readonly checkpointLayout: "separate" | "linear";
}

/** An activation function by its name in config.json. */
export function activation(name: string): (x: Node) => Node {
  const known: Record<string, (x: Node) => Node> = {
    silu: ops.silu,
    relu: ops.relu,
    gelu: ops.gelu,
    gelu_pytorch_tanh: ops.geluTanh,
    gelu_new: ops.geluTanh,
    quick_gelu: (x) => ops.mul(x, ops.sigmoid(ops.mul(x, 1.702))),
  };
  const found = known[name];
  if (found) return found;
  throw new ModalscopeError(
    `config.json asks for the activation "${name}".`,
    `Known are ${Object.keys(known).join(", ")}.`,
  );
}
