/** Multiplications that a piece of a model takes, counted from the weights that it reads. */

import { sizeOf } from "../../tensor.js";
import { buildPiece, type PieceId, visionBlock, weightsOf } from "../families/index.js";
import type { ModelSpec } from "./engine.js";

/** Multiply–adds of a piece; twice as many floating-point operations. */
export interface PieceOperations {
  /** For each token (patch) that goes through it: one for each entry of the matrices that the token meets. */
  readonly perToken: number;
  /** For each pair of a query and a key that it attends to: scores and values, all heads together. */
  readonly perPair: number;
}

/** A piece's operations: of its experts those that a token is sent to; norms, activations and rotations do not count. */
export function pieceOperations(
  { family, config }: Pick<ModelSpec, "family" | "config">,
  id: PieceId,
): PieceOperations {
  const vision = config.vision_config;
  // Its other matrices are tables of positions.
  if (id === "vision.embed") return { perToken: vision!.patchDim * vision!.hidden_size, perPair: 0 };
  const { out, hookPoints } = buildPiece(family, config, id);
  const matrices = [...weightsOf([out, ...hookPoints.values()]).values()].filter((s) => s.length > 1);
  const experts = typeof id === "number" ? family.experts?.(config, id) : undefined;
  const routed = experts ? experts.topK * 3 * experts.expertDim * config.hidden_size : 0;
  return {
    perToken: matrices.reduce((sum, shape) => sum + sizeOf(shape), routed),
    perPair: 2 * attentionWidth(config, id),
  };
}

function attentionWidth(config: ModelSpec["config"], id: PieceId): number {
  if (typeof id === "number") return config.num_attention_heads * config.head_dim;
  return visionBlock(id) === undefined ? 0 : config.vision_config!.hidden_size;
}
