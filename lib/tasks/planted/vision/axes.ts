/** Sizes of the planted vision-language models, and what each coordinate axis of their streams means. */
import { range } from "../weights.js";

/** Width of the tower's and the language model's streams. */
export const WIDTH = 64;

/** Axes of the language model's residual stream. */
export const axis: Readonly<
  Record<
    "constant" | "visual" | "text" | "colourWord" | "oneHop" | "twoHops" | "side" | "wantedSide",
    number
  > &
    Record<"code" | "hint" | "scratch" | "answer" | "next", readonly number[]>
> = {
  /** 4 at every token, so that the norms hardly move with the content. */
  constant: 0,
  /** 1 at visual tokens. */
  visual: 1,
  /** 1 at words. */
  text: 2,
  /** Marks the words that name a colour. */
  colourWord: 3,
  /** At words of a question: one hop, or two. */
  oneHop: 4,
  twoHops: 5,
  /** Which half is meant: at visual tokens where they lie, at the words "left" and "right" what they name. */
  side: 6,
  /** The half that the last token is to read, once a head has moved it there. */
  wantedSide: 7,
  /** The colour of a visual token. */
  code: range(8, 3),
  /** The colour that a word of the question names. */
  hint: range(12, 3),
  /** Colour that a head has read, before an expert takes it up or erases it. */
  scratch: range(16, 3),
  /** The colour that the head of the model reads. */
  answer: range(20, 3),
  /** At a word that always has the same successor in a caption: which. */
  next: range(24, 4),
};

/** Axes of the tower's stream. */
export const towerAxis: Readonly<Record<"colour" | "negated" | "balance" | "side", readonly number[]>> = {
  /** The mean colour of a patch. */
  colour: range(0, 3),
  /** Its negative, so that the LayerNorm has a mean of zero to take away. */
  negated: range(3, 3),
  /** +4 and −4, so that the LayerNorm's scale hardly moves with the colour. */
  balance: range(6, 2),
  /** +1 at the left half and −1 at the right half of the image, and its negative. */
  side: range(8, 2),
};

export type PlantedColour = "red" | "green" | "blue" | "yellow" | "cyan" | "purple";

/** Colours as codes: red, green and blue, each on or off. */
export const PLANTED_COLOURS: Readonly<Record<PlantedColour, readonly number[]>> = {
  red: [1, -1, -1],
  green: [-1, 1, -1],
  blue: [-1, -1, 1],
  yellow: [1, 1, -1],
  cyan: [-1, 1, 1],
  purple: [1, -1, 1],
};

export const PLANTED_COLOUR_NAMES: readonly PlantedColour[] = Object.keys(PLANTED_COLOURS) as PlantedColour[];
