import { didYouMean, ModalscopeError } from "../../errors.js";
import { checkOptions, integer, listOf, type OptionChecks, oneOf, required, text } from "../../options.js";
import { type Random, seeded } from "../../random.js";
import { fnv1a, type Split, splitOf } from "../split.js";
import type { Raster, VisualTask } from "../visual-task.js";
import type { SyntheticTask } from "./synthetic-task.js";

export interface DrawOptions {
  /** Train and held-out images never meet, whatever the seeds. */
  readonly split: Split;
  /** Side of the image in pixels; 48 unless given. */
  readonly size?: number;
  /** Which types of question, each as often; all that the split has unless given. */
  readonly types?: readonly string[];
}

export const DEFAULT_SIZE = 48;

const DRAW_OPTIONS: OptionChecks<DrawOptions> = {
  split: required(oneOf("train", "heldout"), '"train" or "heldout"'),
  size: integer(1),
  types: listOf(text, 1),
};

/**
 * Draws tasks of one kind; equal arguments give equal tasks on every machine.
 * @throws ModalscopeError for a size at which the images cannot be read, or an unknown type.
 */
export function drawTasks<Scene>(
  synthetic: SyntheticTask<Scene>,
  options: DrawOptions & { readonly count: number; readonly seed?: number },
): VisualTask<Scene>[] {
  checkOptions("drawTasks", options, {
    ...DRAW_OPTIONS,
    count: required(integer(0), "an integer from 0 on"),
    seed: integer(),
  });
  const { count, seed = 0, ...drawn } = options;
  const draw = taskStream(synthetic, seeded(fnv1a(`${synthetic.name}:${drawn.split}:${seed}`)), drawn);
  return Array.from({ length: count }, draw);
}

/** A function that draws one more task each time it is called, types in turn: for training without end. */
export function taskStream<Scene>(
  synthetic: SyntheticTask<Scene>,
  random: Random,
  options: DrawOptions,
): () => VisualTask<Scene> {
  checkOptions("taskStream", options, DRAW_OPTIONS);
  const { split, size = DEFAULT_SIZE } = options;
  if (!(Number.isInteger(size) && size >= synthetic.minImageSize)) {
    throw new ModalscopeError(
      `Images of "${synthetic.name}" cannot be ${size} pixels wide.`,
      `At less than ${synthetic.minImageSize} a person cannot read them.`,
      `Give a whole number from ${synthetic.minImageSize} on.`,
    );
  }
  const types = typesOf(synthetic, split, options.types);
  let drawn = 0;
  return () => {
    const type = types[drawn % types.length];
    const scene = sceneOf(synthetic, type, split, random);
    const { prompt, answer, hops } = synthetic.question(scene, type, random, split);
    return {
      id: `${synthetic.name}-${split}-${drawn++}`,
      dataset: synthetic.name,
      prompt,
      images: [synthetic.render(scene, size)],
      answers: [answer],
      ...(hops && { hops }),
      type,
      category: synthetic.category(scene),
      grade: synthetic.types[type],
      scoring: synthetic.scoring(type),
      annotation: scene,
    };
  };
}

/** A text-only control: the same question of what the image showed, said in words instead. */
export function inWords<Scene>(synthetic: SyntheticTask<Scene>, task: VisualTask<Scene>): VisualTask<Scene> {
  return {
    ...task,
    id: `${task.id}-words`,
    images: [],
    textDescription: synthetic.textDescription(task.annotation),
  };
}

/** The same question with no image and no words in its place: what a blind guess is worth. */
export function blind<Annotation>(task: VisualTask<Annotation>): VisualTask<Annotation> {
  return { ...task, id: `${task.id}-blind`, images: [] };
}

/** The same question with another task's image: the null of a study that shuffles images. */
export function withImageOf<Annotation>(
  task: VisualTask<Annotation>,
  other: VisualTask<Annotation>,
): VisualTask<Annotation> {
  return { ...task, id: `${task.id}-shuffled`, images: other.images };
}

/** The one raster of a synthetic task. */
export function rasterOf(task: VisualTask): Raster {
  const [image] = task.images;
  if (image === undefined || typeof image === "string" || image instanceof Uint8Array) {
    throw new ModalscopeError(`Task "${task.id}" has no raster.`, "Only drawn tasks with an image have one.");
  }
  return image;
}

function typesOf(
  synthetic: Pick<SyntheticTask<unknown>, "name" | "types" | "heldOutTypes">,
  split: Split,
  asked?: readonly string[],
): readonly string[] {
  const all = Object.keys(synthetic.types);
  const unknown = asked?.find((type) => !all.includes(type));
  if (unknown !== undefined) {
    throw new ModalscopeError(
      `"${synthetic.name}" has no questions of type "${unknown}".`,
      `There are ${all.join(", ")}.`,
      didYouMean(unknown, all),
    );
  }
  const heldOut = split === "train" ? (synthetic.heldOutTypes ?? []) : [];
  const refused = asked?.find((type) => heldOut.includes(type));
  if (refused !== undefined) {
    throw new ModalscopeError(
      `Questions of type "${refused}" are never trained on.`,
      `They are what "${synthetic.name}" keeps for testing.`,
      'Draw them with split: "heldout".',
    );
  }
  return (asked ?? all).filter((type) => !heldOut.includes(type));
}

function sceneOf<Scene>(synthetic: SyntheticTask<Scene>, type: string, split: Split, random: Random): Scene {
  for (;;) {
    const scene = synthetic.scene(random, type, split);
    const content = synthetic.imageContent?.(scene) ?? scene;
    if (splitOf(`${synthetic.name}:${JSON.stringify(content)}`) === split) return scene;
  }
}
