import { ModalscopeError } from "../../errors.js";
import { type ImageProcessor, patchTokens, tilesOf } from "./layout.js";
import { levelTable } from "./pixels.js";
import type { Region, RgbImage } from "./raster.js";
import {
  agree,
  contradict,
  type Fields,
  fieldsOf,
  filterOf,
  flag,
  HALF_LEVELS,
  kindOf,
  levelsOf,
  type ProcessorFiles,
  part,
  positive,
  preprocessorFields,
  processorFields,
  sizeOfField,
} from "./settings.js";
import { cutView, resizeView, viewOf } from "./view.js";

/**
 * Gemma 3 (`Gemma3ImageProcessor`): the image squeezed into a square; with `do_pan_and_scan` a long image's crops
 * too. (transformers' Gemma3Processor takes pan-and-scan from its call only; here, as in its image processor alone,
 * what the file says of it counts as well. In the checkpoints that we know it says nothing.)
 */
export function gemma3Processor(files: ProcessorFiles): ImageProcessor {
  const fields = preprocessorFields(files);
  kindOf(fields, ["Gemma3ImageProcessor"]);
  const { imageSize, side, cell } = poolingOf(files, fields);
  const size = { width: imageSize, height: imageSize };
  const filter = filterOf(fields, "bilinear");
  const table = levelTable(levelsOf(fields, HALF_LEVELS));
  const scan = flag(fields, "do_pan_and_scan", false) ? scanSettings(fields) : undefined;
  return {
    process(image) {
      const original = viewOf(image);
      const crops = scan ? panAndScan(image, scan) : [];
      const views = [original, ...crops.map((region) => cutView(original, region))].map((view) =>
        resizeView(view, size, filter),
      );
      return {
        width: image.width,
        height: image.height,
        ...tilesOf(views, table),
        grid: [1, Math.floor(imageSize / cell.patch), Math.floor(imageSize / cell.patch)],
        tokens: views.flatMap((view, t) => patchTokens(view, t, side, side, cell.side)),
      };
    },
  };
}

interface Pooling {
  readonly imageSize: number;
  /** Tokens along each side of a tile. */
  readonly side: number;
  /** Sides of a patch, and of the square of patches that is averaged to a token, in pixels. */
  readonly cell: { readonly patch: number; readonly side: number };
}

/** The projector's average pooling: as many patches a side as go, the rest left over. */
function poolingOf(files: ProcessorFiles, fields: Fields): Pooling {
  const config = fieldsOf("config.json", files.config);
  const vision = part(config, "vision_config");
  const imageSize = positive(vision, "image_size", 224);
  const patch = positive(vision, "patch_size", 16);
  const tokens = positive(config, "mm_tokens_per_image", 256);
  const patches = Math.floor(imageSize / patch);
  const side = Math.floor(Math.sqrt(tokens));
  const kernel = Math.floor(patches / side);
  if (side * side !== tokens || kernel === 0 || Math.floor(patches / kernel) !== side)
    throw new ModalscopeError(
      `config.json has "mm_tokens_per_image": ${tokens}.`,
      `The ${patches}×${patches} patches of its vision tower cannot be pooled to so many.`,
    );
  agree(processorFields(files), "image_seq_length", tokens);
  agree(fields, "image_seq_length", tokens);
  const size = sizeOfField(fields, "size", { height: 224, width: 224 }, "square");
  const takes = `The vision tower in config.json takes ${imageSize}×${imageSize}.`;
  if (!flag(fields, "do_resize", true) || !("height" in size))
    contradict(`${fields.file} leaves images of any shape.`, takes);
  if (size.height !== imageSize || size.width !== imageSize)
    contradict(`${fields.file} makes images of ${size.width}×${size.height} pixels.`, takes);
  return { imageSize, side, cell: { patch, side: kernel * patch } };
}

interface ScanSettings {
  readonly minCrop: number;
  readonly maxCrops: number;
  readonly minRatio: number;
}

/** The defaults are Gemma3Processor's; real checkpoints have null. */
function scanSettings(fields: Fields): ScanSettings {
  return {
    minCrop: positive(fields, "pan_and_scan_min_crop_size", 256),
    maxCrops: positive(fields, "pan_and_scan_max_num_crops", 4),
    minRatio: positive(fields, "pan_and_scan_min_ratio_to_activate", 1.2, false),
  };
}

/** Cuts the longer side into near-square crops, if there are enough pixels; the last crop may be smaller. */
function panAndScan({ width, height }: RgbImage, { minCrop, maxCrops, minRatio }: ScanSettings): Region[] {
  const wide = width >= height;
  const long = Math.max(width, height);
  const short = Math.min(width, height);
  if (long / short < minRatio) return [];
  const fitting = Math.min(Math.floor(long / minCrop), Math.floor(long / short + 0.5));
  const count = Math.min(maxCrops, Math.max(2, fitting));
  const step = Math.ceil(long / count);
  if (Math.min(step, short) < minCrop) return [];
  return Array.from({ length: count }, (_, i) => {
    const length = Math.min(step, long - i * step);
    if (length > 0)
      return wide
        ? { x: i * step, y: 0, width: length, height: short }
        : { x: 0, y: i * step, width: short, height: length };
    throw new ModalscopeError(
      `An image of ${width}×${height} pixels cannot be cut into ${count} crops.`,
      `Crops of ${step} pixels leave nothing for the last.`,
      "Raise pan_and_scan_min_crop_size or lower pan_and_scan_max_num_crops.",
    );
  });
}
