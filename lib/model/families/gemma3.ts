import { ModalscopeError } from "../../errors.js";
import { add, matmul, mean, type Node, reshape } from "../graph/index.js";
import { type ModuleContext, rmsNorm } from "../nn/index.js";
import type { VisionConfig } from "./config.js";
import type { VisionFamily } from "./family.js";
import { type RawConfig, readCount, readPart } from "./fields.js";
import { imageTokenId } from "./multimodal.js";
import { siglip } from "./siglip.js";
import { vitBlock } from "./vit.js";

/** Gemma 3: SigLIP's patches, averaged in squares, normed, and projected; tokens of one image attend to each other in both directions. */
export const gemma3: VisionFamily = {
  text: { modelType: "gemma3_text", fixed: true },

  parse(raw, text) {
    const tower = siglip.parse({ model_type: "siglip_vision_model", ...readPart(raw, "vision_config") });
    return {
      ...tower,
      spatialMergeSize: mergeSize(raw, tower.numPositions),
      skippedTokens: 0,
      readouts: [{ id: "projector", fromLayers: "final" }],
      out_hidden_size: text.hidden_size,
      image_token_id: imageTokenId(raw),
    };
  },

  layer: (l) => `vision_tower.encoder.layers.${l}.`,
  embed: siglip.embed,
  block: (config, _layer, ctx, inputs) => vitBlock(config, ctx, inputs),
  final: siglip.final,
  readout: (config, _id, ctx, x) => project(config, ctx, x),
  bidirectional: true,
};

/** Patches along each side of a token: the tower's square of patches becomes a square of `mm_tokens_per_image` tokens. */
function mergeSize(raw: RawConfig, patches: number): number {
  const tokens = readCount(raw, "mm_tokens_per_image");
  const size = Math.sqrt(patches) / Math.sqrt(tokens);
  if (Number.isInteger(size) && Number.isInteger(Math.sqrt(tokens))) return size;
  throw new ModalscopeError(
    `config.json has "mm_tokens_per_image": ${tokens}.`,
    `The tower's ${patches} patches do not make a square of as many.`,
  );
}

function project(config: VisionConfig, ctx: ModuleContext, x: Node): Node {
  const { hidden_size: d, spatialMergeSize: merge } = config;
  const side = Math.sqrt(config.numPositions) / merge;
  const squares = reshape(x, [x.shape[0], side, merge, side, merge, d]); // (batch, side, merge, side, merge, hidden_size)
  const pooled = reshape(mean(squares, [-4, -2]), [x.shape[0], side * side, d]); // (batch, side², hidden_size)
  const tokens = ctx.hook("hook_pooled", named(pooled));
  const gain = add(1, ctx.weight("multi_modal_projector.mm_soft_emb_norm.weight", [d]));
  const normed = rmsNorm(ctx, "ln", tokens, { gain, eps: config.layer_norm_eps });
  const name = "multi_modal_projector.mm_input_projection_weight";
  return matmul(normed, ctx.weight(name, [d, config.out_hidden_size]));
}

/** The same values with their second axis called "tokens", as hooks count them. */
function named(x: Node): Node {
  return reshape(x, [x.shape[0], "tokens", x.shape[2]]); // (batch, tokens, hidden_size)
}
