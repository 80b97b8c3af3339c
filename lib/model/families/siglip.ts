import type { Node } from "../graph/index.js";
import type { ModuleContext } from "../nn/index.js";
import type { RawConfig, VisionConfig } from "./config.js";
import type { PatchInputs } from "./family.js";
import { embedSquare, norm, parseTower, type TowerConfig, withPositions } from "./vit.js";

/** `siglip_vision_model`: patches with learned positions, no class token. */
export function parseSiglip(raw: RawConfig): TowerConfig {
  return parseTower(raw, {
    model_type: "siglip_vision_model",
    patch_size: 16,
    hidden_act: "gelu_pytorch_tanh",
    layer_norm_eps: 1e-6,
    classTokens: 0,
  });
}

/** (batch, patches, patch_values) → (batch, patches, hidden_size) */
export function embedSiglip(config: VisionConfig, ctx: ModuleContext, { patches }: PatchInputs): Node {
  return withPositions(config, ctx, embedSquare(config, ctx, patches, true));
}

export function finalSiglip(config: VisionConfig, ctx: ModuleContext, x: Node): Node {
  return norm(config, ctx, "ln_final", "vision_tower.post_layernorm", x);
}
