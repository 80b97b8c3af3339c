import { ModalscopeError } from "../../errors.js";
import { checkFit, type FitSettings, fit, fitSettings, type Tower, tileTokens, towerOf } from "./clip.js";
import { type ImageProcessor, patchToken, tilesOf, type Unpad, type VisualToken } from "./layout.js";
import { levelTable } from "./pixels.js";
import {
  contradict,
  type Fields,
  fieldsOf,
  kindOf,
  type ProcessorFiles,
  preprocessorFields,
} from "./settings.js";
import { resizeView, type View, viewOf } from "./view.js";

interface Resolution {
  readonly width: number;
  readonly height: number;
}

const PINPOINTS = [
  [336, 672],
  [672, 336],
  [672, 672],
  [1008, 336],
  [336, 1008],
];

/**
 * LLaVA 1.6 (`LlavaNextImageProcessor`): the whole image squeezed into one tile; then the image at the best of the
 * known resolutions, its shape kept, centred on black and cut into tiles.
 */
export function llavaNextProcessor(files: ProcessorFiles): ImageProcessor {
  const tower = towerOf(files);
  const fields = preprocessorFields(files);
  const settings = fitSettings(fields, kindOf(fields, ["LlavaNextImageProcessor"]));
  checkFit(fields, settings, tower);
  if (tower.classToken && tower.select === "full")
    contradict(
      'config.json has "vision_feature_select_strategy": "full".',
      "Tiles with a class token cannot be joined to a grid.",
    );
  if (!tower.classToken && tower.select === "default")
    contradict(
      'config.json has "vision_feature_select_strategy": "default".',
      "The tower has no class token to leave out, and tiles without their first patch cannot be joined.",
    );
  const resolutions = resolutionsOf(files, fields, tower);
  const table = levelTable(settings.levels);
  return {
    process(image) {
      const best = bestResolution(image, resolutions);
      const original = viewOf(image);
      const parts = cutTiles(original, best, settings, tower.imageSize);
      const views = [overview(original, settings), ...parts].map((view) => fit(view, settings));
      const unpad = unpadded(image, best, tower);
      return {
        width: image.width,
        height: image.height,
        ...tilesOf(views, table),
        grid: [1, tower.side, tower.side],
        tokens: [...tileTokens(tower, views[0], 0), ...joinedTokens(tower, views, unpad)],
        unpad,
      };
    },
  };
}

/** The pinpoints as the model has them; the processor's must be the same, since each of the two picks by its own. */
function resolutionsOf(files: ProcessorFiles, fields: Fields, tower: Tower): Resolution[] {
  const config = fieldsOf("config.json", files.config);
  const given = pinpoints(config);
  if (JSON.stringify(pinpoints(fields)) !== JSON.stringify(given))
    contradict(
      `${fields.file} has "image_grid_pinpoints": ${JSON.stringify(pinpoints(fields))}.`,
      `config.json has ${JSON.stringify(given)}.`,
    );
  for (const side of given.flat())
    if (side % tower.imageSize !== 0)
      contradict(
        `config.json has the resolution ${side} in "image_grid_pinpoints".`,
        `It must be a multiple of the vision tower's ${tower.imageSize} pixels.`,
      );
  return given.map(([height, width]) => ({ width, height }));
}

function pinpoints({ file, values }: Fields): number[][] {
  const given = values.image_grid_pinpoints ?? PINPOINTS;
  const pair = (p: unknown): boolean =>
    Array.isArray(p) && p.length === 2 && p.every((side) => Number.isInteger(side) && side > 0);
  if (Array.isArray(given) && given.length > 0 && given.every(pair)) return given;
  throw new ModalscopeError(
    `${file} has "image_grid_pinpoints": ${JSON.stringify(given)}.`,
    "It must be a list of [height, width].",
  );
}

/** `select_best_resolution`: the one that keeps most of the image's pixels, and of those the least empty one. */
function bestResolution(image: Resolution, resolutions: readonly Resolution[]): Resolution {
  let best: Resolution | undefined;
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const resolution of resolutions) {
    const { width, height } = resolution;
    const scale = Math.min(width / image.width, height / image.height);
    const shown = Math.trunc(image.width * scale) * Math.trunc(image.height * scale);
    const kept = Math.min(shown, image.width * image.height);
    const wasted = width * height - kept;
    if (kept > most || (kept === most && wasted < least)) {
      most = kept;
      least = wasted;
      best = resolution;
    }
  }
  // transformers fails here too: at each resolution the image is thinner than a pixel.
  if (best && most > 0) return best;
  const { width, height } = resolutions[0];
  const scale = Math.min(width / image.width, height / image.height);
  throw new ModalscopeError(
    `The image of ${image.width}×${image.height} pixels is too thin for LLaVA-NeXT.`,
    `Scaled to fit the model's resolutions it has no pixels left: ${Math.trunc(image.width * scale)}×${Math.trunc(image.height * scale)} in ${width}×${height}, for example.`,
    "Crop it, or pad it to a square.",
  );
}

/** The image with its shape lost; `fit` then leaves it alone, unless the crop is larger. */
function overview(view: View, { size, filter }: FitSettings): View {
  if (!size) return view;
  const target = "height" in size ? size : { width: size.shortest, height: size.shortest };
  return resizeView(view, target, filter);
}

/** As `get_patch_output_size`, `_get_padding_size` and `divide_to_patches` do. */
function cutTiles(view: View, best: Resolution, { filter }: FitSettings, side: number): View[] {
  const { width, height } = view.image;
  const across = best.width / width;
  const down = best.height / height;
  const size =
    across < down
      ? { width: best.width, height: Math.min(Math.ceil(height * across), best.height) }
      : { width: Math.min(Math.ceil(width * down), best.width), height: best.height };
  const left = Math.floor((best.width - size.width) / 2);
  const top = Math.floor((best.height - size.height) / 2);
  const tiles: View[] = [];
  for (let y = 0; y < best.height; y += side)
    for (let x = 0; x < best.width; x += side)
      tiles.push(resizeView(view, size, filter, { x: x - left, y: y - top, width: side, height: side }));
  return tiles;
}

/** As the model's `unpad_image` counts, on features rather than pixels, with its rounding to 7 decimals. */
function unpadded(image: Resolution, best: Resolution, { imageSize, side }: Tower): Unpad {
  const tiles: [number, number] = [best.height / imageSize, best.width / imageSize];
  const height = tiles[0] * side;
  const width = tiles[1] * side;
  const wide = image.width / image.height > width / height;
  const kept = wide ? image.height * (width / image.width) : image.width * (height / image.height);
  const padding = Math.floor(((wide ? height : width) - Math.trunc(Number(kept.toFixed(7)))) / 2);
  return {
    tiles,
    rows: wide ? [padding, height - padding] : [0, height],
    columns: wide ? [0, width] : [padding, width - padding],
  };
}

/** The kept rows of the joined tiles, each followed by a newline. */
function joinedTokens(tower: Tower, views: readonly View[], { tiles, rows, columns }: Unpad): VisualToken[] {
  const { side, patchSize } = tower;
  const tokens: VisualToken[] = [];
  const tileAt = (row: number, column: number): number =>
    1 + Math.floor(row / side) * tiles[1] + Math.floor(column / side);
  for (let row = rows[0]; row < rows[1]; row++) {
    for (let column = columns[0]; column < columns[1]; column++) {
      const tile = tileAt(row, column);
      tokens.push(patchToken(views[tile], tile, row % side, column % side, patchSize));
    }
    const last = columns[1] - 1;
    tokens.push({
      kind: "newline",
      tile: tileAt(row, last),
      row: row % side,
      column: (last % side) + 1,
      box: null,
    });
  }
  return tokens;
}
