/** What is studied: a model with its transcoders, and how its images are drawn. */
import type { TranscoderSet } from "../../circuits/index.js";
import { checkTranscoders, initialTranscoderWeights, transcodersFrom } from "../../circuits/index.js";
import { ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import { type Random, seeded } from "../../random.js";
import {
  drawTasks,
  type Split,
  type SyntheticTask,
  type VisualTask,
  withImageOf,
} from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";

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
}

/**
 * Checks that a model and transcoders can be studied, before anything runs.
 * @throws ModalscopeError for a model without images, transcoders of another one, or ones that graphs cannot go through
 */
export function checkSubject(model: Model, set: TranscoderSet): void {
  if (!model.config.vision_config)
    throw new ModalscopeError(
      `${model.path} is a text-only model.`,
      "Circuits are traced from images here.",
      "Give a vision-language model, such as Gemma 3.",
    );
  checkTranscoders(set, model);
  if (set.layers.some(({ skip }) => skip))
    throw new ModalscopeError(
      `The transcoders of ${set.model} have a skip connection.`,
      "Attribution graphs through skip connections are not implemented.",
      "Use a set without one.",
    );
}

/** Draws tasks for a subject: of training images to choose by, of held-out ones to measure on. */
export function drawFor<Scene>(
  { imageSize, seed, exchanged }: Subject,
  synthetic: SyntheticTask<Scene>,
  {
    types,
    count,
    split,
  }: { readonly types: readonly string[]; readonly count: number; readonly split: Split },
): VisualTask<Scene>[] {
  const size = Math.max(imageSize, synthetic.minImageSize);
  const tasks = drawTasks(synthetic, { types, count, split, size, seed: 1000 * seed + 7 });
  return exchanged ? withOtherImages(tasks) : tasks;
}

/** Every task with the next one's image. */
export function withOtherImages<Scene>(tasks: readonly VisualTask<Scene>[]): VisualTask<Scene>[] {
  return tasks.map((task, i) => withImageOf(task, tasks[(i + 1) % tasks.length]));
}

/** Blocks from one share of the depth to another. */
export function layersBetween({ layers }: Model, from: number, to: number): number[] {
  return layers.filter((l) => l >= Math.round(from * layers.length) && l < Math.round(to * layers.length));
}

/**
 * Transcoders of the same sizes that learnt nothing: rows of the same lengths in random directions, the same biases and
 * activation.
 */
export function randomTranscoders(like: TranscoderSet, seed: number): TranscoderSet {
  const random = seeded(seed);
  const [{ width, features, activation }] = like.layers;
  const k = activation.kind === "topk" ? activation.k : features;
  const spec = { kind: "per-layer", layers: like.layers.length, width, features, k } as const;
  const empty = like.layers.map(() => ({ data: new Float32Array(width), shape: [1, width] }));
  const weights = initialTranscoderWeights(spec, { inputs: empty, outputs: empty }, seed);
  const ids = Array.from({ length: features }, (_, f) => f);
  for (const [l, own] of like.layers.entries()) {
    const put = (name: string, data: Float32Array): void =>
      weights.get(`layers.${l}.${name}`)!.data.set(data);
    put("W_enc", redirected(own.encoderRows(ids), random));
    put(`W_dec.${l}`, redirected(own.decoderRows(ids), random));
    put("b_enc", own.encoderBias(ids));
    put("b_dec", own.bias);
  }
  return transcodersFrom(spec, weights, { model: "random", hookIn: like.hookIn, hookOut: like.hookOut });
}

/** Rows of the same lengths in random directions. */
function redirected({ data, shape: [count, width] }: Tensor, random: Random): Float32Array {
  const out = Float32Array.from({ length: data.length }, () => random.normal());
  for (let i = 0; i < count; i++) {
    const [from, to] = [i * width, (i + 1) * width];
    const scale = Math.hypot(...data.subarray(from, to)) / Math.hypot(...out.subarray(from, to));
    for (let j = from; j < to; j++) out[j] *= scale;
  }
  return out;
}
