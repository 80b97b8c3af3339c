/** The images that are described, and the questions of which each is asked of several images. */

import { checkOptions, integer, type OptionChecks, required, text } from "../../options.js";
import { seeded } from "../../random.js";
import { localCopy } from "../../storage/index.js";
import { COUNT } from "../../study-options.js";
import { captions, drawTasks, loadAmber, loadAmberWords, type VisualTask } from "../../tasks/index.js";
import { type CaptionTask, sceneTruth } from "./mentions.js";

export interface CaptionSource {
  /** A folder of AMBER; held-out synthetic images with a known truth where it is empty. */
  readonly data?: string;
  /** Images of each data seed. */
  readonly count: number;
  /** Side of the synthetic images, in pixels. Default 48. */
  readonly size?: number;
  /** Prompt that is asked of every image. */
  readonly prompt: string;
}

const GROUP_SOURCE: OptionChecks<Pick<CaptionSource, "data" | "count" | "size">> = {
  data: text,
  count: COUNT,
  size: integer(1),
};
const CAPTION_SOURCE: OptionChecks<CaptionSource> = {
  ...GROUP_SOURCE,
  prompt: required(text, "a string"),
};

/** Images to describe with what is true of them, other ones for each data seed. */
export async function captionTasks(options: CaptionSource): Promise<(seed: number) => CaptionTask[]> {
  checkOptions("captionTasks", options, CAPTION_SOURCE);
  const { data, count, size = 48, prompt } = options;
  if (!data)
    return (seed) =>
      drawTasks(captions, { split: "heldout", types: ["detail"], count, size, seed }).map((task) => ({
        ...task,
        prompt,
        truth: sceneTruth(task.annotation),
      }));
  const folder = await localCopy(data);
  const all = await loadAmber(folder);
  const words = loadAmberWords(folder);
  return (seed) =>
    seeded(seed)
      .shuffle(all)
      .slice(0, count)
      .map((task) => ({ ...task, prompt, truth: { objects: task.annotation, words, things: [] } }));
}

/** The synthetic images' single-word questions, those with the most images first; of AMBER the given ones, of all images. */
export function questionGroups(
  options: Pick<CaptionSource, "data" | "count" | "size">,
  images: (seed: number) => readonly VisualTask[],
  questions: readonly string[],
): (seed: number) => VisualTask[][] {
  checkOptions("questionGroups", options, GROUP_SOURCE);
  const { data, count, size = 48 } = options;
  if (data)
    return (seed) =>
      questions.map((question) =>
        images(seed)
          .slice(0, count)
          .map((task) => ({
            ...task,
            prompt: `${question} answer the question using a single word or phrase.`,
          })),
      );
  return (seed) => {
    const drawn = drawTasks(captions, {
      split: "heldout",
      types: ["place", "color"],
      count: 12 * count,
      size,
      seed,
    });
    const groups = new Map<string, VisualTask[]>();
    for (const task of drawn) groups.set(task.prompt, [...(groups.get(task.prompt) ?? []), task]);
    return [...groups.values()]
      .sort((a, b) => b.length - a.length)
      .slice(0, questions.length)
      .map((tasks) => tasks.slice(0, count));
  };
}
