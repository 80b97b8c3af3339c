/** Where training tasks come from, and the words that they use. */

import { decodeImage } from "../../../lib/model/images/index.js";
import type { Random } from "../../../lib/random.js";
import {
  blind,
  drawTasks,
  type EasyVqaAnnotation,
  inWords,
  loadEasyVqa,
  type Raster,
  syntheticVocabulary,
  taskStream,
  type VisualTask,
  type World,
  wordsOf,
} from "../../../lib/tasks/index.js";
import type { Conversation, Draw } from "./recipe.js";

/** How a drawn task is shown: with its picture, said in words, or withheld. */
export type Showing = "picture" | "words" | "blind";

export interface ShowingOptions {
  /** Side of the pictures in pixels. */
  readonly size: number;
  readonly showing?: Showing;
  readonly types?: readonly string[];
  /** Questions of one picture at most, of one type. */
  readonly turns?: number;
}

/** Training conversations on a synthetic world without end. */
export function synthetic<Scene>(
  world: World<Scene>,
  random: Random,
  { size, showing = "picture", types, turns = 1 }: ShowingOptions,
): Draw {
  const next = taskStream(world, random, { split: "train", size, types });
  return () => {
    const task = next();
    const asked = new Map([[task.prompt, task]]);
    for (let turn = 1; turn < turns; turn++) {
      const { prompt, answer } = world.question(task.annotation, task.type, random, "train");
      asked.set(prompt, { ...task, prompt, answers: [answer] });
    }
    return [...asked.values()].map((turn) => shown(world, turn, showing));
  };
}

/** Pictures of a synthetic world, each said in words. */
export function describing<Scene>(world: World<Scene>, random: Random, size: number): Draw {
  const next = taskStream(world, random, { split: "train", size });
  return () => {
    const task = next();
    return [{ ...task, prompt: DESCRIBE, answers: [world.passage(task.annotation)] }];
  };
}

/** What asks for a picture's passage. */
export const DESCRIBE = "what is in the picture?";

function shown<Scene>(world: World<Scene>, task: VisualTask<Scene>, showing: Showing): VisualTask<Scene> {
  return showing === "words" ? inWords(world, task) : showing === "blind" ? blind(task) : task;
}

/** Questions of easy-VQA, their pictures decoded once. */
export async function easyVqa(
  folder: string,
  split: "train" | "test",
): Promise<VisualTask<EasyVqaAnnotation>[]> {
  const tasks = await loadEasyVqa(folder, { split });
  const pictures = new Map<string, VisualTask["images"][number]>();
  for (const path of new Set(tasks.map(({ images }) => images[0] as string)))
    pictures.set(path, await decodeImage(path));
  return tasks.map((task) => ({ ...task, images: [pictures.get(task.images[0] as string)!] }));
}

/** Conversations about pictures of easy-VQA: up to two open questions and two of yes or no, or what the picture is. */
export function easyVqaTalks(
  { pictures }: EasyVqaPictures,
  random: Random,
  showing: "picture" | "blind" = "picture",
): Draw {
  return () => {
    const own = random.shuffle(random.pick(pictures));
    const closed = (task: VisualTask): boolean => task.type === "yes-no";
    const open = own.filter((task) => !closed(task));
    const turns = random.shuffle([...open.slice(0, 2), ...own.filter(closed).slice(0, 2)]);
    return showing === "blind" ? turns.map(blind) : mirrored(turns, random);
  };
}

/** What the pictures of easy-VQA show, where its questions and answers tell both shape and colour. */
export function easyVqaDescribing({ described }: EasyVqaPictures, random: Random): Draw {
  return () => mirrored([random.pick(described)], random);
}

/** easy-VQA by its pictures. */
export interface EasyVqaPictures {
  /** The questions about each. */
  readonly pictures: readonly (readonly VisualTask[])[];
  /** For each whose shape and colour are told: to say them. */
  readonly described: readonly VisualTask[];
}

/** Sorted once: sources are made anew every few steps. */
export function easyVqaPictures(tasks: readonly VisualTask<EasyVqaAnnotation>[]): EasyVqaPictures {
  const named = (type: string): Set<string> =>
    new Set(tasks.filter((task) => task.type === type).map(({ answers }) => answers[0]));
  const [colours, shapes] = [named("color"), named("shape")];
  const pictures = byPicture(tasks);
  const described = pictures.flatMap((own) => {
    const told = own.flatMap(wordsThatHold);
    const colour = told.find((word) => colours.has(word));
    const shape = told.find((word) => shapes.has(word));
    return colour && shape ? [{ ...own[0], prompt: DESCRIBE, answers: [`a ${colour} ${shape}.`] }] : [];
  });
  return { pictures, described };
}

/** Words of a question that are true of the picture, and of its answer: none where what is asked for is not there. */
function wordsThatHold({ prompt, answers: [answer], type }: VisualTask): string[] {
  const words = wordsOf(prompt);
  if (type !== "yes-no") return [answer, ...words];
  return (answer === "yes") === words.includes("not") ? [] : words;
}

function byPicture(tasks: readonly VisualTask<EasyVqaAnnotation>[]): VisualTask[][] {
  const pictures = new Map<number, VisualTask[]>();
  for (const task of tasks) {
    const { imageId } = task.annotation;
    pictures.set(imageId, [...(pictures.get(imageId) ?? []), task]);
  }
  return [...pictures.values()];
}

/** Left and right exchanged in half of the cases: no question of easy-VQA depends on it. */
function mirrored(tasks: Conversation, random: Random): Conversation {
  if (random.int(2) === 0) return tasks;
  const { width, height, data } = tasks[0].images[0] as Raster;
  const flipped = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      flipped.set(data.subarray(from, from + 3), 3 * (y * width + width - 1 - x));
    }
  return tasks.map((task) => ({ ...task, images: [{ width, height, data: flipped }] }));
}

/**
 * Every word of the synthetic worlds after a space, and whole tasks of some of them for the words that begin a text.
 * @param before what stands before an answer
 */
export function syntheticTexts(
  worlds: readonly World<unknown>[],
  seed: number,
  before: " " | "\n",
): string[] {
  const vocabulary = syntheticVocabulary().map((word) => ` ${word}`);
  const tasks = worlds.flatMap((world) =>
    drawTasks(world, { split: "train", count: 40 * Object.keys(world.types).length, seed }).map(
      (task) => [world, task] as const,
    ),
  );
  const written = tasks.flatMap(([world, task]) => [
    `\n${task.prompt}`,
    `${before}${task.answers[0]}`,
    `\n${inWords(world, task).passage} ${task.prompt}`,
  ]);
  return [...vocabulary, ...written];
}
