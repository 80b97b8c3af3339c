import { add, expandLike, linear, type Node, reshape } from "../graph/index.js";
import {
  activation,
  attention,
  type BlockInputs,
  layerNorm,
  type ModuleContext,
  mlp,
  projection,
  splitHeads,
} from "../nn/index.js";
import type { VisionConfig } from "./config.js";
import { type RawConfig, readCount, readField } from "./config.js";

/** What the tower itself says, without how the language model reads it. */
export type TowerConfig = Omit<
  VisionConfig,
  "readouts" | "out_hidden_size" | "image_token_id" | "keepClassToken"
>;

/** What config.json need not say: transformers' own values for one tower. */
type TowerDefaults = Pick<
  VisionConfig,
  "model_type" | "patch_size" | "hidden_act" | "layer_norm_eps" | "classTokens"
>;

/** A `vision_config`, for images of one size. */
export function parseTower(given: RawConfig, defaults: TowerDefaults): TowerConfig {
  const raw = { model_type: defaults.model_type, ...given };
  const hidden_size = readCount(raw, "hidden_size", 768);
  const num_attention_heads = readCount(raw, "num_attention_heads", 12);
  const patch_size = readCount(raw, "patch_size", defaults.patch_size);
  const side = Math.floor(readCount(raw, "image_size", 224) / patch_size);
  return {
    model_type: raw.model_type,
    hidden_size,
    intermediate_size: readCount(raw, "intermediate_size", 3072),
    num_hidden_layers: readCount(raw, "num_hidden_layers", 12),
    num_attention_heads,
    head_dim: Math.floor(hidden_size / num_attention_heads),
    hidden_act: readField(raw, "hidden_act", defaults.hidden_act),
    layer_norm_eps: readField(raw, "layer_norm_eps", defaults.layer_norm_eps),
    patch_size,
    patchDim: readCount(raw, "num_channels", 3) * patch_size ** 2,
    numPositions: side ** 2 + defaults.classTokens,
    classTokens: defaults.classTokens,
    spatialMergeSize: 1,
  };
}

/** A norm with the weights `<weights>.weight` and `<weights>.bias`. */
export function norm(config: VisionConfig, ctx: ModuleContext, name: string, weights: string, x: Node): Node {
  const d = config.hidden_size;
  const gain = ctx.weight(`${weights}.weight`, [d]);
  return layerNorm(ctx, name, x, gain, ctx.weight(`${weights}.bias`, [d]), config.layer_norm_eps);
}

/** A convolution whose stride is its size: one product per patch. (batch, patches, patch_values) → (…, hidden_size) */
export function embedPatches(
  config: VisionConfig,
  ctx: ModuleContext,
  name: string,
  patches: Node,
  kernel: readonly number[],
  bias: boolean,
): Node {
  const w = ctx.weight(`${name}.weight`, [config.hidden_size, ...kernel]);
  const flat = reshape(w, [config.hidden_size, config.patchDim]);
  return linear(patches, flat, bias ? ctx.weight(`${name}.bias`, [config.hidden_size]) : undefined);
}

/** Patches of a tower of one size, (batch, patches, hidden_size), before their positions. */
export function embedSquare(config: VisionConfig, ctx: ModuleContext, patches: Node, bias: boolean): Node {
  const { patch_size: p, patchDim } = config;
  const name = "vision_tower.embeddings.patch_embedding";
  return embedPatches(config, ctx, name, patches, [patchDim / p ** 2, p, p], bias);
}

/** Tokens with a learned position each. */
export function withPositions(config: VisionConfig, ctx: ModuleContext, tokens: Node): Node {
  const { hidden_size: d, numPositions } = config;
  const positions = ctx.weight("vision_tower.embeddings.position_embedding.weight", [numPositions, d]);
  return add(
    ctx.hook("hook_embed", tokens),
    ctx.hook("hook_pos_embed", expandLike(reshape(positions, [1, numPositions, d]), tokens)),
    tokens.shape,
  );
}

/** One encoder block: norm, attention, norm, MLP, each sum a residual. Every patch sees every other. */
export function vitBlock(config: VisionConfig, ctx: ModuleContext, inputs: BlockInputs): Node {
  const attended = selfAttention(config, ctx, norm(config, ctx, "ln1", "layer_norm1", inputs.x), inputs);
  const mid = ctx.hook("hook_resid_mid", add(inputs.x, ctx.hook("hook_attn_out", attended)));
  const normed = norm(config, ctx, "ln2", "layer_norm2", mid);
  const names = ["mlp.fc1", "mlp.fc2"] as const;
  const fed = mlp(ctx, normed, names, config.intermediate_size, activation(config.hidden_act));
  return add(mid, ctx.hook("hook_mlp_out", fed));
}

function selfAttention(config: VisionConfig, ctx: ModuleContext, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads } = config;
  const projectHeads = (name: "q" | "k" | "v"): Node => {
    const projected = projection(ctx, `self_attn.${name}_proj`, x, d, true);
    return ctx.hook(`attn.hook_${name}`, splitHeads(projected, heads, size));
  };
  const parts = { q: projectHeads("q"), k: projectHeads("k"), v: projectHeads("v") };
  const z = attention(
    ctx,
    parts,
    { mask: inputs.mask, precomputed: inputs.precomputed },
    { scale: size ** -0.5 },
  );
  return projection(ctx, "self_attn.out_proj", z, d, true);
}
