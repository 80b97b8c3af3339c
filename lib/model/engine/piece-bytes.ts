/** Bytes of a piece's weights in the files that they are read from. */
import { buildPiece, type PieceId, weightsOf } from "../families/index.js";
import type { Engine } from "./engine.js";
import { isExpert, placeOf } from "./expert-layout.js";

export interface PieceBytes {
  /** Read whenever the piece is opened. */
  readonly dense: number;
  /** Of one of its experts, which are read as they are chosen; 0 where it has none. */
  readonly expert: number;
  /** Number of its experts. */
  readonly experts: number;
}

/** Bytes of a piece as they are stored, or as the float32 copy has them that is read in their place. */
export function pieceBytes(
  { family, config, checkpoint: { weights } }: Pick<Engine, "family" | "config" | "checkpoint">,
  id: PieceId,
): PieceBytes {
  const { out, hookPoints } = buildPiece(family, config, id);
  const names = [...weightsOf([out, ...hookPoints.values()]).keys()];
  const dense = names.reduce((sum, name) => sum + (weights.get(name)?.byteLength ?? 0), 0);
  const has = typeof id === "number" && family.experts?.(config, id);
  if (!has) return { dense, expert: 0, experts: 0 };
  const place = placeOf({ family, config }, id);
  const own = [...weights.values()].filter(({ name }) => name.startsWith(place.prefix) && isExpert(name));
  const all = own.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { dense, expert: all / place.experts.count, experts: place.experts.count };
}
