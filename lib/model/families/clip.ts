import { concat, expandLike, reshape, slice } from "../graph/index.js";
import { embedSquare, norm, parseTower, type Tower, withPositions } from "./vit.js";

/** `clip_vision_model`: a class token before the patches, learned positions, a norm before the first block. */
export const clip: Tower = {
  parse: (raw) => parseTower(raw, 1),

  /** (batch, patches, patchDim) → (batch, 1 + patches, hidden_size) */
  embed(config, ctx, { patches }) {
    const { hidden_size: d } = config;
    const embedded = embedSquare(config, ctx, patches, { bias: false });
    const learned = ctx.weight("vision_tower.embeddings.class_embedding", [d]);
    const token = reshape(learned, [1, 1, d]); // (1, 1, hidden_size)
    const tokens = concat([expandLike(token, slice(embedded, -2, 0, 1)), embedded], -2, "time");
    return norm(config, ctx, "ln_pre", "vision_tower.pre_layrnorm", withPositions(config, ctx, tokens));
  },
};
