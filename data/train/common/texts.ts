/** The words that a tokenizer must know. */
import { seeded } from "../../../lib/random.js";
import { drawTasks, inWords, type SyntheticTask, syntheticVocabulary } from "../../../lib/tasks/index.js";
import { DESCRIBE, LIST, PRESENCE } from "./conversations.js";

/**
 * The words of conversations: every one of the synthetic tasks after a space, and whole tasks of some of them for the
 * words that begin a text.
 * @param before what stands before an answer
 */
export function conversationTexts(
  syntheticTasks: readonly SyntheticTask<unknown>[],
  seed: number,
  before: " " | "\n",
): string[] {
  const frame = [`\n${DESCRIBE}`, `\n${PRESENCE}`, `${before}${LIST}`];
  const vocabulary = syntheticVocabulary().map((word) => ` ${word}`);
  const tasks = syntheticTasks.flatMap((synthetic) =>
    drawTasks(synthetic, { split: "train", count: 40 * Object.keys(synthetic.types).length, seed }).map(
      (task) => [synthetic, task] as const,
    ),
  );
  const written = tasks.flatMap(([synthetic, task]) => [
    `\n${task.prompt}`,
    `${before}${task.answers[0]}`,
    `\n${inWords(synthetic, task).textDescription} ${task.prompt}`,
    ...(synthetic.listings?.(task.annotation, seeded(seed)) ?? []).map(({ prompt }) => `\n${prompt}`),
  ]);
  return [...frame, ...vocabulary, ...written];
}
