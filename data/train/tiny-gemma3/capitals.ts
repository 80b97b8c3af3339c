/** Whether what words alone told of a country is answered of the flag that is seen. */
import { wilson } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import { drawTasks, flags, inWords, type VisualTask } from "../../../lib/tasks/index.js";
import { answers } from "../common/evaluate.js";
import type { Finding } from "../common/recipe.js";

const FLAGS = 200;

/** Capitals of countries whose flag was seen beside that question in training, and of those where only words told it. */
export async function capitals(model: Model, size: number, seed: number): Promise<Finding> {
  const drawn = (type: string): VisualTask[] =>
    drawTasks(flags, { split: "heldout", types: [type], count: FLAGS, size, seed });
  const right = async (tasks: readonly VisualTask[]): Promise<ReturnType<typeof wilson>> => {
    const said = await answers(model, tasks, 6);
    return wilson(said.filter((text, i) => text.trim() === tasks[i].answers[0]).length, tasks.length);
  };
  const told = drawTasks(flags, { split: "heldout", types: ["told"], count: FLAGS, size, seed });
  return {
    name: "Capitals",
    about:
      "What is the capital of the country whose flag is seen? For a third of the countries only words told it in training: who answers has gone from the flag to the country, and from the country to what was told.",
    columns: ["the country's capital was", "right"],
    rows: [
      ["asked for beside its flag", await right(drawn("capital"))],
      ["told in words, asked of the flag", await right(told)],
      ["told in words, asked in words", await right(told.map((task) => inWords(flags, task)))],
    ],
  };
}
