/** Conversations about drawn images. */
import type { Random } from "../../../lib/random.js";
import {
  blind,
  inWords,
  type Listing,
  type SyntheticTask,
  taskStream,
  type VisualTask,
} from "../../../lib/tasks/index.js";
import type { Conversation, Draw } from "./recipe.js";

/** Form in which a drawn task is shown: with its image, described in words, or blind. */
export type Modality = "image" | "text" | "none";

export interface ConversationOptions {
  /** Side of the images in pixels. */
  readonly size: number;
  readonly modality?: Modality;
  /** Types of question that may be asked; all that can be unless given. */
  readonly types?: readonly string[];
  /** Whether the whole description is among the accounts; where there is an image unless given. */
  readonly described?: boolean;
}

/** Turns about one image: it is paid for once. */
const TURNS = 6;
/** Entries of one list. */
const LISTED = 5;

/**
 * Conversations about one image of a synthetic task: questions of different types among accounts of what it shows, the
 * kinds drawn evenly. An answer must be looked up twice, the thing in the question and then in the image; in a list each
 * name of a thing is followed at once by what is true of it. What lists teach, answers take up.
 */
export function conversations<Scene>(
  synthetic: SyntheticTask<Scene>,
  random: Random,
  { size, modality = "image", types, described = modality === "image" }: ConversationOptions,
): Draw<Conversation> {
  const next = taskStream(synthetic, random, { split: "train", size, types });
  return () => {
    const task = next();
    const { annotation: scene, type } = task;
    const others = (synthetic.questionTypes?.(scene) ?? []).filter(
      (other) => other !== type && (types?.includes(other) ?? true),
    );
    const asked = others.map((other) => (): VisualTask<Scene> => {
      const { prompt, answer, hops } = synthetic.question(scene, other, random, "train");
      return shown(synthetic, { ...task, type: other, prompt, answers: [answer], hops }, modality);
    });
    const lists = (synthetic.listings?.(scene, random) ?? []).filter(({ entries }) => entries.length > 0);
    const account = (turn: Pick<VisualTask, "prompt" | "answers">): VisualTask<Scene> =>
      shown(synthetic, { ...task, hops: undefined, ...turn }, modality);
    const accounts = [
      ...(described
        ? [() => account({ prompt: DESCRIBE, answers: [synthetic.textDescription(scene)] })]
        : []),
      ...lists.map((list) => () => account(listed(list, random))),
    ];
    const further = random.shuffle([...asked, ...(modality === "none" ? [] : accounts)]);
    const turns = further.slice(0, TURNS - 1).map((turn) => turn());
    return random.shuffle([shown(synthetic, task, modality), ...turns]);
  };
}

/** Images of a synthetic task alone, with one question for form's sake: for a tower that learns from labels. */
export function images<Scene>(
  synthetic: SyntheticTask<Scene>,
  random: Random,
  size: number,
): Draw<Conversation> {
  const next = taskStream(synthetic, random, { split: "train", size });
  return () => [next()];
}

/** A list's entries, in any order. */
export function listed({ prompt, entries }: Listing, random: Random): Pick<VisualTask, "prompt" | "answers"> {
  const some = random.shuffle(entries).slice(0, LISTED);
  return { prompt, answers: [`${LIST} ${some.map((entry) => entry.join(" ")).join(", ")}.`] };
}

/** Beginning of a list, so that all its entries are written alike. */
export const LIST = "these:";

/** Prompt for an image's description. */
export const DESCRIBE = "what is in the picture?";
/** Prompt for a list of shapes and colours, with whether an image of easy-VQA has them. */
export const PRESENCE = "is there each of these?";

function shown<Scene>(
  synthetic: SyntheticTask<Scene>,
  task: VisualTask<Scene>,
  modality: Modality,
): VisualTask<Scene> {
  return modality === "text" ? inWords(synthetic, task) : modality === "none" ? blind(task) : task;
}
