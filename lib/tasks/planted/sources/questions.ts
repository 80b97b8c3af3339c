import type { Random } from "../../../random.js";
import type { Raster, VisualTask } from "../../visual-task.js";
import { DIMENSIONS, SIZE } from "./axes.js";
import { ANSWERS, valueWord } from "./words.js";

/** Value at which a colour is at full strength. */
export const FULL_SCALE = 8;

type Pair = readonly number[];

/**
 * What a question and its image state, a value for each of two dimensions. Sources are pooled over tokens, which see
 * `image` and `words` alone; the model reads the left half of the image (`image + left`) and the marked words
 * (`words + marked`), so that what it reads holds more, or other things, than the pooled sources tell.
 */
export interface StatedValues {
  readonly image: Pair;
  /** Added in the left half, taken away in the right one. */
  readonly left: Pair;
  /** Added in the upper half, taken away in the lower one. */
  readonly top: Pair;
  readonly words: Pair;
  /** Added in the marked words, taken away in the others. */
  readonly marked: Pair;
}

/** A question with the values that it states and the prediction that it should get. */
export interface PlantedStatement extends StatedValues {
  readonly prediction: Pair;
}

/** Independent standard normal values, one for each dimension. */
export function normals(random: Random): number[] {
  return Array.from({ length: DIMENSIONS }, () => random.normal());
}

/** Signs with even odds, one for each dimension. */
export function signs(random: Random): number[] {
  return Array.from({ length: DIMENSIONS }, () => 2 * random.int(2) - 1);
}

export function combined(a: Pair, b: Pair, factor = 1): number[] {
  return a.map((value, d) => value + factor * b[d]);
}

/** The task that states these values. */
export function statement(id: string, values: StatedValues, prediction: Pair): VisualTask<PlantedStatement> {
  const { words, marked } = values;
  const spoken = [
    ...combined(words, marked).map((value, d) => valueWord("marked", d, value)),
    ...combined(words, marked, -1).map((value, d) => valueWord("other", d, value)),
  ];
  return {
    id: `planted-sources-${id}`,
    dataset: "planted",
    prompt: `${spoken.join(" ")} ?`,
    images: [draw(values)],
    answers: [ANSWERS[0][prediction[0] > 0 ? 0 : 1]],
    type: "planted",
    scoring: "exact",
    annotation: { ...values, prediction },
  };
}

/** Four quarters, each of one colour: red states the first dimension, green the second. */
function draw({ image, left, top }: StatedValues): Raster {
  const data = new Uint8Array(SIZE * SIZE * 3).fill(128);
  for (let i = 0; i < SIZE * SIZE; i++) {
    const x = i % SIZE < SIZE / 2 ? 1 : -1;
    const y = i < (SIZE * SIZE) / 2 ? 1 : -1;
    for (let d = 0; d < DIMENSIONS; d++) {
      const value = image[d] + x * left[d] + y * top[d];
      data[3 * i + d] = Math.max(0, Math.min(255, Math.round(127.5 * (1 + value / FULL_SCALE))));
    }
  }
  return { width: SIZE, height: SIZE, data };
}
