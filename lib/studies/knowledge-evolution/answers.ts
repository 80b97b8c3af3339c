/** Answers to one question about several images, with the states that they are given from. */
import { joinTokens, statesOfSteps } from "../../analysis/index.js";
import type { Model } from "../../model/index.js";
import type { TaskOptions } from "../../progress.js";
import { asMessage, type VisualTask } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import { stateHooks } from "./captions.js";
import type { AnswerGroup } from "./data.js";

/** Most tokens of an answer of a single word. */
const LONGEST = 6;

export interface AnswerOptions extends Pick<TaskOptions, "signal"> {
  /** Images asked about at once. */
  readonly rowsPerCall: number;
  /** Answers that stand already, by question: the states alone are read. */
  readonly known?: readonly AnswerGroup[];
}

/** Asks each group's question of its images; the states are those of the position that gives the answer. */
export async function answered(
  model: Model,
  questions: readonly (readonly VisualTask[])[],
  { rowsPerCall, known, signal }: AnswerOptions,
): Promise<AnswerGroup[]> {
  const hooks = stateHooks(model).slice(1);
  const capture = hooks.map((hook) => ({ hook, positions: "last" as const }));
  const maxNewTokens = known ? 1 : LONGEST;
  const groups: AnswerGroup[] = [];
  for (const [q, asks] of questions.entries()) {
    const answers: string[] = [];
    const states: Tensor[] = [];
    for (let start = 0; start < asks.length; start += rowsPerCall) {
      const prompts = asks.slice(start, start + rowsPerCall).map((task) => [asMessage(task)]);
      const rows = await model.generate(prompts, { maxNewTokens, capture, signal });
      rows.forEach(({ text, steps }, row) => {
        answers.push(text.trim().toLowerCase());
        states.push(statesOfSteps(steps.slice(0, 1), hooks, { row }));
      });
    }
    groups.push({
      question: asks[0].prompt,
      answers: known ? known[q].answers : answers,
      states: joinTokens(states),
    });
  }
  return groups;
}
