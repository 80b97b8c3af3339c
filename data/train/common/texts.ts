/** Where training tasks come from, and the words that they use. */

import { decodeImage } from "../../../lib/model/images/index.js";
import type { Random } from "../../../lib/random.js";
import {
  blind,
  drawTasks,
  type EasyVqaAnnotation,
  inWords,
  loadEasyVqa,
  syntheticVocabulary,
  taskStream,
  type VisualTask,
  type World,
} from "../../../lib/tasks/index.js";
import type { Draw } from "./recipe.js";

/** How a drawn task is shown: with its picture, said in words, or withheld. */
export type Showing = "picture" | "words" | "blind";

/** Training tasks of a synthetic world without end. */
export function synthetic<Scene>(
  world: World<Scene>,
  random: Random,
  { size, showing = "picture", types }: { size: number; showing?: Showing; types?: readonly string[] },
): Draw {
  const next = taskStream(world, random, { split: "train", size, types });
  return () => {
    const task = next();
    return showing === "words" ? inWords(world, task) : showing === "blind" ? blind(task) : task;
  };
}

/** Questions of easy-VQA, their pictures decoded once. */
export async function easyVqa(
  folder: string,
  split: "train" | "test",
): Promise<VisualTask<EasyVqaAnnotation>[]> {
  const tasks = await loadEasyVqa(folder, { split });
  const pictures = new Map<string, VisualTask["images"][number]>();
  for (const path of new Set(tasks.map(({ images }) => images[0] as string)))
    pictures.set(path, await decodeImage(path));
  return tasks.map((task) => ({ ...task, images: [pictures.get(task.images[0] as string)!] }));
}

/** Draws from a list, each as often. */
export function anyOf(tasks: readonly VisualTask[], random: Random, showing: Showing = "picture"): Draw {
  return () => (showing === "blind" ? blind(random.pick(tasks)) : random.pick(tasks));
}

/**
 * Every word of the synthetic worlds after a space, and whole tasks of some of them for the words that begin a text.
 * @param before what stands before an answer
 */
export function syntheticTexts(
  worlds: readonly World<unknown>[],
  seed: number,
  before: " " | "\n",
): string[] {
  const vocabulary = syntheticVocabulary().map((word) => ` ${word}`);
  const tasks = worlds.flatMap((world) =>
    drawTasks(world, { split: "train", count: 40 * Object.keys(world.types).length, seed }).map(
      (task) => [world, task] as const,
    ),
  );
  const written = tasks.flatMap(([world, task]) => [
    `\n${task.prompt}`,
    `${before}${task.answers[0]}`,
    `\n${inWords(world, task).passage} ${task.prompt}`,
  ]);
  return [...vocabulary, ...written];
}
