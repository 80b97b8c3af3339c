/** The files that say how a checkpoint's images are prepared, as transformers saves them. */

type Files = Record<string, Record<string, unknown>>;

/** Settings of all families' processors. */
const LEVELS = {
  do_convert_rgb: true,
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  rescale_factor: 1 / 255,
};
const HALVES = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };

const both = (images: Record<string, unknown>, processor: Record<string, unknown>): Files => ({
  "preprocessor_config.json": images,
  "processor_config.json": { image_processor: images, ...processor },
});

/** CLIP's resizing and levels. With `pinpoints` (height, width) it is LLaVA-NeXT's, in tiles. */
export function llavaFiles(image: number, patch: number, pinpoints?: readonly (readonly number[])[]): Files {
  const images = {
    ...LEVELS,
    crop_size: { height: image, width: image },
    do_center_crop: true,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
    resample: 3,
    size: { shortest_edge: image },
    ...(pinpoints
      ? { do_pad: true, image_grid_pinpoints: pinpoints, image_processor_type: "LlavaNextImageProcessor" }
      : { image_processor_type: "CLIPImageProcessor" }),
  };
  return both(images, {
    image_token: "<image>",
    num_additional_image_tokens: 1,
    patch_size: patch,
    processor_class: pinpoints ? "LlavaNextProcessor" : "LlavaProcessor",
    vision_feature_select_strategy: "default",
  });
}

/** SigLIP's, to a square of `image` pixels that becomes `tokens` tokens. */
export function gemmaFiles(image: number, tokens: number): Files {
  const size = { height: image, width: image };
  const images = { ...LEVELS, ...HALVES, image_processor_type: "Gemma3ImageProcessor", resample: 2, size };
  return both(images, { image_seq_length: tokens, processor_class: "Gemma3Processor" });
}

/** Qwen3-VL's: images at their own size, from `least` to `most` pixels. */
export function qwenFiles(patch: number, merge: number, least: number, most: number): Files {
  const images = {
    ...LEVELS,
    ...HALVES,
    image_processor_type: "Qwen2VLImageProcessor",
    merge_size: merge,
    patch_size: patch,
    resample: 3,
    size: { longest_edge: most, shortest_edge: least },
    temporal_patch_size: 2,
  };
  return both(images, { processor_class: "Qwen3VLProcessor" });
}
