/** Recipes that learn from synthetic worlds alone. */
import type { Random } from "../../../lib/random.js";
import { drawTasks, taskStream, type VisualTask, type World } from "../../../lib/tasks/index.js";
import type { Draw, Recipe, Stage } from "./recipe.js";
import { DESCRIBE, describing, synthetic, syntheticTexts } from "./texts.js";

export interface WorldsOptions {
  /** Each with how often it is drawn from, relative to the others. */
  readonly worlds: readonly (readonly [world: World<unknown>, share: number])[];
  /** Side of the pictures in pixels. */
  readonly size: number;
  readonly words: readonly string[];
  /** Steps in which the tower learns apart, by saying what pictures show. */
  readonly towerSteps?: number;
  readonly steps: number;
  /** Conversations of a step. */
  readonly rows: number;
  readonly rate: number;
  readonly balance?: number;
}

/** Questions about one picture, besides its description. */
const TURNS = 4;

/** Training on pictures, with some of the same questions about words; measured on each world apart. */
export function fromWorlds({
  worlds: shares,
  size,
  words,
  towerSteps,
  steps,
  rows,
  rate,
  balance,
}: WorldsOptions): Pick<Recipe, "texts" | "stages" | "trials"> {
  const worlds = shares.map(([world]) => world);
  return {
    texts: async ({ seed }) => [...words, `\n${DESCRIBE}`, ...syntheticTexts(worlds, seed, "\n")],
    stages: () => [
      ...(towerSteps ? [towerStage(shares, size, towerSteps, rate)] : []),
      {
        name: "visual",
        part: "whole",
        steps,
        rows,
        rate,
        balance,
        sources: async (random) =>
          shares.flatMap(([world, share]) => [
            { share: 0.85 * share, draw: talks(world, random, size) },
            { share: 0.1 * share, draw: synthetic(world, random, { size, showing: "words" }) },
            { share: 0.05 * share, draw: synthetic(world, random, { size, showing: "blind" }) },
          ]),
      },
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

function towerStage(shares: WorldsOptions["worlds"], size: number, steps: number, rate: number): Stage {
  return {
    name: "tower",
    part: "tower",
    steps,
    rows: 32,
    rate,
    sources: async (random) =>
      shares.map(([world, share]) => ({ share, draw: describing(world, random, size) })),
  };
}

/** Conversations about one picture: questions of different types, then what it shows, from which all answers follow. */
function talks<Scene>(world: World<Scene>, random: Random, size: number): Draw {
  const next = taskStream(world, random, { split: "train", size });
  return () => {
    const task = next();
    const { annotation: scene, type } = task;
    const others = (world.askable?.(scene) ?? []).filter((other) => other !== type);
    const further = random.shuffle(others).slice(0, TURNS - 1);
    const turns = further.map((other): VisualTask<Scene> => {
      const { prompt, answer } = world.question(scene, other, random, "train");
      return { ...task, type: other, prompt, answers: [answer] };
    });
    return [task, ...turns, { ...task, prompt: DESCRIBE, answers: [world.passage(scene)] }];
  };
}
