import { ModalscopeError } from "../../errors.js";
import type { Node } from "../graph/node.js";
import { add, matmul, mean, reshape } from "../graph/ops.js";
import { rmsNorm, type Scope } from "../nn/layers.js";
import type { VisionConfig } from "./config.js";
import { count, type RawConfig, type TextConfig } from "./config.js";
import type { VisionFamily } from "./family.js";
import { embedSiglip, finalSiglip, parseSiglip } from "./siglip.js";
import { vitBlock } from "./vit.js";

/** Gemma 3: SigLIP's patches, averaged in squares, normed, and projected; a picture's tokens see each other both ways. */
export const gemma3: VisionFamily = {
  parse(raw: RawConfig, text: TextConfig): VisionConfig {
    const siglip = parseSiglip((raw.vision_config ?? {}) as RawConfig);
    const tokens = count(raw, "mm_tokens_per_image", 256);
    const merge = Math.sqrt(siglip.num_positions / tokens);
    if (!Number.isInteger(merge) || !Number.isInteger(Math.sqrt(tokens))) {
      throw new ModalscopeError(
        `config.json has "mm_tokens_per_image": ${tokens}.`,
        `The tower's ${siglip.num_positions} patches do not make a square of as many.`,
      );
    }
    return {
      ...siglip,
      merge,
      keeps_class_tokens: false,
      readouts: [{ id: "projector", after: "final" }],
      out_hidden_size: text.hidden_size,
      image_token_id: count(
        raw,
        raw.image_token_index === undefined ? "image_token_id" : "image_token_index",
        262_144,
      ),
    };
  },

  layer: (l) => `vision_tower.encoder.layers.${l}.`,
  embed: embedSiglip,
  block: (config, _layer, scope, inputs) => vitBlock(config, scope, inputs),
  final: finalSiglip,
  readout: (config, _id, scope, x) => project(config, scope, x),
  bidirectional: true,
};

function project(config: VisionConfig, scope: Scope, x: Node): Node {
  const { hidden_size: d, merge } = config;
  const side = Math.sqrt(config.num_positions) / merge;
  const squares = reshape(x, [x.shape[0], side, merge, side, merge, d]);
  const pooled = reshape(mean(squares, [-4, -2]), [x.shape[0], side * side, d]);
  const tokens = scope.hook("hook_pooled", named(pooled));
  const gain = add(1, scope.weight("multi_modal_projector.mm_soft_emb_norm.weight", [d]));
  const normed = rmsNorm(scope, "ln", tokens, gain, config.layer_norm_eps);
  const weight = scope.weight("multi_modal_projector.mm_input_projection_weight", [
    d,
    config.out_hidden_size,
  ]);
  return matmul(normed, weight);
}

/** The same values with their second axis called "tokens", as hooks count them. */
function named(x: Node): Node {
  return reshape(x, [x.shape[0], "tokens", x.shape[2]]);
}
