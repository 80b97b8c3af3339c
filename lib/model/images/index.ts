/** Images of vision-language models: files → pixel values → visual tokens and their placeholder text. */

export { type DecodeOptions, decodeImage, type ImageSource } from "./decode.js";
export { expandPrompt, IMAGE_TOKENS, type ImageTokens } from "./expand.js";
export type { ImageProcessor, ProcessedImage, Tile, Unpad, VisualToken } from "./layout.js";
export { IMAGE_FAMILIES, imageProcessor } from "./processor.js";
export type { Region, RgbImage } from "./raster.js";
export { FILTERS, type Filter, resize } from "./resample.js";
export type { ProcessorFiles } from "./settings.js";
export type { Box } from "./view.js";
