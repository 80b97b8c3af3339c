import { didYouMean, ModalscopeError } from "../../errors.js";
import { animals } from "./animals.js";
import { captions } from "./captions.js";
import { charts } from "./charts.js";
import { documents } from "./documents.js";
import { flags } from "./flags.js";
import { hands } from "./hands.js";
import { planets } from "./planets.js";
import { sceneText } from "./scene-text.js";
import { scenes } from "./scenes.js";
import { sums } from "./sums.js";
import type { SyntheticTask } from "./synthetic-task.js";

export { type AnimalScene, animals, lookAlike } from "./animals.js";
export {
  CAPTION_NOUNS,
  type CaptionOptions,
  type CaptionScene,
  captions,
  captionTask,
  captionTruth,
  type Slip,
  type Thing,
} from "./captions.js";
export type { ChartKind, ChartScene } from "./chart-scene.js";
export { charts } from "./charts.js";
export { documents, documentTask, type WordOptions } from "./documents.js";
export {
  blind,
  DEFAULT_SIZE,
  type DrawOptions,
  drawTasks,
  inWords,
  rasterOf,
  taskStream,
  withImageOf,
} from "./draw.js";
export { type FlagScene, flags } from "./flags.js";
export { type Counted, type CountScene, hands } from "./hands.js";
export type { Layout, PageScene } from "./page-scene.js";
export { type PlanetScene, planets } from "./planets.js";
export { type Carrier, type CarrierKind, type StreetScene, sceneText, sceneTextTask } from "./scene-text.js";
export { type ObjectScene, type SceneObject, scenes } from "./scenes.js";
export { type Operation, type SumScene, sums } from "./sums.js";
export { type Listing, type Question, type SyntheticTask, wordsOf } from "./synthetic-task.js";

/** Every synthetic task, by name. */
export const SYNTHETIC_TASKS: Readonly<Record<string, SyntheticTask<unknown>>> = Object.fromEntries(
  [charts, documents, sceneText, scenes, captions, planets, animals, flags, sums, hands].map((synthetic) => [
    synthetic.name,
    synthetic as SyntheticTask<unknown>,
  ]),
);

/**
 * The synthetic task of a name.
 * @throws ModalscopeError when there is none.
 */
export function syntheticTaskNamed(name: string): SyntheticTask<unknown> {
  const synthetic = SYNTHETIC_TASKS[name];
  if (synthetic === undefined) {
    const names = Object.keys(SYNTHETIC_TASKS);
    throw new ModalscopeError(
      `There are no synthetic tasks called "${name}".`,
      `There are ${names.join(", ")}.`,
      didYouMean(name, names),
    );
  }
  return synthetic;
}

/** Every word of the prompts, passages and answers of some synthetic tasks (all unless given), sorted. */
export function syntheticVocabulary(
  syntheticTasks: readonly SyntheticTask<unknown>[] = Object.values(SYNTHETIC_TASKS),
): string[] {
  return [...new Set(syntheticTasks.flatMap((synthetic) => synthetic.vocabulary))].sort();
}
