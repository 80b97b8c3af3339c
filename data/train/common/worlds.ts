/** Recipes that learn from synthetic worlds alone. */
import type { Random } from "../../../lib/random.js";
import { drawTasks, taskStream, type VisualTask, type World } from "../../../lib/tasks/index.js";
import type { Draw, Recipe, Source, Stage } from "./recipe.js";
import { DESCRIBE, describing, synthetic, syntheticTexts } from "./texts.js";

export interface WorldsOptions {
  /** Each with how often it is drawn from, relative to the others. */
  readonly worlds: readonly (readonly [world: World<unknown>, share: number])[];
  /** Side of the pictures in pixels. */
  readonly size: number;
  readonly words: readonly string[];
  /** Steps in which the tower learns apart, by saying what pictures show. */
  readonly towerSteps?: number;
  /** Steps in which the whole learns with its first blocks only. */
  readonly shallowSteps?: number;
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
  shallowSteps,
  steps,
  rows,
  rate,
  balance,
}: WorldsOptions): Pick<Recipe, "texts" | "stages" | "trials"> {
  const worlds = shares.map(([world]) => world);
  const talking = (random: Random): Source[] =>
    shares.flatMap(([world, share]) => [
      { share: 0.85 * share, draw: talks(world, random, size) },
      { share: 0.1 * share, draw: synthetic(world, random, { size, showing: "words" }) },
      { share: 0.05 * share, draw: synthetic(world, random, { size, showing: "blind" }) },
    ]);
  const describe = (random: Random): Source[] =>
    shares.map(([world, share]) => ({ share, draw: describing(world, random, size) }));
  const early = (part: Stage["part"], steps: number, sources: (r: Random) => Source[]): Stage => ({
    name: part,
    part,
    steps,
    rows: 2 * rows,
    rate,
    balance,
    sources: async (random) => sources(random),
  });
  return {
    texts: async ({ seed }) => [...words, `\n${DESCRIBE}`, ...syntheticTexts(worlds, seed, "\n")],
    stages: () => [
      ...(towerSteps ? [early("tower", towerSteps, describe)] : []),
      ...(shallowSteps ? [early("shallow", shallowSteps, (r) => [...describe(r), ...talking(r)])] : []),
      {
        name: "visual",
        part: "whole",
        steps,
        rows,
        rate,
        balance,
        sources: async (random) => talking(random),
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
