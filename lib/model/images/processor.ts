import { didYouMean, ModalscopeError } from "../../errors.js";
import { gemma3Processor } from "./gemma3.js";
import type { ImageProcessor } from "./layout.js";
import { llavaProcessor } from "./llava.js";
import { llavaNextProcessor } from "./llava_next.js";
import { qwen3VlProcessor } from "./qwen3_vl.js";
import { checkRaster } from "./raster.js";
import type { ProcessorFiles } from "./settings.js";

export type { ImageProcessor, ProcessedImage, Tile, Unpad, VisualToken } from "./layout.js";

const PROCESSORS: Readonly<Record<string, (files: ProcessorFiles) => ImageProcessor>> = {
  llava: llavaProcessor,
  llava_next: llavaNextProcessor,
  gemma3: gemma3Processor,
  qwen3_vl: qwen3VlProcessor,
  qwen3_vl_moe: qwen3VlProcessor,
};

/** Every `model_type` that has an image processor. */
export const IMAGE_FAMILIES: readonly string[] = Object.keys(PROCESSORS);

/**
 * Image processor of a checkpoint: the very values of transformers' processors (their PIL and numpy back
 * end) for the same levels. transformers.js's processors resize with libvips, which does not average when it shrinks,
 * and leave out what a file does not say: on a 1280×960 chart their LLaVA pixels are off by 3 levels of 255 in the
 * mean and 220 at most, and Qwen3-VL's are not normalised.
 * @throws ModalscopeError for an unknown family, a file that is wrong in itself, or files that contradict each other
 */
export function imageProcessor(modelType: string, files: ProcessorFiles): ImageProcessor {
  const make = Object.hasOwn(PROCESSORS, modelType) ? PROCESSORS[modelType] : undefined;
  if (!make)
    throw new ModalscopeError(
      `This checkpoint (${modelType}) is text-only: no image processor is implemented for it.`,
      `Implemented are ${IMAGE_FAMILIES.join(", ")}.`,
      didYouMean(modelType, IMAGE_FAMILIES),
    );
  const { process } = make(files);
  return {
    process(image) {
      checkRaster(image);
      return process(image);
    },
  };
}
