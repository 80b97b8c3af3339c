import { didYouMean, ModalscopeError } from "../../errors.js";
import { type Random, seeded } from "../../random.js";
import { fnv1a, type Split, splitOf } from "../split.js";
import type { Raster, VisualTask } from "../visual-task.js";
import type { World } from "./world.js";

export interface DrawOptions {
  /** Train and held-out images never meet, whatever the seeds. */
  readonly split: Split;
  /** Side of the image in pixels; 48 unless given. */
  readonly size?: number;
  /** Which types of question, each as often; all that the split has unless given. */
  readonly types?: readonly string[];
}

export const DEFAULT_SIZE = 48;

/**
 * Draws tasks of one world; equal arguments give equal tasks on every machine.
 * @throws ModalscopeError for a size at which the images cannot be read, or an unknown type.
 */
export function drawTasks<Scene>(
  world: World<Scene>,
  options: DrawOptions & { readonly count: number; readonly seed?: number },
): VisualTask<Scene>[] {
  const { count, seed = 0, split } = options;
  const draw = taskStream(world, seeded(fnv1a(`${world.name}:${split}:${seed}`)), options);
  return Array.from({ length: count }, draw);
}

/** A function that draws one more task each time it is called, types in turn: for training without end. */
export function taskStream<Scene>(
  world: World<Scene>,
  random: Random,
  options: DrawOptions,
): () => VisualTask<Scene> {
  const { split, size = DEFAULT_SIZE } = options;
  if (!(Number.isInteger(size) && size >= world.least)) {
    throw new ModalscopeError(
      `Pictures of "${world.name}" cannot be ${size} pixels wide.`,
      `At less than ${world.least} a person cannot read them.`,
      `Give a whole number from ${world.least} on.`,
    );
  }
  const types = typesOf(world, split, options.types);
  let drawn = 0;
  return () => {
    const type = types[drawn % types.length];
    const scene = sceneOf(world, type, split, random);
    const { prompt, answer } = world.question(scene, type, random, split);
    return {
      id: `${world.name}-${split}-${drawn++}`,
      dataset: world.name,
      prompt,
      images: [world.render(scene, size)],
      answers: [answer],
      type,
      category: world.category(scene),
      grade: world.types[type],
      scoring: world.scoring(type),
      annotation: scene,
    };
  };
}

/** A text-only control: the same question of what the image showed, said in words instead. */
export function inWords<Scene>(world: World<Scene>, task: VisualTask<Scene>): VisualTask<Scene> {
  return { ...task, id: `${task.id}-words`, images: [], textDescription: world.passage(task.annotation) };
}

/** The same question with no image and no words in its place: what a blind guess is worth. */
export function blind<Annotation>(task: VisualTask<Annotation>): VisualTask<Annotation> {
  return { ...task, id: `${task.id}-blind`, images: [] };
}

/** The same question with another task's image: the null of a study that shuffles images. */
export function withPictureOf<Annotation>(
  task: VisualTask<Annotation>,
  other: VisualTask<Annotation>,
): VisualTask<Annotation> {
  return { ...task, id: `${task.id}-shuffled`, images: other.images };
}

/** The one raster of a synthetic task. */
export function rasterOf(task: VisualTask): Raster {
  const [picture] = task.images;
  if (picture === undefined || typeof picture === "string" || picture instanceof Uint8Array) {
    throw new ModalscopeError(
      `Task "${task.id}" has no raster.`,
      "Only drawn tasks with a picture have one.",
    );
  }
  return picture;
}

function typesOf(
  world: Pick<World<unknown>, "name" | "types" | "heldOutTypes">,
  split: Split,
  asked?: readonly string[],
): readonly string[] {
  const all = Object.keys(world.types);
  const unknown = asked?.find((type) => !all.includes(type));
  if (unknown !== undefined) {
    throw new ModalscopeError(
      `"${world.name}" has no questions of type "${unknown}".`,
      `There are ${all.join(", ")}.`,
      didYouMean(unknown, all),
    );
  }
  const heldOut = split === "train" ? (world.heldOutTypes ?? []) : [];
  const refused = asked?.find((type) => heldOut.includes(type));
  if (refused !== undefined) {
    throw new ModalscopeError(
      `Questions of type "${refused}" are never trained on.`,
      `They are what "${world.name}" keeps for testing.`,
      'Draw them with split: "heldout".',
    );
  }
  return (asked ?? all).filter((type) => !heldOut.includes(type));
}

function sceneOf<Scene>(world: World<Scene>, type: string, split: Split, random: Random): Scene {
  for (;;) {
    const scene = world.scene(random, type, split);
    const picture = world.picture?.(scene) ?? scene;
    if (splitOf(`${world.name}:${JSON.stringify(picture)}`) === split) return scene;
  }
}
