import { ModalscopeError } from "../../errors.js";
import { add, matmul, mean, type Node, reshape } from "../graph/index.js";
import { type ModuleContext, rmsNorm } from "../nn/index.js";
import type { VisionConfig } from "./config.js";
import { type RawConfig, readCount, type TextConfig } from "./config.js";
import type { VisionFamily } from "./family.js";
import { embedSiglip, finalSiglip, parseSiglip } from "./siglip.js";
import { vitBlock } from "./vit.js";

/** Gemma 3: SigLIP's patches, averaged in squares, normed, and projected; an image's tokens see each other both ways. */
export const gemma3: VisionFamily = {
  parse(raw: RawConfig, text: TextConfig): VisionConfig {
    const siglip = parseSiglip((raw.vision_config ?? {}) as RawConfig);
    const tokens = readCount(raw, "mm_tokens_per_image", 256);
    const merge = Math.sqrt(siglip.numPositions / tokens);
    if (!Number.isInteger(merge) || !Number.isInteger(Math.sqrt(tokens))) {
      throw new ModalscopeError(
        `config.json has "mm_tokens_per_image": ${tokens}.`,
        `The tower's ${siglip.numPositions} patches do not make a square of as many.`,
      );
    }
    return {
      ...siglip,
      spatialMergeSize: merge,
      keepClassToken: false,
      readouts: [{ id: "projector", fromLayers: "final" }],
      out_hidden_size: text.hidden_size,
      image_token_id: readCount(
        raw,
        raw.image_token_index === undefined ? "image_token_id" : "image_token_index",
        262_144,
      ),
    };
  },

  layer: (l) => `vision_tower.encoder.layers.${l}.`,
  embed: embedSiglip,
  block: (config, _layer, ctx, inputs) => vitBlock(config, ctx, inputs),
  final: finalSiglip,
  readout: (config, _id, ctx, x) => project(config, ctx, x),
  bidirectional: true,
};

function project(config: VisionConfig, ctx: ModuleContext, x: Node): Node {
  const { hidden_size: d, spatialMergeSize } = config;
  const side = Math.sqrt(config.numPositions) / spatialMergeSize;
  const squares = reshape(x, [x.shape[0], side, spatialMergeSize, side, spatialMergeSize, d]);
  const pooled = reshape(mean(squares, [-4, -2]), [x.shape[0], side * side, d]);
  const tokens = ctx.hook("hook_pooled", named(pooled));
  const gain = add(1, ctx.weight("multi_modal_projector.mm_soft_emb_norm.weight", [d]));
  const normed = rmsNorm(ctx, "ln", tokens, gain, config.layer_norm_eps);
  const weight = ctx.weight("multi_modal_projector.mm_input_projection_weight", [d, config.out_hidden_size]);
  return matmul(normed, weight);
}

/** The same values with their second axis called "tokens", as hooks count them. */
function named(x: Node): Node {
  return reshape(x, [x.shape[0], "tokens", x.shape[2]]);
}
