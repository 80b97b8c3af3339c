/** Recipes that learn from synthetic tasks alone. */
import type { Random } from "../../../lib/random.js";
import { drawTasks, type SyntheticTask } from "../../../lib/tasks/index.js";
import { conversations, images } from "./conversations.js";
import { trainedTypes, typesAt } from "./curriculum.js";
import { labelWords } from "./labels.js";
import type { Recipe, Source } from "./recipe.js";
import { conversationTexts } from "./texts.js";
import { type TokenizerSpec, wordTokenizer } from "./words.js";

export interface SyntheticOptions {
  readonly specification: TokenizerSpec;
  /** Each with how often it is drawn from, relative to the others. */
  readonly syntheticTasks: readonly (readonly [synthetic: SyntheticTask<unknown>, share: number])[];
  /** Side of the images in pixels. */
  readonly size: number;
  readonly words: readonly string[];
  /** Steps in which the tower learns apart, from the words of what lies where. */
  readonly towerSteps: number;
  readonly steps: number;
  /** Conversations of a step. */
  readonly rows: number;
  readonly rate: number;
  readonly balance?: number;
  /** A stage after all others, in which every type is asked; `shares` are those of the tasks. */
  readonly later?: { readonly steps: number; readonly rate: number; readonly shares: readonly number[] };
}

const LABEL_COEFFICIENT = 0.1;
/** Images of the tower's steps to one conversation of the others': there is no text to read. */
const TOWER_ROWS = 3;

/** Training on images, with some of the same questions about words; measured on each synthetic task apart. */
export function syntheticStages({
  specification,
  syntheticTasks: shares,
  size,
  words,
  towerSteps,
  steps,
  rows,
  rate,
  balance,
  later,
}: SyntheticOptions): Pick<Recipe, "tokenizer" | "stages" | "trials"> {
  const syntheticTasks = shares.map(([synthetic]) => synthetic);
  const asked = (
    random: Random,
    progress: number,
    weights: readonly number[] = shares.map(([, share]) => share),
  ): Source[] =>
    syntheticTasks.flatMap((synthetic, t) => {
      const share = weights[t];
      const types = typesAt(synthetic, progress);
      return [
        { share: 0.85 * share, draw: conversations(synthetic, random, { size, types }) },
        { share: 0.1 * share, draw: conversations(synthetic, random, { size, types, modality: "text" }) },
        { share: 0.05 * share, draw: conversations(synthetic, random, { size, types, modality: "none" }) },
      ];
    });
  return {
    tokenizer: async ({ seed }) =>
      wordTokenizer(specification, [...words, ...conversationTexts(syntheticTasks, seed, "\n")]),
    stages: ({ seed }) => {
      const labels = { words: labelWords(syntheticTasks, size, seed), coefficient: LABEL_COEFFICIENT };
      const whole = { part: "whole", rows, balance, labels } as const;
      return [
        {
          name: "tower",
          part: "tower",
          steps: towerSteps,
          rows: TOWER_ROWS * rows,
          rate,
          labels,
          sources: async (random) =>
            shares.map(([synthetic, share]) => ({ share, draw: images(synthetic, random, size) })),
        },
        {
          ...whole,
          name: "visual",
          steps,
          rate,
          sources: async (random, progress) => asked(random, progress),
        },
        ...(later
          ? [
              {
                ...whole,
                name: "later visual",
                steps: later.steps,
                rate: later.rate,
                sources: async (random: Random) => asked(random, 1, later.shares),
              },
            ]
          : []),
      ];
    },
    trials: async ({ seed }) =>
      syntheticTasks.map((synthetic) => ({
        name: synthetic.name,
        tasks: drawTasks(synthetic, {
          split: "heldout",
          types: trainedTypes(synthetic),
          count: 100 * trainedTypes(synthetic).length,
          size,
          seed,
        }),
      })),
  };
}
