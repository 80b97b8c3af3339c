import type { TextConfig } from "../families/index.js";
import type { Batch, BatchImage } from "./batch.js";

/**
 * Positions of tokens and pictures where time, row and column turn apart (Qwen2-VL's MRoPE): text counts on along all
 * three; a picture's tokens share one time and count rows and columns from there; what follows goes on after the
 * largest. (3, batch, time)
 */
export function mropePositions(
  { rope_parameters, vision_config }: TextConfig,
  batch: Batch,
  images: readonly BatchImage[],
): Partial<Pick<Batch, "positions" | "next">> {
  if (!rope_parameters.full_attention.mrope_section || !vision_config) return {};
  const cells = batch.size * batch.time;
  const positions = new Int32Array(3 * cells);
  const next = batch.columns.map((columns, row) => {
    const pictures = new Map<number, { row: number; column: number; after: number }>();
    for (const { image, columns: at } of images.filter((i) => i.row === row)) {
      const [, height, width] = image.grid.map((n) => n / vision_config.spatialMergeSize);
      const after = Math.max(height, width);
      at.forEach((c, i) => {
        const last = i === at.length - 1;
        pictures.set(c, {
          row: image.tokens[i].row,
          column: image.tokens[i].column,
          after: last ? after : 0,
        });
      });
    }
    let position = 0;
    for (const c of columns) {
      const cell = row * batch.time + c;
      const own = pictures.get(c) ?? { row: 0, column: 0, after: 1 };
      positions[cell] = position;
      positions[cells + cell] = position + own.row;
      positions[2 * cells + cell] = position + own.column;
      position += own.after;
    }
    return position;
  });
  return { positions, next };
}
