import { embedSquare, norm, parseTower, type Tower, withPositions } from "./vit.js";

/** `siglip_vision_model`: patches with learned positions, no class token, a norm after the last block. */
export const siglip: Tower = {
  parse: (raw) => parseTower(raw, 0),

  /** (batch, patches, patchDim) → (batch, patches, hidden_size) */
  embed(config, ctx, { patches }) {
    return withPositions(config, ctx, embedSquare(config, ctx, patches, { bias: true }));
  },

  final(config, ctx, x) {
    return norm(config, ctx, "ln_final", "vision_tower.post_layernorm", x);
  },
};
