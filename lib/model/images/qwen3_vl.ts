import { ModalscopeError } from "../../errors.js";
import { type ImageProcessor, patchTokens } from "./layout.js";
import { levelTable, mergedPatches, type PatchShape } from "./pixels.js";
import {
  agree,
  CLIP_LEVELS,
  type Fields,
  fieldsOf,
  filterOf,
  flag,
  kindOf,
  levelsOf,
  type ProcessorFiles,
  part,
  positive,
  preprocessorFields,
} from "./settings.js";
import { boxOf, resizeView, viewOf } from "./view.js";

/** Qwen3-VL (`Qwen2VLImageProcessor`): the image at about its own size, sides in whole tokens, cut into patches. */
export function qwen3VlProcessor(files: ProcessorFiles): ImageProcessor {
  const fields = preprocessorFields(files);
  kindOf(fields, ["Qwen2VLImageProcessor"]);
  const shape = patchShape(files, fields);
  const { min, max } = pixelLimits(fields);
  const resizes = flag(fields, "do_resize", true);
  const filter = filterOf(fields, "bicubic");
  const table = levelTable(levelsOf(fields, CLIP_LEVELS));
  const factor = shape.patch * shape.merge;
  return {
    process(image) {
      const size = resizes ? smartResize(image, factor, min, max) : wholeTokens(image, factor);
      const view = resizeView(viewOf(image), size, filter);
      return {
        width: image.width,
        height: image.height,
        pixels: mergedPatches(view.image, shape, table),
        grid: [1, size.height / shape.patch, size.width / shape.patch],
        tiles: [{ kind: "whole", box: boxOf(view) }],
        tokens: patchTokens(view, 0, size.height / factor, size.width / factor, factor),
      };
    },
  };
}

interface Extent {
  readonly width: number;
  readonly height: number;
}

function patchShape(files: ProcessorFiles, fields: Fields): PatchShape {
  const vision = part(fieldsOf("config.json", files.config), "vision_config");
  const patch = positive(vision, "patch_size", 16);
  const temporal = positive(vision, "temporal_patch_size", 2);
  const merge = positive(vision, "spatial_merge_size", 2);
  // Left out, the processor's are Qwen2-VL's, whose patches are smaller.
  const { patch_size = 14, temporal_patch_size = 2, merge_size = 2 } = fields.values;
  const given = { file: fields.file, values: { patch_size, temporal_patch_size, merge_size } };
  agree(given, "patch_size", patch);
  agree(given, "temporal_patch_size", temporal);
  agree(given, "merge_size", merge);
  return { patch, temporal, merge };
}

/** `size.shortest_edge` and `longest_edge` are numbers of pixels; older files call them min_pixels and max_pixels. */
function pixelLimits(fields: Fields): { min: number; max: number } {
  const size = part(fields, "size");
  const older = fields.values;
  const values = {
    shortest_edge: older.min_pixels ?? size.values.shortest_edge ?? size.values.min_pixels,
    longest_edge: older.max_pixels ?? size.values.longest_edge ?? size.values.max_pixels,
  };
  const min = positive({ file: size.file, values }, "shortest_edge", 56 * 56);
  const max = positive({ file: size.file, values }, "longest_edge", 28 * 28 * 1280);
  if (min <= max) return { min, max };
  throw new ModalscopeError(
    `${size.file} has a shortest_edge of ${min} and a longest_edge of ${max} pixels.`,
    "The least number of pixels is above the largest.",
  );
}

/** As `smart_resize`: multiples of `factor` near the image's sides, their product within the limits. */
function smartResize({ width, height }: Extent, factor: number, min: number, max: number): Extent {
  const ratio = Math.max(width, height) / Math.min(width, height);
  if (ratio > 200)
    throw new ModalscopeError(
      `The image of ${width}×${height} pixels is too thin.`,
      `The longer side may be 200 times the shorter at most; it is ${ratio}.`,
      "Crop it.",
    );
  const nearest = (side: number): number => roundHalfEven(side / factor) * factor;
  const pixels = nearest(width) * nearest(height);
  if (pixels > max) {
    const shrink = Math.sqrt((height * width) / max);
    const side = (length: number): number => Math.max(factor, Math.floor(length / shrink / factor) * factor);
    return { width: side(width), height: side(height) };
  }
  if (pixels < min) {
    const grow = Math.sqrt(min / (height * width));
    const side = (length: number): number => Math.ceil((length * grow) / factor) * factor;
    return { width: side(width), height: side(height) };
  }
  return { width: nearest(width), height: nearest(height) };
}

/** Python's `round`. */
function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function wholeTokens({ width, height }: Extent, factor: number): Extent {
  if (width % factor === 0 && height % factor === 0) return { width, height };
  throw new ModalscopeError(
    `The image of ${width}×${height} pixels is not made of whole tokens.`,
    `With do_resize off, each side must be a multiple of ${factor}.`,
  );
}
