/** Measurements of the study as plain arrays, which checkpoints, files or a law of chance can fill. */
import type { MatrixLike, PidSamples } from "../../analysis/index.js";

/** Results of one task's questions on one checkpoint, with or without an edit. */
export interface TaskRun {
  /** By state of the residual stream, (n, k): pooled visual tokens, reduced. */
  readonly vision: readonly MatrixLike[];
  /** By state, (n, k): pooled tokens of the question, reduced. */
  readonly language: readonly MatrixLike[];
  /** (n, k): the final prediction, reduced. */
  readonly prediction: MatrixLike;
  /** Whether the first token is the answer's. */
  readonly right: readonly boolean[];
}

/** One task on one checkpoint. */
export interface TaskMeasurement {
  readonly task: string;
  /** Image of each question: resamples take images whole. */
  readonly clusters: readonly string[];
  readonly clean: TaskRun;
  /** Attention from the question to the image cut in all blocks, and as many other edges; the last state alone. */
  readonly cut?: TaskRun;
  readonly control?: TaskRun;
}

/** A checkpoint on one draw of questions. */
export interface Measurements {
  readonly tasks: readonly TaskMeasurement[];
  /** Depth of each state, 0 before the first block to 1 after the last. */
  readonly depths: readonly number[];
  /** The other variant of the model, clean. */
  readonly variant?: readonly TaskMeasurement[];
  /** The model trained from other seeds, clean. */
  readonly twins?: readonly (readonly TaskMeasurement[])[];
  /** The other variant trained from other seeds, clean. */
  readonly variantTwins?: readonly (readonly TaskMeasurement[])[];
}

/** Samples of one state: the prediction as the target, the image as the first source, the question as the second. */
export function samplesAt({ prediction, vision, language }: TaskRun, state: number): PidSamples {
  return { target: prediction, x: vision[state], y: language[state] };
}
