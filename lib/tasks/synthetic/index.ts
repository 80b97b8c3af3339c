import { didYouMean, ModalscopeError } from "../../errors.js";
import { animals } from "./animals.js";
import { captions } from "./captions.js";
import { charts } from "./charts.js";
import { documents } from "./documents.js";
import { hands } from "./hands.js";
import { planets } from "./planets.js";
import { sceneText } from "./scene-text.js";
import { scenes } from "./scenes.js";
import { sums } from "./sums.js";
import type { World } from "./world.js";

export { type AnimalScene, animals, lookAlike } from "./animals.js";
export {
  CAPTION_NOUNS,
  type CaptionOptions,
  type CaptionScene,
  captions,
  captionTruth,
  captionWorld,
  type Slip,
  type Thing,
} from "./captions.js";
export { type ChartKind, type ChartScene, charts } from "./charts.js";
export { documents, documentWorld, type Layout, type PageScene, type WordOptions } from "./documents.js";
export {
  blind,
  DEFAULT_SIZE,
  type DrawOptions,
  drawTasks,
  inWords,
  rasterOf,
  taskStream,
  withPictureOf,
} from "./draw.js";
export { type Counted, type CountScene, hands } from "./hands.js";
export { type PlanetScene, planets } from "./planets.js";
export { type Carrier, type CarrierKind, type StreetScene, sceneText, sceneTextWorld } from "./scene-text.js";
export { type ObjectScene, type SceneObject, scenes } from "./scenes.js";
export { type Operation, type SumScene, sums } from "./sums.js";
export { type Listing, type Question, type World, wordsOf } from "./world.js";

/** Every synthetic world, by name. */
export const WORLDS: Readonly<Record<string, World<unknown>>> = Object.fromEntries(
  [charts, documents, sceneText, scenes, captions, planets, animals, sums, hands].map((world) => [
    world.name,
    world as World<unknown>,
  ]),
);

/**
 * The world of a name.
 * @throws ModalscopeError when there is none.
 */
export function worldNamed(name: string): World<unknown> {
  const world = WORLDS[name];
  if (world === undefined) {
    const names = Object.keys(WORLDS);
    throw new ModalscopeError(
      `There are no synthetic tasks called "${name}".`,
      `There are ${names.join(", ")}.`,
      didYouMean(name, names),
    );
  }
  return world;
}

/** Every word of the prompts, passages and answers of some worlds (all unless given), sorted. */
export function syntheticVocabulary(worlds: readonly World<unknown>[] = Object.values(WORLDS)): string[] {
  return [...new Set(worlds.flatMap((world) => world.vocabulary))].sort();
}
