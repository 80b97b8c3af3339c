import type { Node } from "../graph/node.js";
import { add, concat, expandLike, reshape, slice } from "../graph/ops.js";
import type { Scope } from "../layers.js";
import { count, field, type RawConfig } from "./config.js";
import type { PatchInputs, VisionConfig } from "./vision.js";
import { embedPatches, norm } from "./vit.js";

/** What the tower itself says, without how the language model reads it. */
export type TowerConfig = Omit<
  VisionConfig,
  "readouts" | "out_hidden_size" | "image_token_id" | "keeps_class_tokens"
>;

/** `clip_vision_model`: a class token before the patches, learned positions, a norm before the first block. */
export function parseClip(given: RawConfig): TowerConfig {
  const raw = { model_type: "clip_vision_model", ...given };
  const hidden_size = count(raw, "hidden_size", 768);
  const num_attention_heads = count(raw, "num_attention_heads", 12);
  const patch_size = count(raw, "patch_size", 32);
  const side = Math.floor(count(raw, "image_size", 224) / patch_size);
  return {
    model_type: raw.model_type,
    hidden_size,
    intermediate_size: count(raw, "intermediate_size", 3072),
    num_hidden_layers: count(raw, "num_hidden_layers", 12),
    num_attention_heads,
    head_dim: Math.floor(hidden_size / num_attention_heads),
    hidden_act: field(raw, "hidden_act", "quick_gelu"),
    layer_norm_eps: field(raw, "layer_norm_eps", 1e-5),
    patch_size,
    patch_values: count(raw, "num_channels", 3) * patch_size ** 2,
    num_positions: side ** 2 + 1,
    class_tokens: 1,
    merge: 1,
  };
}

/** (batch, patches, patch_values) → (batch, 1 + patches, hidden_size) */
export function embedClip(config: VisionConfig, scope: Scope, { patches }: PatchInputs): Node {
  const { hidden_size: d, patch_size: p, num_positions } = config;
  const at = "vision_tower.embeddings";
  const kernel = [config.patch_values / p ** 2, p, p];
  const embedded = embedPatches(config, scope, `${at}.patch_embedding`, patches, kernel, false);
  const token = reshape(scope.weight(`${at}.class_embedding`, [d]), [1, 1, d]);
  const tokens = concat([expandLike(token, slice(embedded, -2, 0, 1)), embedded], -2, "time");
  const positions = scope.weight(`${at}.position_embedding.weight`, [num_positions, d]);
  const placed = add(
    scope.hook("hook_embed", tokens),
    scope.hook("hook_pos_embed", expandLike(reshape(positions, [1, num_positions, d]), tokens)),
    tokens.shape,
  );
  return norm(config, scope, "ln_pre", "vision_tower.pre_layrnorm", placed);
}
