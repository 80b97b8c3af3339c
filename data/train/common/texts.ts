/** Where training tasks come from, and the words that they use. */

import { decodeImage } from "../../../lib/model/images/index.js";
import { type Random, seeded } from "../../../lib/random.js";
import {
  blind,
  drawTasks,
  type EasyVqaAnnotation,
  inWords,
  type Listing,
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

export interface TalkOptions {
  /** Side of the pictures in pixels. */
  readonly size: number;
  readonly showing?: Showing;
  /** What may be asked; everything that can be unless given. */
  readonly types?: readonly string[];
  /** Whether the whole description is among the accounts; where there is a picture unless given. */
  readonly described?: boolean;
}

/** Questions about one picture. */
const TURNS = 4;
/** Accounts of it after them: its description among lists of what is true of what. */
const ACCOUNTS = 3;
/** Entries of one list. */
const LISTED = 5;

/**
 * Conversations about one picture of a synthetic world: questions of different types, then accounts of what it shows.
 * An answer must be looked up twice, the thing in the question and then in the picture; in a list each name of a thing
 * is followed at once by what is true of it. What lists teach, answers take up.
 */
export function talks<Scene>(
  world: World<Scene>,
  random: Random,
  { size, showing = "picture", types, described = showing === "picture" }: TalkOptions,
): Draw {
  const next = taskStream(world, random, { split: "train", size, types });
  return () => {
    const task = next();
    const { annotation: scene, type } = task;
    const others = (world.askable?.(scene) ?? []).filter(
      (other) => other !== type && (types?.includes(other) ?? true),
    );
    const further = random.shuffle(others).slice(0, TURNS - 1);
    const turns = further.map((other): VisualTask<Scene> => {
      const { prompt, answer } = world.question(scene, other, random, "train");
      return { ...task, type: other, prompt, answers: [answer] };
    });
    const asked = [task, ...turns].map((turn) => shown(world, turn, showing));
    if (showing === "blind") return asked;
    const lists = (world.listings?.(scene, random) ?? []).filter(({ entries }) => entries.length > 0);
    const accounts = [
      ...(described ? [{ prompt: DESCRIBE, answers: [world.passage(scene)] as const }] : []),
      ...lists.map((list) => listed(list, random)),
    ];
    const told = random.shuffle(accounts).slice(0, ACCOUNTS);
    return [...asked, ...told.map((turn) => ({ ...task, ...turn }))];
  };
}

/** Pictures of a synthetic world, each said in words. */
export function describing<Scene>(world: World<Scene>, random: Random, size: number): Draw {
  const next = taskStream(world, random, { split: "train", size });
  return () => [description(world, next())];
}

function description<Scene>(world: World<Scene>, task: VisualTask<Scene>): VisualTask<Scene> {
  return { ...task, prompt: DESCRIBE, answers: [world.passage(task.annotation)] };
}

/** A list's entries, in any order. */
function listed({ prompt, entries }: Listing, random: Random): Pick<VisualTask, "prompt" | "answers"> {
  const some = random.shuffle(entries).slice(0, LISTED);
  return { prompt, answers: [`${LIST} ${some.map((entry) => entry.join(" ")).join(", ")}.`] };
}

/** What a list begins with, so that all its entries are written alike. */
const LIST = "these:";

/** What asks for a picture's passage. */
export const DESCRIBE = "what is in the picture?";
/** What asks for a list of shapes and colours, with whether a picture of easy-VQA has them. */
const PRESENCE = "is there each of these?";

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

/** Conversations about pictures of easy-VQA: up to two open questions and two of yes or no, then what the picture is and is not. */
export function easyVqaTalks(
  pictures: readonly EasyVqaPicture[],
  random: Random,
  showing: Showing = "picture",
): Draw {
  return () => {
    const { tasks, description, listing } = random.pick(pictures);
    const own = random.shuffle(tasks);
    const closed = (task: VisualTask): boolean => task.type === "yes-no";
    const open = own.filter((task) => !closed(task));
    const turns = random.shuffle([...open.slice(0, 2), ...own.filter(closed).slice(0, 2)]);
    const list = listing && { ...tasks[0], ...listed(listing, random) };
    const accounts = random.shuffle([description, list].filter((told) => told !== undefined));
    if (showing === "picture") return mirrored([...turns, ...accounts], random);
    const passage = showing === "words" ? description?.answers[0] : undefined;
    return [...turns, ...(passage && list ? [list] : [])].map((turn) => ({ ...blind(turn), passage }));
  };
}

/** What the pictures of easy-VQA show, where its questions and answers tell both shape and colour. */
export function easyVqaDescribing(pictures: readonly EasyVqaPicture[], random: Random): Draw {
  const described = pictures.flatMap(({ description }) => description ?? []);
  return () => mirrored([random.pick(described)], random);
}

/** A picture of easy-VQA. */
export interface EasyVqaPicture {
  /** The questions about it. */
  readonly tasks: readonly VisualTask[];
  /** What it shows, where its questions tell both shape and colour. */
  readonly description?: VisualTask;
  /** All shapes and colours that there are, with whether it has them. */
  readonly listing?: Listing;
}

/** Sorted once: sources are made anew every few steps. */
export function easyVqaPictures(tasks: readonly VisualTask<EasyVqaAnnotation>[]): EasyVqaPicture[] {
  const named = (type: string): Set<string> =>
    new Set(tasks.filter((task) => task.type === type).map(({ answers }) => answers[0]));
  const [colours, shapes] = [named("color"), named("shape")];
  return byPicture(tasks).map((own) => {
    const told = own.flatMap(wordsThatHold);
    const colour = told.find((word) => colours.has(word));
    const shape = told.find((word) => shapes.has(word));
    if (!colour || !shape) return { tasks: own };
    const images = own[0].images.map((image) => marked(image as Raster, [shape, colour]));
    const description = { ...own[0], images, prompt: DESCRIBE, answers: [`a ${colour} ${shape}.`] };
    const entries = [...shapes, ...colours].map(
      (word) => [word, word === shape || word === colour ? "yes" : "no"] as const,
    );
    return {
      tasks: own.map((task) => ({ ...task, images })),
      description,
      listing: { prompt: PRESENCE, entries },
    };
  });
}

/** A picture of one thing, all of which is marked with what it is. */
function marked(raster: Raster, words: readonly string[]): Raster {
  return { ...raster, marks: [{ left: 0, top: 0, right: raster.width, bottom: raster.height, words }] };
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
  const { width, height, data, marks } = tasks[0].images[0] as Raster;
  const flipped = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      flipped.set(data.subarray(from, from + 3), 3 * (y * width + width - 1 - x));
    }
  return tasks.map((task) => ({ ...task, images: [{ width, height, data: flipped, marks }] }));
}

/**
 * The words of conversations: every one of the synthetic worlds after a space, and whole tasks of some of them for the
 * words that begin a text.
 * @param before what stands before an answer
 */
export function talkTexts(worlds: readonly World<unknown>[], seed: number, before: " " | "\n"): string[] {
  const frame = [`\n${DESCRIBE}`, `\n${PRESENCE}`, `${before}${LIST}`];
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
    ...(world.listings?.(task.annotation, seeded(seed)) ?? []).map(({ prompt }) => `\n${prompt}`),
  ]);
  return [...frame, ...vocabulary, ...written];
}
