/** Sizes of the planted two-source models, and what each coordinate axis of their streams means. */
import { range } from "../weights.js";

/** Width of the tower's and of the language model's stream. */
export const WIDTH = 64;
export const HEADS = 4;
export const HEAD_SIZE: number = WIDTH / HEADS;
export const LAYERS = 8;
export const INTERMEDIATE = 16;

/** Pixels on a side of an image, and of a patch. */
export const SIZE = 48;
export const PATCH = 8;

/** Values that an image or a question states: one for each of two dimensions. */
export const DIMENSIONS = 2;

/** Axes of the language model's residual stream. */
export const axis: Readonly<
  Record<"constant" | "first" | "last" | "left" | "top" | "marked" | "other", number> &
    Record<"code" | "word" | "seen" | "factor" | "answer", readonly number[]>
> = {
  /** 16 at every token, so that the norms hardly move with the content. */
  constant: 0,
  /** 1 at the first token of a prompt, where heads rest that were not asked. */
  first: 1,
  /** 1 at the last token. */
  last: 2,
  /** At visual tokens +1 in the left half and −1 in the right one; +1 in the upper half and −1 in the lower one. */
  left: 3,
  top: 4,
  /** Words of the question that count, and those beside them that do not. */
  marked: 5,
  other: 6,
  /** Colour of a visual token. */
  code: range(8, DIMENSIONS),
  /** Value of a word. */
  word: range(12, DIMENSIONS),
  /** Content that a word of the question has read off the image. */
  seen: range(16, DIMENSIONS),
  /** The two factors of a product. */
  factor: range(20, 2),
  /** Final prediction, which the head of the model reads. */
  answer: range(24, DIMENSIONS),
};

/** Length of a code per unit of value: small beside `constant`. */
export const CODE = 0.25;
export const CONSTANT = 16;

/** Divisor of the RMSNorms, but for the contents' own share (half a thousandth). */
export const SCALE: number = CONSTANT / Math.sqrt(WIDTH);

/** Axes of the tower's stream. */
export const towerAxis: Readonly<Record<"colour" | "balance" | "left" | "top", readonly number[]>> = {
  /** Mean colour of a patch and its negative, so that the LayerNorm has a mean of 0 to take away. */
  colour: range(0, 2 * DIMENSIONS),
  /** +8 and −8, so that the LayerNorm's scale hardly moves with the colour. */
  balance: range(8, 2),
  /** The half that a patch lies in, and its negative. */
  left: range(12, 2),
  top: range(14, 2),
};
