/** Trains the transcoders of an embedded checkpoint: `npm run train:transcoders -- NAME`. */
import { join } from "node:path";
import { Command } from "commander";
import type { LayerQuality } from "../../../lib/circuits/index.js";
import { recipeNamed } from "../recipes.js";
import { writeTranscoderCard } from "./card.js";
import { trainTranscoders } from "./driver.js";
import { transcoderRecipes } from "./sets.js";

interface Options {
  readonly set?: string;
  readonly model?: string;
  readonly out?: string;
  readonly work?: string;
  readonly seed: number;
  readonly threads: number;
  readonly scale: number;
  readonly every: number;
  readonly easyVqa: string;
}

async function main(name: string, options: Options): Promise<void> {
  const recipe = recipeNamed(name);
  const out = options.out ?? join("data/transcoders", name);
  for (const set of transcoderRecipes(options.set)) {
    const folders = {
      out: join(out, set.name),
      work: join(options.work ?? join("dist/training/transcoders", name), set.name),
    };
    const model = options.model ?? join("data/models", name);
    const quality = await trainTranscoders(recipe, set, { ...options, ...folders, model });
    console.log(`${set.name}: ${set.about}\n${qualityTable(quality)}\n`);
  }
  writeTranscoderCard(out, name);
}

/** FVU by layer and kind of token, dead features, active features of a token. */
function qualityTable(quality: readonly LayerQuality[]): string {
  const kinds = Object.keys(quality[0].fvu);
  const head = ["layer", ...kinds.map((kind) => `FVU ${kind}`), "dead", "active"];
  const rows = quality.map(({ layer, fvu, dead, active }) => [
    String(layer),
    ...kinds.map((kind) => fvu[kind].toFixed(3)),
    dead.toFixed(3),
    active.toFixed(1),
  ]);
  return [head, ...rows].map((row) => row.map((cell) => cell.padStart(9)).join(" ")).join("\n");
}

await new Command("train:transcoders")
  .description("Trains transcoders on a checkpoint's own conversations; interrupted, it goes on.")
  .argument("<name>", "an embedded checkpoint")
  .option("--set <name>", "one set: text, text-images or cross-layer (default: all)")
  .option("--model <folder>", "the checkpoint (default: data/models/NAME)")
  .option("--out <folder>", "where the sets go (default: data/transcoders/NAME)")
  .option(
    "--work <folder>",
    "where the state between two saves is kept (default: dist/training/transcoders/NAME)",
  )
  .option("--seed <n>", "of weights and data", Number, 1)
  .option("--threads <n>", "threads of one operation", Number, 2)
  .option("--scale <x>", "share of the steps", Number, 1)
  .option("--every <seconds>", "between two saves", Number, 120)
  .option("--easy-vqa <folder>", "the folder easy_vqa of the Python package easy-vqa", "easy_vqa")
  .action(main)
  .parseAsync();
