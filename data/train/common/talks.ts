/** Conversations about drawn pictures. */
import type { Random } from "../../../lib/random.js";
import {
  blind,
  inWords,
  type Listing,
  taskStream,
  type VisualTask,
  type World,
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
): Draw<Conversation> {
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
export function describing<Scene>(world: World<Scene>, random: Random, size: number): Draw<Conversation> {
  const next = taskStream(world, random, { split: "train", size });
  return () => [description(world, next())];
}

function description<Scene>(world: World<Scene>, task: VisualTask<Scene>): VisualTask<Scene> {
  return { ...task, prompt: DESCRIBE, answers: [world.passage(task.annotation)] };
}

/** A list's entries, in any order. */
export function listed({ prompt, entries }: Listing, random: Random): Pick<VisualTask, "prompt" | "answers"> {
  const some = random.shuffle(entries).slice(0, LISTED);
  return { prompt, answers: [`${LIST} ${some.map((entry) => entry.join(" ")).join(", ")}.`] };
}

/** What a list begins with, so that all its entries are written alike. */
export const LIST = "these:";

/** What asks for a picture's passage. */
export const DESCRIBE = "what is in the picture?";
/** What asks for a list of shapes and colours, with whether a picture of easy-VQA has them. */
export const PRESENCE = "is there each of these?";

function shown<Scene>(world: World<Scene>, task: VisualTask<Scene>, showing: Showing): VisualTask<Scene> {
  return showing === "words" ? inWords(world, task) : showing === "blind" ? blind(task) : task;
}
