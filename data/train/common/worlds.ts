/** Recipes that learn from synthetic worlds alone. */
import { drawTasks, worldNamed } from "../../../lib/tasks/index.js";
import type { Recipe } from "./recipe.js";
import { synthetic, syntheticTexts } from "./texts.js";

export interface WorldsOptions {
  readonly worlds: readonly string[];
  /** Side of the pictures in pixels. */
  readonly size: number;
  readonly words: readonly string[];
  readonly steps: number;
  readonly rate: number;
  readonly balance?: number;
}

/** Training on pictures, with some of the same questions about words; measured on each world apart. */
export function fromWorlds({
  worlds,
  size,
  words,
  steps,
  rate,
  balance,
}: WorldsOptions): Pick<Recipe, "texts" | "stages" | "trials"> {
  const all = worlds.map(worldNamed);
  return {
    texts: async ({ seed }) => [...words, ...syntheticTexts(all, seed, "\n")],
    stages: () => [
      {
        name: "visual",
        part: "whole",
        steps,
        rows: 48,
        rate,
        balance,
        sources: async (random) =>
          all.flatMap((world) => [
            { share: 0.85, draw: synthetic(world, random, { size }) },
            { share: 0.1, draw: synthetic(world, random, { size, showing: "words" }) },
            { share: 0.05, draw: synthetic(world, random, { size, showing: "blind" }) },
          ]),
      },
    ],
    trials: async ({ seed }) =>
      all.map((world) => ({
        name: world.name,
        tasks: drawTasks(world, {
          split: "heldout",
          count: 100 * Object.keys(world.types).length,
          size,
          seed,
        }),
      })),
  };
}
