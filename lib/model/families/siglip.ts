import type { Node } from "../graph/node.js";
import { add, expandLike, reshape } from "../graph/ops.js";
import type { Scope } from "../layers.js";
import type { TowerConfig } from "./clip.js";
import { count, field, type RawConfig } from "./config.js";
import type { PatchInputs, VisionConfig } from "./vision.js";
import { embedPatches, norm } from "./vit.js";

/** `siglip_vision_model`: patches with learned positions, no class token. */
export function parseSiglip(given: RawConfig): TowerConfig {
  const raw = { model_type: "siglip_vision_model", ...given };
  const hidden_size = count(raw, "hidden_size", 768);
  const num_attention_heads = count(raw, "num_attention_heads", 12);
  const patch_size = count(raw, "patch_size", 16);
  return {
    model_type: raw.model_type,
    hidden_size,
    intermediate_size: count(raw, "intermediate_size", 3072),
    num_hidden_layers: count(raw, "num_hidden_layers", 12),
    num_attention_heads,
    head_dim: Math.floor(hidden_size / num_attention_heads),
    hidden_act: field(raw, "hidden_act", "gelu_pytorch_tanh"),
    layer_norm_eps: field(raw, "layer_norm_eps", 1e-6),
    patch_size,
    patch_values: count(raw, "num_channels", 3) * patch_size ** 2,
    num_positions: Math.floor(count(raw, "image_size", 224) / patch_size) ** 2,
    class_tokens: 0,
    merge: 1,
  };
}

/** (batch, patches, patch_values) → (batch, patches, hidden_size) */
export function embedSiglip(config: VisionConfig, scope: Scope, { patches }: PatchInputs): Node {
  const { hidden_size: d, patch_size: p, num_positions } = config;
  const at = "vision_tower.embeddings";
  const kernel = [config.patch_values / p ** 2, p, p];
  const embedded = embedPatches(config, scope, `${at}.patch_embedding`, patches, kernel, true);
  const positions = scope.weight(`${at}.position_embedding.weight`, [num_positions, d]);
  return add(
    scope.hook("hook_embed", embedded),
    scope.hook("hook_pos_embed", expandLike(reshape(positions, [1, num_positions, d]), embedded)),
    embedded.shape,
  );
}

export function finalSiglip(config: VisionConfig, scope: Scope, x: Node): Node {
  return norm(config, scope, "ln_final", "vision_tower.post_layernorm", x);
}
