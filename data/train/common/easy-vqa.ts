/** Conversations about the images of easy-VQA. */
import { decodeImage } from "../../../lib/model/images/index.js";
import type { Random } from "../../../lib/random.js";
import {
  blind,
  type EasyVqaAnnotation,
  type Listing,
  loadEasyVqa,
  type Raster,
  type VisualTask,
  wordsOf,
} from "../../../lib/tasks/index.js";
import { DESCRIBE, listed, type Modality, PRESENCE } from "./conversations.js";
import type { Conversation, Draw } from "./recipe.js";

/** Questions of easy-VQA, their images decoded once. */
export async function easyVqa(
  folder: string,
  split: "train" | "test",
): Promise<VisualTask<EasyVqaAnnotation>[]> {
  const tasks = await loadEasyVqa(folder, { split });
  const decoded = new Map<string, VisualTask["images"][number]>();
  for (const path of new Set(tasks.map(({ images }) => images[0] as string)))
    decoded.set(path, await decodeImage(path));
  return tasks.map((task) => ({ ...task, images: [decoded.get(task.images[0] as string)!] }));
}

/** Conversations about images of easy-VQA: up to two open questions and two of yes or no, then what the image is and is not. */
export function easyVqaConversations(
  images: readonly EasyVqaImage[],
  random: Random,
  modality: Modality = "image",
): Draw<Conversation> {
  return () => {
    const { tasks, description, listing } = random.pick(images);
    const own = random.shuffle(tasks);
    const closed = (task: VisualTask): boolean => task.type === "yes-no";
    const open = own.filter((task) => !closed(task));
    const turns = random.shuffle([...open.slice(0, 2), ...own.filter(closed).slice(0, 2)]);
    const list = listing && { ...tasks[0], ...listed(listing, random) };
    const accounts = random.shuffle([description, list].filter((told) => told !== undefined));
    if (modality === "image") return mirrored([...turns, ...accounts], random);
    const textDescription = modality === "text" ? description?.answers[0] : undefined;
    return [...turns, ...(textDescription && list ? [list] : [])].map((turn) => ({
      ...blind(turn),
      textDescription,
    }));
  };
}

/** An image of easy-VQA. */
export interface EasyVqaImage {
  /** The questions about it. */
  readonly tasks: readonly VisualTask[];
  /** Description of the image, where its questions tell both shape and colour. */
  readonly description?: VisualTask;
  /** All shapes and colours that there are, with whether it has them. */
  readonly listing?: Listing;
}

/** Sorted once: sources are made anew every few steps. */
export function easyVqaImages(tasks: readonly VisualTask<EasyVqaAnnotation>[]): EasyVqaImage[] {
  const named = (type: string): Set<string> =>
    new Set(tasks.filter((task) => task.type === type).map(({ answers }) => answers[0]));
  const [colours, shapes] = [named("color"), named("shape")];
  return byImage(tasks).map((own) => {
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

/** An image of one thing, all of which is marked with what it is. */
function marked(raster: Raster, words: readonly string[]): Raster {
  return { ...raster, annotations: [{ left: 0, top: 0, right: raster.width, bottom: raster.height, words }] };
}

/** Words of a question that are true of the image, and of its answer: none where what is asked for is not there. */
function wordsThatHold({ prompt, answers: [answer], type }: VisualTask): string[] {
  const words = wordsOf(prompt);
  if (type !== "yes-no") return [answer, ...words];
  const denied = words.includes("not") || words.includes("no");
  return (answer === "yes") === denied ? [] : words;
}

function byImage(tasks: readonly VisualTask<EasyVqaAnnotation>[]): VisualTask[][] {
  const images = new Map<number, VisualTask[]>();
  for (const task of tasks) {
    const { imageId } = task.annotation;
    images.set(imageId, [...(images.get(imageId) ?? []), task]);
  }
  return [...images.values()];
}

/** Left and right exchanged in half of the cases: no question of easy-VQA depends on it. */
function mirrored(tasks: Conversation, random: Random): Conversation {
  if (random.int(2) === 0) return tasks;
  const { width, height, data, annotations } = tasks[0].images[0] as Raster;
  const flipped = new Uint8Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      flipped.set(data.subarray(from, from + 3), 3 * (y * width + width - 1 - x));
    }
  return tasks.map((task) => ({ ...task, images: [{ width, height, data: flipped, annotations }] }));
}
