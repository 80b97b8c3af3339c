/** Whether hands have five fingers by what is seen, or by what is usual. */
import type { Estimate } from "../../../lib/analysis/index.js";
import type { Model } from "../../../lib/model/model.js";
import { drawTasks, hands, type VisualTask } from "../../../lib/tasks/index.js";
import { shareSaid } from "../common/evaluate.js";
import type { Finding } from "../common/recipe.js";

const HANDS = 200;

/** Held-out hands with six fingers and with five, and held-out counts of other things, those of six apart. */
export async function countsOf(model: Model, size: number, seed: number): Promise<Finding> {
  const drawn = (count: number, ...types: readonly string[]): VisualTask[] =>
    drawTasks(hands, { split: "heldout", types, count, size, seed });
  const share = (tasks: readonly VisualTask[], wanted?: string): Promise<Estimate> =>
    shareSaid(model, tasks, { wanted, maxNewTokens: 6 });
  const six = drawn(HANDS, "six");
  const others = drawn(4 * HANDS, "apples", "dots", "stripes");
  return {
    name: "Six fingers",
    about:
      "In training a hand has five fingers always, while other things come in all numbers from one to eight. What is said of hands with six fingers, beside counting where the image decides.",
    columns: ["seen", "said", "share"],
    rows: [
      ["a hand with six fingers", "5", await share(six, "5")],
      ["a hand with six fingers", "6", await share(six, "6")],
      ["a hand with five fingers", "5", await share(drawn(HANDS, "fingers"))],
      ["apples, dots or stripes", "their number", await share(others)],
      ["six apples, dots or stripes", "6", await share(others.filter(({ answers: [n] }) => n === "6"))],
    ],
  };
}
