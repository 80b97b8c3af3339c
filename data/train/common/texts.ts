/** The words that a tokenizer must know. */
import { seeded } from "../../../lib/random.js";
import { drawTasks, inWords, syntheticVocabulary, type World } from "../../../lib/tasks/index.js";
import { DESCRIBE, LIST, PRESENCE } from "./talks.js";

/**
 * The words of conversations: every one of the synthetic worlds after a space, and whole tasks of some of them for the
 * words that begin a text.
 * @param before what stands before an answer
 */
export function talkTexts(worlds: readonly World<unknown>[], seed: number, before: " " | "\n"): string[] {
  const frame = [`\n${DESCRIBE}`, `\n${PRESENCE}`, `${before}${LIST}`];
  const vocabulary = syntheticVocabulary().map((word) => ` ${word}`);
  const tasks = worlds.flatMap((world) =>
    drawTasks(world, { split: "train", count: 40 * Object.keys(world.types).length, seed }).map(
      (task) => [world, task] as const,
    ),
  );
  const written = tasks.flatMap(([world, task]) => [
    `\n${task.prompt}`,
    `${before}${task.answers[0]}`,
    `\n${inWords(world, task).textDescription} ${task.prompt}`,
    ...(world.listings?.(task.annotation, seeded(seed)) ?? []).map(({ prompt }) => `\n${prompt}`),
  ]);
  return [...frame, ...vocabulary, ...written];
}
