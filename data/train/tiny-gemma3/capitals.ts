/** Whether what words alone told of a country is answered of the flag that is seen. */
import type { Estimate } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import { drawTasks, type FlagScene, flags, inWords, type VisualTask } from "../../../lib/tasks/index.js";
import { shareSaid } from "../common/evaluate.js";
import type { Finding } from "../common/recipe.js";

const FLAGS = 200;

/** Capitals of countries whose flag was seen beside that question in training, and of those where only words told it. */
export async function capitals(model: Model, size: number, seed: number): Promise<Finding> {
  const drawn = (type: string): VisualTask<FlagScene>[] =>
    drawTasks(flags, { split: "heldout", types: [type], count: FLAGS, size, seed });
  const right = (tasks: readonly VisualTask[]): Promise<Estimate> =>
    shareSaid(model, tasks, { maxNewTokens: 6 });
  const told = drawn("told");
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
