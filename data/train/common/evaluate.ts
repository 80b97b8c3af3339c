/** Measures a checkpoint on its trials: with the image, blind, and against the most frequent answer. */
import { type Estimate, wilson } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import type { TaskOptions } from "../../../lib/progress.js";
import {
  type AmberScores,
  amberScores,
  asMessage,
  blind,
  CAPTION_NOUNS,
  type CaptionScene,
  captionTruth,
  scoreAnswer,
  type VisualTask,
} from "../../../lib/tasks/index.js";
import type { Trial } from "./recipe.js";

/** Accuracy on the questions of one kind. */
export interface Accuracy {
  readonly type: string;
  readonly seen: Estimate;
  /** The same questions without their images. */
  readonly blind: Estimate;
  /** Of always giving the answer that is most frequent among these questions. */
  readonly commonest: number;
}

export interface TrialResult {
  readonly name: string;
  /** By type, the last one of all together; none where only descriptions are asked for. */
  readonly accuracy: readonly Accuracy[];
  /** Of descriptions: AMBER's scores, and the share with something that is not there, with its interval. */
  readonly descriptions?: AmberScores & { readonly hallucinating: Estimate };
}

const ROWS = 48;

/** Answers that are cut at the end token, in the tasks' order. */
export async function answers(
  model: Model,
  tasks: readonly VisualTask[],
  maxNewTokens: number,
  report?: TaskOptions["onProgress"],
): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < tasks.length; i += ROWS) {
    const prompts = tasks.slice(i, i + ROWS).map((task) => [asMessage(task)]);
    const replies = await model.generate(prompts, { maxNewTokens });
    found.push(...replies.map(({ text }) => text));
    report?.(Math.min(i + ROWS, tasks.length), tasks.length, "answers");
  }
  return found;
}

/** Share of tasks that are answered with their own answer, or with one that is asked for instead. */
export async function shareSaid(
  model: Model,
  tasks: readonly VisualTask[],
  { wanted, maxNewTokens }: { readonly wanted?: string; readonly maxNewTokens: number },
): Promise<Estimate> {
  const said = await answers(model, tasks, maxNewTokens);
  return wilson(
    said.filter((text, i) => text.trim() === (wanted ?? tasks[i].answers[0])).length,
    tasks.length,
  );
}

export async function evaluate(
  model: Model,
  trial: Trial,
  { onProgress }: TaskOptions = {},
): Promise<TrialResult> {
  const questions = trial.tasks.filter(({ scoring }) => scoring !== "amber");
  const described = trial.tasks.filter(({ scoring }) => scoring === "amber");
  const seen = await answers(model, questions, 6, onProgress);
  const unseen = await answers(model, questions.map(blind), 6, onProgress);
  const types = [...new Set(questions.map(({ type }) => type))];
  const rows = types.map((type) => accuracyOf(questions, seen, unseen, type));
  const accuracy = rows.length > 1 ? [...rows, accuracyOf(questions, seen, unseen)] : rows;
  if (described.length === 0) return { name: trial.name, accuracy };
  const texts = await answers(model, described, 70, onProgress);
  return { name: trial.name, accuracy, descriptions: describe(described, texts) };
}

function accuracyOf(
  tasks: readonly VisualTask[],
  seen: readonly string[],
  unseen: readonly string[],
  type?: string,
): Accuracy {
  const own = tasks.map((_, i) => i).filter((i) => type === undefined || tasks[i].type === type);
  const right = (given: readonly string[]): Estimate =>
    wilson(own.filter((i) => scoreAnswer(tasks[i], given[i]) === 1).length, own.length);
  const counts = new Map<string, number>();
  for (const i of own) counts.set(tasks[i].answers[0], (counts.get(tasks[i].answers[0]) ?? 0) + 1);
  const commonest = Math.max(...counts.values()) / own.length;
  return { type: type ?? "all", seen: right(seen), blind: right(unseen), commonest };
}

function describe(
  tasks: readonly VisualTask[],
  texts: readonly string[],
): AmberScores & { hallucinating: Estimate } {
  const described = tasks.map(({ annotation }, i) => ({
    text: texts[i],
    annotation: captionTruth(annotation as CaptionScene),
  }));
  const scores = amberScores(described, { association: CAPTION_NOUNS });
  return { ...scores, hallucinating: wilson(Math.round(scores.hal * scores.count), scores.count) };
}
