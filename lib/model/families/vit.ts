/** The vision transformer that CLIP and SigLIP share, under the names of its weights. */
import type { Node } from "../graph/node.js";
import { add, expandLike, linear, reshape } from "../graph/ops.js";
import {
  activation,
  attention,
  type BlockInputs,
  layerNorm,
  mlp,
  projection,
  type Scope,
  splitHeads,
} from "../nn/layers.js";
import type { VisionConfig } from "./config.js";
import { count, field, type RawConfig } from "./config.js";

/** What the tower itself says, without how the language model reads it. */
export type TowerConfig = Omit<
  VisionConfig,
  "readouts" | "out_hidden_size" | "image_token_id" | "keeps_class_tokens"
>;

/** What config.json need not say: transformers' own values for one tower. */
type TowerDefaults = Pick<
  VisionConfig,
  "model_type" | "patch_size" | "hidden_act" | "layer_norm_eps" | "class_tokens"
>;

/** A `vision_config`, for pictures of one size. */
export function parseTower(given: RawConfig, defaults: TowerDefaults): TowerConfig {
  const raw = { model_type: defaults.model_type, ...given };
  const hidden_size = count(raw, "hidden_size", 768);
  const num_attention_heads = count(raw, "num_attention_heads", 12);
  const patch_size = count(raw, "patch_size", defaults.patch_size);
  const side = Math.floor(count(raw, "image_size", 224) / patch_size);
  return {
    model_type: raw.model_type,
    hidden_size,
    intermediate_size: count(raw, "intermediate_size", 3072),
    num_hidden_layers: count(raw, "num_hidden_layers", 12),
    num_attention_heads,
    head_dim: Math.floor(hidden_size / num_attention_heads),
    hidden_act: field(raw, "hidden_act", defaults.hidden_act),
    layer_norm_eps: field(raw, "layer_norm_eps", defaults.layer_norm_eps),
    patch_size,
    patch_values: count(raw, "num_channels", 3) * patch_size ** 2,
    num_positions: side ** 2 + defaults.class_tokens,
    class_tokens: defaults.class_tokens,
    merge: 1,
  };
}

/** A norm with the weights `<weights>.weight` and `<weights>.bias`. */
export function norm(config: VisionConfig, scope: Scope, name: string, weights: string, x: Node): Node {
  const d = config.hidden_size;
  const gain = scope.weight(`${weights}.weight`, [d]);
  return layerNorm(scope, name, x, gain, scope.weight(`${weights}.bias`, [d]), config.layer_norm_eps);
}

/** A convolution whose stride is its size: one product per patch. (batch, patches, patch_values) → (…, hidden_size) */
export function embedPatches(
  config: VisionConfig,
  scope: Scope,
  name: string,
  patches: Node,
  kernel: readonly number[],
  bias: boolean,
): Node {
  const w = scope.weight(`${name}.weight`, [config.hidden_size, ...kernel]);
  const flat = reshape(w, [config.hidden_size, config.patch_values]);
  return linear(patches, flat, bias ? scope.weight(`${name}.bias`, [config.hidden_size]) : undefined);
}

/** Patches of a tower of one size, (batch, patches, hidden_size), before their positions. */
export function embedSquare(config: VisionConfig, scope: Scope, patches: Node, bias: boolean): Node {
  const { patch_size: p, patch_values } = config;
  const name = "vision_tower.embeddings.patch_embedding";
  return embedPatches(config, scope, name, patches, [patch_values / p ** 2, p, p], bias);
}

/** Tokens with a learned position each. */
export function withPositions(config: VisionConfig, scope: Scope, tokens: Node): Node {
  const { hidden_size: d, num_positions } = config;
  const positions = scope.weight("vision_tower.embeddings.position_embedding.weight", [num_positions, d]);
  return add(
    scope.hook("hook_embed", tokens),
    scope.hook("hook_pos_embed", expandLike(reshape(positions, [1, num_positions, d]), tokens)),
    tokens.shape,
  );
}

/** One encoder block: norm, attention, norm, MLP, each sum a residual. Every patch sees every other. */
export function vitBlock(config: VisionConfig, scope: Scope, inputs: BlockInputs): Node {
  const attended = selfAttention(config, scope, norm(config, scope, "ln1", "layer_norm1", inputs.x), inputs);
  const mid = scope.hook("hook_resid_mid", add(inputs.x, scope.hook("hook_attn_out", attended)));
  const normed = norm(config, scope, "ln2", "layer_norm2", mid);
  const names = ["mlp.fc1", "mlp.fc2"] as const;
  const fed = mlp(scope, normed, names, config.intermediate_size, activation(config.hidden_act));
  return add(mid, scope.hook("hook_mlp_out", fed));
}

function selfAttention(config: VisionConfig, scope: Scope, x: Node, inputs: BlockInputs): Node {
  const { hidden_size: d, head_dim: size, num_attention_heads: heads } = config;
  const heading = (name: "q" | "k" | "v"): Node => {
    const projected = projection(scope, `self_attn.${name}_proj`, x, d, true);
    return scope.hook(`attn.hook_${name}`, splitHeads(projected, heads, size));
  };
  const parts = { q: heading("q"), k: heading("k"), v: heading("v") };
  const z = attention(scope, parts, { mask: inputs.mask, known: inputs.known }, { scale: size ** -0.5 });
  return projection(scope, "self_attn.out_proj", z, d, true);
}
