import type { TextConfig } from "../families/index.js";
import type { Batch, BatchImage } from "./batch.js";

/**
 * Position ids for MRoPE (Qwen2-VL), with separate temporal, height and width axes: text counts on along all three; an image's tokens share one time and count rows and columns from there; what follows goes on after the
 * largest. (3, batch, time)
 */
export function mropePositionIds(
  { rope_parameters, vision_config }: TextConfig,
  batch: Batch,
  images: readonly BatchImage[],
): Partial<Pick<Batch, "positionIds" | "nextPositionIds">> {
  if (!rope_parameters.full_attention.mrope_section || !vision_config) return {};
  const cells = batch.size * batch.seqLength;
  const positionIds = new Int32Array(3 * cells);
  const nextPositionIds = batch.tokenPositions.map((columns, row) => {
    const inImages = new Map<number, { row: number; column: number; after: number }>();
    for (const { image, positions: at } of images.filter((i) => i.row === row)) {
      const [, height, width] = image.grid.map((n) => n / vision_config.spatialMergeSize);
      const after = Math.max(height, width);
      at.forEach((c, i) => {
        const last = i === at.length - 1;
        inImages.set(c, {
          row: image.tokens[i].row,
          column: image.tokens[i].column,
          after: last ? after : 0,
        });
      });
    }
    let position = 0;
    for (const c of columns) {
      const cell = row * batch.seqLength + c;
      const own = inImages.get(c) ?? { row: 0, column: 0, after: 1 };
      positionIds[cell] = position;
      positionIds[cells + cell] = position + own.row;
      positionIds[2 * cells + cell] = position + own.column;
      position += own.after;
    }
    return position;
  });
  return { positionIds, nextPositionIds };
}
