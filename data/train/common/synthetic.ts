/** Recipes that learn from synthetic tasks alone. */
import type { Random } from "../../../lib/random.js";
import { drawTasks, type SyntheticTask } from "../../../lib/tasks/index.js";
import { captioning, conversations } from "./conversations.js";
import type { Recipe, Source, Stage } from "./recipe.js";
import { conversationTexts } from "./texts.js";
import { type TokenizerSpec, wordTokenizer } from "./words.js";

export interface SyntheticOptions {
  readonly specification: TokenizerSpec;
  /** Each with how often it is drawn from, relative to the others. */
  readonly syntheticTasks: readonly (readonly [synthetic: SyntheticTask<unknown>, share: number])[];
  /** Side of the images in pixels. */
  readonly size: number;
  readonly words: readonly string[];
  /** Steps in which the tower learns apart, by saying what images show. */
  readonly towerSteps: number;
  readonly steps: number;
  /** What is learnt last: some steps in which most images are of this task, at half the rate. */
  readonly last?: { readonly synthetic: string; readonly steps: number };
  /** Conversations of a step. */
  readonly rows: number;
  readonly rate: number;
  readonly balance?: number;
}

/** Training on images, with some of the same questions about words; measured on each synthetic task apart. */
export function syntheticStages({
  specification,
  syntheticTasks: shares,
  size,
  words,
  towerSteps,
  steps,
  last,
  rows,
  rate,
  balance,
}: SyntheticOptions): Pick<Recipe, "tokenizer" | "stages" | "trials"> {
  const syntheticTasks = shares.map(([synthetic]) => synthetic);
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  const talking = (random: Random, most?: string): Source[] =>
    shares.flatMap(([synthetic, usual]) => {
      const share = synthetic.name === most ? total : usual;
      return [
        { share: 0.85 * share, draw: conversations(synthetic, random, { size }) },
        { share: 0.1 * share, draw: conversations(synthetic, random, { size, modality: "text" }) },
        { share: 0.05 * share, draw: conversations(synthetic, random, { size, modality: "none" }) },
      ];
    });
  const describe = (random: Random): Source[] =>
    shares.map(([synthetic, share]) => ({ share, draw: captioning(synthetic, random, size) }));
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
    tokenizer: async ({ seed }) =>
      wordTokenizer(specification, [...words, ...conversationTexts(syntheticTasks, seed, "\n")]),
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
      ...(last ? [visual(last.synthetic, last.steps, rate / 2, last.synthetic)] : []),
    ],
    trials: async ({ seed }) =>
      syntheticTasks.map((synthetic) => ({
        name: synthetic.name,
        tasks: drawTasks(synthetic, {
          split: "heldout",
          types: Object.keys(synthetic.types).filter((type) => !synthetic.heldOutTypes?.includes(type)),
          count: 100 * Object.keys(synthetic.types).length,
          size,
          seed,
        }),
      })),
  };
}
