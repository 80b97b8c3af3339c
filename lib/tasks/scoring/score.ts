import { ModalscopeError } from "../../errors.js";
import type { VisualTask } from "../visual-task.js";
import { anls } from "./anls.js";
import { relaxedMatch } from "./relaxed.js";
import { vqaAccuracy } from "./vqa.js";

/**
 * True when an answer is one of the accepted ones but for case, outer space and a final point. GQA compares its one answer
 * so (`eval.py` of https://gqadataset.org, on answers in lower case).
 */
export function exactMatch(prediction: string, answers: readonly string[]): boolean {
  const plain = (text: string) => text.trim().toLowerCase().replace(/\.$/, "").trimEnd();
  return answers.some((answer) => plain(answer) === plain(prediction));
}

/**
 * The score of an answer by its data set's own rule, from 0 to 1.
 * @throws ModalscopeError for a description, which has four scores over many of them, and for a task without answers.
 */
export function scoreAnswer(task: VisualTask, prediction: string): number {
  if (task.answers.length === 0) {
    throw new ModalscopeError(
      `Task "${task.id}" of "${task.dataset}" has no accepted answer.`,
      "Publishers keep those of their test splits back.",
      "Take a split that has them, most often the validation split.",
    );
  }
  switch (task.scoring) {
    case "exact":
      return exactMatch(prediction, task.answers) ? 1 : 0;
    case "relaxed":
      return task.answers.some((answer) => relaxedMatch(prediction, answer)) ? 1 : 0;
    case "anls":
      return anls(prediction, task.answers);
    case "vqa":
      return vqaAccuracy(prediction, task.answers);
    case "amber":
      throw new ModalscopeError(
        `Task "${task.id}" asks for a description.`,
        "Descriptions have four scores, each over many of them.",
        "Use amberScores.",
      );
  }
}
