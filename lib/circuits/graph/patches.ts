/** Where the patches that edges come from lie in their images. */
import { type Batch, type Model, patchPositions } from "../../model/index.js";

/** Left, top, right and bottom, in pixels of the original image. */
export type PatchBox = readonly [x0: number, y0: number, x1: number, y1: number];

export interface PatchPlaces {
  /** Number of the image that each row of patches is of; a tiled image has several rows. */
  readonly imageOf: readonly number[];
  /** Pixels of each image. */
  readonly sizes: readonly (readonly [width: number, height: number])[];
  /** (rows · patches): null for padding, and for patches that no token is made of. */
  readonly boxes: readonly (PatchBox | null)[];
}

/**
 * Places of a prompt's patches, by the tokens that are made of them: a token's box, cut into as many squares as it has
 * patches.
 * @param perRow patches of a row of the tower's `vision.hook_patches`
 */
export function patchPlaces(model: Model, batch: Batch, perRow: number): PatchPlaces {
  const images = batch.images ?? [];
  const { classTokens } = model.config.vision_config!;
  const imageOf: number[] = [];
  const boxes: (PatchBox | null)[] = [];
  for (const [number, { image }] of images.entries()) {
    const { tiles, tokens, pixels } = image;
    const positions = patchPositions(model, batch, ({ kind }, of) => of === image && kind === "patch");
    // Pixels that come as patches are one row, whatever tiles they are of.
    const rows =
      pixels.shape.length === 2 ? [tokens] : tiles.map((_, t) => tokens.filter((o) => o.tile === t));
    for (const row of rows) {
      const own = row.filter(({ kind }) => kind === "patch");
      const columns = positions[imageOf.length];
      const side = Math.sqrt(columns.length / own.length);
      const first = imageOf.length * perRow - classTokens;
      imageOf.push(number);
      boxes.push(...new Array<null>(perRow).fill(null));
      columns.forEach((column, i) => {
        const { box } = own[Math.floor(i / side ** 2)];
        if (box) boxes[first + column] = cellOf(box, side, i % side ** 2);
      });
    }
  }
  return { imageOf, sizes: images.map(({ image: { width, height } }) => [width, height]), boxes };
}

/** One of the side · side equal parts of a box, row by row. */
function cellOf([x0, y0, x1, y1]: PatchBox, side: number, part: number): PatchBox {
  const [width, height] = [(x1 - x0) / side, (y1 - y0) / side];
  const [x, y] = [x0 + (part % side) * width, y0 + Math.floor(part / side) * height];
  return [x, y, x + width, y + height];
}
