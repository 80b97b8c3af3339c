/** Measures an embedded checkpoint on held-out tasks and writes its model card: `node dist/data/train/evaluate.js NAME`. */
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Command } from "commander";
import { loadModel } from "../../lib/model/load.js";
import { progressBar } from "../../lib/plot/index.js";
import { modelCard } from "./common/card.js";
import { evaluate, type TrialResult } from "./common/evaluate.js";
import type { Curves } from "./common/state.js";
import { recipeNamed, recipes } from "./recipes.js";

interface Options {
  readonly out?: string;
  readonly seed: number;
  readonly threads: number;
  readonly most?: number;
  readonly easyVqa: string;
}

async function main(name: string, options: Options): Promise<void> {
  const recipe = recipeNamed(name);
  const folder = options.out ?? join("data/models", name);
  const trials = await recipe.trials(options);
  const model = await loadModel(folder, { threads: options.threads });
  const results: TrialResult[] = [];
  for (const trial of trials) {
    const bar = progressBar(trial.name);
    const tasks = trial.tasks.slice(0, options.most);
    const part =
      tasks.length < trial.tasks.length ? `: the first ${tasks.length} of ${trial.tasks.length}` : "";
    const asked = { ...trial, name: `${trial.name}${part}`, tasks };
    results.push(await evaluate(model, asked, { onProgress: bar }));
    bar.done();
  }
  const findings = (await recipe.findings?.(model, options)) ?? [];
  await model.close();
  const curves = JSON.parse(readFileSync(join(folder, "training.json"), "utf8")) as Curves;
  const card = modelCard(recipe, basename(folder), curves, { trials, results, findings });
  writeFileSync(
    join(folder, "evaluation.json"),
    `${JSON.stringify({ trials: results, findings }, null, 1)}\n`,
  );
  writeFileSync(join(folder, "README.md"), card);
  console.log(card);
}

await new Command("evaluate")
  .description("Measures an embedded checkpoint on held-out tasks and writes its model card.")
  .argument("<name>", [...recipes.keys()].join(", "))
  .option("--out <folder>", "the checkpoint (default: data/models/NAME)")
  .option("--seed <n>", "of the tasks", Number, 7)
  .option("--threads <n>", "threads of one operation", Number, 2)
  .option("--most <n>", "tasks of each trial at most", Number)
  .option("--easy-vqa <folder>", "the folder easy_vqa of the Python package easy-vqa", "easy_vqa")
  .action(main)
  .parseAsync();
