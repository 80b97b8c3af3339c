/** What is studied: a model with its transcoders, and how its images are drawn. */
import {
  checkTranscoders,
  encodeFeatures,
  nullTranscoders,
  type TranscoderSet,
} from "../../circuits/index.js";
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import {
  asMessage,
  drawTasks,
  planets,
  type Split,
  type SyntheticTask,
  type VisualTask,
  withImageOf,
} from "../../tasks/index.js";
import type { DrawnTasks } from "./drawn-tasks.js";

/** Numbers that stand in data/studies/circuit-tracing.json. */
export interface Settings {
  /** Features of a concept. */
  readonly features: number;
  /** Shares of the depth between which the middle layers lie. */
  readonly middle: readonly [from: number, to: number];
  /** Prompts among which a neuron's or a feature's concept is the most frequent one. */
  readonly top: number;
  readonly randomSets: number;
  readonly verifiedFeatures: number;
}

/** A checkpoint with transcoders, as the study looks at it. */
export interface Subject {
  readonly model: Model;
  readonly set: TranscoderSet;
  readonly settings: Settings;
  /** Side of drawn images in pixels. */
  readonly imageSize: number;
  readonly rowsPerCall: number;
  readonly seed: number;
  /** Images of each kind; rates take 100. */
  readonly samples: number;
  /** Every question has another one's image: a null. */
  readonly exchanged: boolean;
  /** What other checkpoints with the same seed have drawn. */
  readonly drawn?: DrawnTasks;
}

/**
 * Checks that a model and transcoders can be studied, before anything runs.
 * @throws ModalscopeError for a model without images, or transcoders of another one
 */
export function checkSubject(model: Model, set: TranscoderSet): void {
  checkSeesImages(model);
  checkTranscoders(set, model);
}

/** @throws ModalscopeError for a text-only model */
export function checkSeesImages(model: Model): void {
  if (!model.config.vision_config)
    throw new ModalscopeError(
      `${model.path} is a text-only model.`,
      "Circuits are traced from images here.",
      "Give a vision-language model, such as Gemma 3.",
    );
}

/** Draws tasks for a subject: of training images to choose by, of held-out ones to measure on. */
export function drawFor<Scene>(
  subject: Subject,
  synthetic: SyntheticTask<Scene>,
  {
    types,
    count,
    split,
  }: { readonly types: readonly string[]; readonly count: number; readonly split: Split },
): VisualTask<Scene>[] {
  const size = Math.max(subject.imageSize, synthetic.minImageSize);
  const options = { types, split, size, seed: 1000 * subject.seed + 7 };
  return drawnOnce(subject, [synthetic.name, options], count, (n) =>
    drawTasks(synthetic, { ...options, count: n }),
  );
}

/**
 * Tasks of a draw, each with the next one's image where images are exchanged.
 * @param key what the draw depends on but for the count
 */
export function drawnOnce<Scene>(
  { drawn, exchanged }: Subject,
  key: readonly unknown[],
  count: number,
  draw: (count: number) => VisualTask<Scene>[],
): VisualTask<Scene>[] {
  const tasks = drawn?.first(JSON.stringify(key), count, draw) ?? draw(count);
  return exchanged ? withOtherImages(tasks) : tasks;
}

/** So many for a hundred samples, and fewer where there are fewer, but not below `least`. */
export function forSamples({ samples }: Subject, count: number, least: number): number {
  return Math.max(least, Math.round(count * Math.min(1, samples / 100)));
}

/** Every task with the next one's image. */
export function withOtherImages<Scene>(tasks: readonly VisualTask<Scene>[]): VisualTask<Scene>[] {
  return tasks.map((task, i) => withImageOf(task, tasks[(i + 1) % tasks.length]));
}

/** Blocks from one share of the depth to another. */
export function layersBetween({ layers }: Model, from: number, to: number): number[] {
  return layers.filter((l) => l >= Math.round(from * layers.length) && l < Math.round(to * layers.length));
}

/** Transcoders that learnt nothing, with the set's features, norms and sparsity, for this subject's model. */
export async function nullsFor(subject: Subject): Promise<TranscoderSet> {
  const { model, set, seed } = subject;
  const tasks = drawFor(subject, planets, { types: ["name"], count: 16, split: "train" });
  const batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
  const { checkpoint: _, ...free } = set;
  const { inputs } = await encodeFeatures(model, batch, free);
  return nullTranscoders(free, "random", inputs, seed);
}
