/** Recipes that learn from synthetic worlds alone. */
import type { Random } from "../../../lib/random.js";
import { drawTasks, type World } from "../../../lib/tasks/index.js";
import type { Recipe, Source, Stage } from "./recipe.js";
import { describing, talks } from "./talks.js";
import { talkTexts } from "./texts.js";
import { type TokenFrame, wordTokenizer } from "./words.js";

export interface WorldsOptions {
  readonly specification: TokenFrame;
  /** Each with how often it is drawn from, relative to the others. */
  readonly worlds: readonly (readonly [world: World<unknown>, share: number])[];
  /** Side of the pictures in pixels. */
  readonly size: number;
  readonly words: readonly string[];
  /** Steps in which the tower learns apart, by saying what pictures show. */
  readonly towerSteps: number;
  readonly steps: number;
  /** What is learnt last: some steps in which most pictures are of this world, at half the rate. */
  readonly last?: { readonly world: string; readonly steps: number };
  /** Conversations of a step. */
  readonly rows: number;
  readonly rate: number;
  readonly balance?: number;
}

/** Training on pictures, with some of the same questions about words; measured on each world apart. */
export function fromWorlds({
  specification,
  worlds: shares,
  size,
  words,
  towerSteps,
  steps,
  last,
  rows,
  rate,
  balance,
}: WorldsOptions): Pick<Recipe, "tokenizer" | "stages" | "trials"> {
  const worlds = shares.map(([world]) => world);
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  const talking = (random: Random, most?: string): Source[] =>
    shares.flatMap(([world, usual]) => {
      const share = world.name === most ? total : usual;
      return [
        { share: 0.85 * share, draw: talks(world, random, { size }) },
        { share: 0.1 * share, draw: talks(world, random, { size, showing: "words" }) },
        { share: 0.05 * share, draw: talks(world, random, { size, showing: "blind" }) },
      ];
    });
  const describe = (random: Random): Source[] =>
    shares.map(([world, share]) => ({ share, draw: describing(world, random, size) }));
  const visual = (name: string, steps: number, rate: number, most?: string): Stage => ({
    name,
    part: "whole",
    steps,
    rows,
    rate,
    balance,
    sources: async (random) => talking(random, most),
  });
  return {
    tokenizer: async ({ seed }) => wordTokenizer(specification, [...words, ...talkTexts(worlds, seed, "\n")]),
    stages: () => [
      {
        name: "tower",
        part: "tower",
        steps: towerSteps,
        rows: 2 * rows,
        rate,
        balance,
        sources: async (random) => describe(random),
      },
      visual("visual", steps, rate),
      ...(last ? [visual(last.world, last.steps, rate / 2, last.world)] : []),
    ],
    trials: async ({ seed }) =>
      worlds.map((world) => ({
        name: world.name,
        tasks: drawTasks(world, {
          split: "heldout",
          types: Object.keys(world.types).filter((type) => !world.heldOutTypes?.includes(type)),
          count: 100 * Object.keys(world.types).length,
          size,
          seed,
        }),
      })),
  };
}
