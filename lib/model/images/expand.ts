import { ModalscopeError } from "../../errors.js";
import type { ProcessedImage } from "./layout.js";
import { IMAGE_FAMILIES } from "./processor.js";

/** The strings that a family writes for an image. */
export interface ImageTokens {
  /** Text that marks the place of an image in a prompt. */
  readonly placeholder: string;
  /** Text of one visual token; the tokenizer knows it as one id. */
  readonly image: string;
  /** Gemma 3 only: before and after the visual tokens of one tile. */
  readonly begin?: string;
  readonly end?: string;
}

const LLAVA: ImageTokens = { placeholder: "<image>", image: "<image>" };
const QWEN: ImageTokens = { placeholder: "<|image_pad|>", image: "<|image_pad|>" };
const GEMMA: ImageTokens = {
  placeholder: "<start_of_image>",
  image: "<image_soft_token>",
  begin: "<start_of_image>",
  end: "<end_of_image>",
};

/** Each family's strings; a checkpoint whose tokenizer has others is given its own. */
export const IMAGE_TOKENS: Readonly<Record<string, ImageTokens>> = {
  llava: LLAVA,
  llava_next: LLAVA,
  gemma3: GEMMA,
  qwen3_vl: QWEN,
  qwen3_vl_moe: QWEN,
};

/**
 * The prompt with each placeholder replaced by what transformers' processor of the family writes there: the i-th
 * stands for `images[i]`. After tokenizing, the i-th occurrence of the id of `tokens.image` is the i-th of all
 * the images' `tokens`, in order.
 * @throws ModalscopeError when there are more or fewer images than placeholders, or the text holds visual tokens already
 */
export function expandPrompt(
  modelType: string,
  text: string,
  images: readonly ProcessedImage[],
  tokens: ImageTokens = tokensOf(modelType),
): string {
  const { placeholder } = tokens;
  const pieces = text.split(placeholder);
  const places = pieces.length - 1;
  if (places !== images.length)
    throw new ModalscopeError(
      `The prompt has ${count(places, "place")} for images and ${count(images.length, "image")}.`,
      `Each "${placeholder}" in its text stands for one image.`,
      places < images.length ? "Write one more for each image, or pass fewer." : "Pass an image for each.",
    );
  if (tokens.image !== placeholder && text.includes(tokens.image))
    throw new ModalscopeError(
      `The prompt holds "${tokens.image}".`,
      "That stands for a part of an image, and is written for it.",
      `Write "${placeholder}" where an image belongs.`,
    );
  return images.reduce((start, image, i) => start + written(image, tokens) + pieces[i + 1], pieces[0]);
}

function tokensOf(modelType: string): ImageTokens {
  if (Object.hasOwn(IMAGE_TOKENS, modelType)) return IMAGE_TOKENS[modelType];
  throw new ModalscopeError(
    `Prompts with images are not known for "${modelType}".`,
    `Known are ${IMAGE_FAMILIES.join(", ")}.`,
  );
}

function written(image: ProcessedImage, { image: token, begin, end }: ImageTokens): string {
  if (begin === undefined || end === undefined) return token.repeat(image.tokens.length);
  const perTile = image.tokens.length / image.tiles.length;
  const tile = `\n\n${begin}${token.repeat(perTile)}${end}\n\n`;
  const crops = image.tiles.length - 1;
  if (crops === 0) return tile;
  // Gemma 3's own words around an image and its pan-and-scan crops.
  const others = Array<string>(crops).fill(tile).join(" ");
  return `Here is the original image ${tile} and here are some crops to help you see better ${others}`;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
