/** Trains an embedded checkpoint: `npm run train -- NAME`. */
import { join } from "node:path";
import { Command } from "commander";
import { trainRecipe } from "./common/driver.js";
import { recipeNamed, recipes } from "./recipes.js";

interface Options {
  readonly out?: string;
  readonly work?: string;
  readonly seed?: number;
  readonly threads: number;
  readonly scale: number;
  readonly every: number;
  readonly easyVqa: string;
}

async function main(name: string, options: Options): Promise<void> {
  const recipe = recipeNamed(name);
  const out = options.out ?? join("data/models", name);
  const work = options.work ?? join("dist/training", name);
  await trainRecipe(recipe, { ...options, seed: options.seed ?? recipe.seed, out, work });
}

await new Command("train")
  .description("Trains an embedded checkpoint through the engine's own gradients; interrupted, it goes on.")
  .argument("<name>", [...recipes.keys()].join(", "))
  .option("--out <folder>", "where the checkpoint goes (default: data/models/NAME)")
  .option("--work <folder>", "where the state between two saves is kept (default: dist/training/NAME)")
  .option("--seed <n>", "of weights and data (default: the recipe's)", Number)
  .option("--threads <n>", "threads of one operation", Number, 2)
  .option("--scale <x>", "share of the recipe's steps", Number, 1)
  .option("--every <seconds>", "between two saves", Number, 120)
  .option("--easy-vqa <folder>", "the folder easy_vqa of the Python package easy-vqa", "easy_vqa")
  .action(main)
  .parseAsync();
