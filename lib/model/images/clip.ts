/** Parts shared by LLaVA's two families: a CLIP or SigLIP tower, and the processor that fits images to it. */

import type { VisualToken } from "./layout.js";
import { patchTokens } from "./layout.js";
import type { Region } from "./raster.js";
import type { Filter } from "./resample.js";
import {
  agree,
  CLIP_LEVELS,
  contradict,
  type Fields,
  fieldsOf,
  filterOf,
  flag,
  HALF_LEVELS,
  type Levels,
  levelsOf,
  oneOf,
  type ProcessorFiles,
  part,
  positive,
  processorFields,
  type Size,
  sizeOfField,
} from "./settings.js";
import { resizeView, type View } from "./view.js";

export interface Tower {
  /** Side of the square image that it takes, and of one patch, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  /** Patches along each side. */
  readonly side: number;
  /** Whether a class token stands before the patches. */
  readonly classToken: boolean;
  /** `default` leaves the first feature out, whatever it is; `full` keeps all. */
  readonly select: "default" | "full";
}

/** @throws ModalscopeError when processor_config.json says otherwise */
export function towerOf(files: ProcessorFiles): Tower {
  const config = fieldsOf("config.json", files.config);
  const vision = part(config, "vision_config");
  const kind = oneOf(vision, "model_type", ["clip_vision_model", "siglip_vision_model"]);
  const classToken = kind === "clip_vision_model";
  // Without a vision_config transformers takes CLIP ViT-L/14 at 336 pixels; in a partial one, the tower's own defaults.
  const given = Object.keys(vision.values).length > 0;
  const imageSize = positive(vision, "image_size", given ? 224 : 336);
  const patchSize = positive(vision, "patch_size", given ? (classToken ? 32 : 16) : 14);
  const select = oneOf(config, "vision_feature_select_strategy", ["default", "full"]);
  const processor = processorFields(files);
  agree(processor, "patch_size", patchSize);
  agree(processor, "vision_feature_select_strategy", select);
  agree(processor, "num_additional_image_tokens", classToken ? 1 : 0);
  return { imageSize, patchSize, side: Math.floor(imageSize / patchSize), classToken, select };
}

/** The features of one tile in the order in which the tower gives them, as its `select` leaves them. */
export function tileTokens(tower: Tower, view: View, tile: number): VisualToken[] {
  const patches = patchTokens(view, tile, tower.side, tower.side, tower.patchSize);
  const token: VisualToken = { kind: "class", tile, row: -1, column: -1, box: null };
  const features = tower.classToken ? [token, ...patches] : patches;
  return tower.select === "default" ? features.slice(1) : features;
}

export interface FitSettings {
  /** Left out: the image keeps its size. */
  readonly size?: Size;
  /** Left out: nothing is cropped. */
  readonly crop?: { readonly width: number; readonly height: number };
  readonly filter: Filter;
  readonly levels: Levels;
}

/** The fields that CLIP's, SigLIP's, LLaVA's and LLaVA-NeXT's image processors share. */
export function fitSettings(fields: Fields, kind: string): FitSettings {
  const siglip = kind === "SiglipImageProcessor";
  const square = { height: 224, width: 224 };
  const crop = sizeOfField(fields, "crop_size", square, "square");
  return {
    size: flag(fields, "do_resize", true)
      ? sizeOfField(fields, "size", siglip ? square : { shortest: 224 }, "shortest")
      : undefined,
    crop: flag(fields, "do_center_crop", !siglip) ? rectangle(fields, crop) : undefined,
    filter: filterOf(fields, "bicubic"),
    levels: levelsOf(fields, siglip ? HALF_LEVELS : CLIP_LEVELS),
  };
}

function rectangle(fields: Fields, size: Size): { width: number; height: number } {
  if ("height" in size) return { width: size.width, height: size.height };
  return contradict(
    `${fields.file} has a crop_size of a shortest edge.`,
    "A crop needs a height and a width.",
  );
}

/** The image that the settings make must be what the tower takes. */
export function checkFit(fields: Fields, { size, crop }: FitSettings, tower: Tower): void {
  const result = crop ?? (size && "height" in size ? size : undefined);
  const takes = `The vision tower in config.json takes ${tower.imageSize}×${tower.imageSize}.`;
  if (!result) contradict(`${fields.file} leaves images of any shape.`, takes);
  if (result.width !== tower.imageSize || result.height !== tower.imageSize)
    contradict(`${fields.file} makes images of ${result.width}×${result.height} pixels.`, takes);
}

/** Resizes and crops to the centre, as transformers' `PilBackend` does. */
export function fit(view: View, { size, crop, filter }: FitSettings): View {
  const target = size ? targetSize(view.image, size) : view.image;
  const { width, height } = target;
  return resizeView(view, { width, height }, filter, crop && centred(target, crop));
}

/** As `get_resize_output_image_size`: the longer side's length is cut off to a whole number. */
function targetSize(image: { width: number; height: number }, size: Size): { width: number; height: number } {
  if ("height" in size) return size;
  const { width, height } = image;
  const long = Math.floor((size.shortest * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: size.shortest, height: long } : { width: long, height: size.shortest };
}

function centred(size: { width: number; height: number }, crop: { width: number; height: number }): Region {
  return {
    x: Math.floor((size.width - crop.width) / 2),
    y: Math.floor((size.height - crop.height) / 2),
    ...crop,
  };
}
