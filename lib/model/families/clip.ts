import { concat, expandLike, type Node, reshape, slice } from "../graph/index.js";
import type { ModuleContext } from "../nn/index.js";
import type { RawConfig, VisionConfig } from "./config.js";
import type { PatchInputs } from "./family.js";
import { embedSquare, norm, parseTower, type TowerConfig, withPositions } from "./vit.js";

/** `clip_vision_model`: a class token before the patches, learned positions, a norm before the first block. */
export function parseClip(raw: RawConfig): TowerConfig {
  return parseTower(raw, {
    model_type: "clip_vision_model",
    patch_size: 32,
    hidden_act: "quick_gelu",
    layer_norm_eps: 1e-5,
    classTokens: 1,
  });
}

/** (batch, patches, patch_values) → (batch, 1 + patches, hidden_size) */
export function embedClip(config: VisionConfig, ctx: ModuleContext, { patches }: PatchInputs): Node {
  const { hidden_size: d } = config;
  const embedded = embedSquare(config, ctx, patches, false);
  const token = reshape(ctx.weight("vision_tower.embeddings.class_embedding", [d]), [1, 1, d]);
  const tokens = concat([expandLike(token, slice(embedded, -2, 0, 1)), embedded], -2, "time");
  return norm(config, ctx, "ln_pre", "vision_tower.pre_layrnorm", withPositions(config, ctx, tokens));
}
