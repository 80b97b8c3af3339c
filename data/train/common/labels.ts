/** Words that are true of what visual tokens show, by the annotations of drawn images. */
import type { Batch, BatchImage } from "../../../lib/model/batch/index.js";
import type { TrainingBatch } from "../../../lib/model/training/index.js";
import {
  type BoxAnnotation,
  drawTasks,
  type Raster,
  rasterOf,
  type SyntheticTask,
} from "../../../lib/tasks/index.js";
import type { Conversation, Labels } from "./recipe.js";

/** Images of each type of question in which words are looked for. */
const LOOKED_AT = 60;

/** All words of the annotations of some tasks' images, sorted. */
export function labelWords(
  syntheticTasks: readonly SyntheticTask<unknown>[],
  size: number,
  seed: number,
): string[] {
  const drawn = syntheticTasks.flatMap((synthetic) =>
    drawTasks(synthetic, {
      split: "train",
      count: LOOKED_AT * Object.keys(synthetic.types).length,
      size,
      seed,
    }),
  );
  const annotations = drawn.flatMap((task) => rasterOf(task).annotations ?? []);
  return [...new Set(annotations.flatMap(({ words }) => words))].sort();
}

/** By image, by its visual token: numbers of the words that are true there; nothing for an image without annotations. */
export function visualLabels(
  rows: readonly Conversation[],
  { images = [] }: Batch,
  { words }: Labels,
): NonNullable<TrainingBatch["labels"]> {
  const numbers = new Map(words.map((word, i) => [word, i]));
  return images.map(({ row, image }) => {
    const { annotations } = rows[row][0].images[0] as Raster;
    return (
      annotations &&
      image.tokens.map(({ box }) => {
        const found = box ? annotations.filter((annotation) => shows(box, annotation)) : [];
        const named = found.flatMap((annotation) => annotation.words.map((word) => numbers.get(word)));
        return [...new Set(named.filter((number) => number !== undefined))];
      })
    );
  });
}

type Box = NonNullable<BatchImage["image"]["tokens"][number]["box"]>;

/** Whether a token's box holds enough of an annotated part to tell what it is: a quarter of either. */
function shows([x0, y0, x1, y1]: Box, { left, top, right, bottom }: BoxAnnotation): boolean {
  const width = Math.min(x1, right) - Math.max(x0, left);
  const height = Math.min(y1, bottom) - Math.max(y0, top);
  if (width <= 0 || height <= 0) return false;
  return width * height >= Math.min((right - left) * (bottom - top), (x1 - x0) * (y1 - y0)) / 4;
}
