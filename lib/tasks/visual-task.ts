/** The record that every visual task comes as, from a published data set or from a generator. */

/** An image in memory: `data` holds red, green and blue bytes, (height, width, 3). */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  /** Boxes of what was drawn, for an image drawn here. */
  readonly annotations?: readonly BoxAnnotation[];
}

/** Words for a part of an image; its box is in pixels. */
export interface BoxAnnotation {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly words: readonly string[];
}

/**
 * One step to an answer: a question of its own, its answer, and where in the image that is seen (numbers of the
 * image's `annotations`; none where the answer is computed from the steps before).
 */
export interface Hop {
  readonly prompt: string;
  readonly answer: string;
  readonly regions: readonly number[];
}

/** An image: the path of an image file, the bytes of one, or a raster. */
export type TaskImage = string | Uint8Array | Raster;

/** Difficulty of a task. */
export type Grade = "easy" | "medium" | "hard";

/** The published rule that scores an answer: see `scoreAnswer`. `amber` scores descriptions: see `amberScores`. */
export type ScoringRule = "exact" | "relaxed" | "anls" | "vqa" | "amber";

/** One question about an image. */
export interface VisualTask<Annotation = unknown> {
  /** Unique within its data set and split. */
  readonly id: string;
  /** The data set, such as `chartqa`, or the generator, such as `charts`. */
  readonly dataset: string;
  /** The question alone: no chat template, no image placeholder. */
  readonly prompt: string;
  /** In the prompt's order; none for a text-only task. */
  readonly images: readonly TaskImage[];
  /** Text that stands in for the image in a text-only control; it goes before the prompt. */
  readonly textDescription?: string;
  /** Accepted answers; for `vqa` those of the ten annotators, repeats included; for captions the reference. */
  readonly answers: readonly string[];
  /** The steps to the answer of a question that takes several; the last of them is the question itself. */
  readonly hops?: readonly Hop[];
  /** The kind of question, in the data set's own terms: `ChooseAttr`, `human`, `largest`. */
  readonly type: string;
  /** Kind of image, where that is known: `bar`, `form`, `beach`. */
  readonly category?: string;
  readonly grade?: Grade;
  readonly scoring: ScoringRule;
  /** All else that is known: the publisher's fields, or the whole scene that an image was drawn from. */
  readonly annotation: Annotation;
}

/** A user's turn, as the engine's prompts take it. */
export interface TaskMessage {
  readonly role: "user";
  readonly content: readonly (
    | { readonly type: "image"; readonly image: TaskImage }
    | { readonly type: "text"; readonly text: string; readonly standsForImage?: boolean }
  )[];
}

/** A task as a user asks it: its images, the text that stands in for them if any, the question. */
export function asMessage({ images, textDescription, prompt }: VisualTask): TaskMessage {
  const parts = images.map((image) => ({ type: "image" as const, image }));
  const passage =
    textDescription === undefined
      ? []
      : [{ type: "text" as const, text: textDescription, standsForImage: true }];
  return { role: "user", content: [...parts, ...passage, { type: "text", text: prompt }] };
}
