/** Training on tokens that are held in memory: short runs, such as a notebook's. */
import { ModalscopeError } from "../../errors.js";
import { createAdamState, train } from "../../model/training/index.js";
import {
  checkOptions,
  integer,
  number,
  type OptionChecks,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { TranscoderSet } from "../transcoders/types.js";
import type { TranscoderSpec } from "./graph.js";
import { type Activations, TranscoderTrainer } from "./trainer.js";
import { initialTranscoderWeights, type SetNames, transcodersFrom, varianceOf } from "./weights.js";

export interface TrainTranscodersOptions extends TaskOptions {
  readonly steps: number;
  /** Tokens of a step (default 1,024). */
  readonly stepTokens?: number;
  /** Largest learning rate, which falls to zero in a straight line (default 2e-3). */
  readonly rate?: number;
  readonly seed?: number;
  readonly names: SetNames;
}

const TRAIN_OPTIONS: OptionChecks<TrainTranscodersOptions> = {
  ...TASK_OPTIONS,
  steps: required(integer(1), "an integer from 1 on"),
  stepTokens: integer(1),
  rate: number(0),
  seed: integer(),
  names: required(record, "the names { model, checkpoint, hookIn, hookOut }"),
};

/**
 * Trains transcoders with AdamW on steps that are drawn from the tokens with replacement. Layer l of the spec learns from
 * `inputs[l]` and `outputs[l]`, whichever blocks of a model these are of.
 * @returns the set, and the share of variance unexplained at each step
 * @throws ModalscopeError where the tokens are not those of as many layers
 */
export async function trainTranscoders(
  spec: TranscoderSpec,
  tokens: Activations,
  options: TrainTranscodersOptions,
): Promise<{ readonly set: TranscoderSet; readonly losses: readonly number[] }> {
  checkOptions("trainTranscoders", options, TRAIN_OPTIONS);
  const { steps, stepTokens = 1024, rate = 2e-3, seed = 0, names, onProgress, signal } = options;
  if (tokens.inputs.length !== spec.layers || tokens.outputs.length !== spec.layers)
    throw new ModalscopeError(
      `Tokens of ${tokens.inputs.length} layers cannot train transcoders of ${spec.layers}.`,
      "Each layer learns from its own inputs and outputs.",
    );
  const random = seeded(seed);
  const [{ shape }] = tokens.inputs;
  const variance = tokens.outputs.map(varianceOf);
  const weights = initialTranscoderWeights(spec, tokens, seed);
  const trainer = new TranscoderTrainer(spec);
  const losses: number[] = [];
  const next = (): Activations => {
    const rows = Array.from({ length: Math.min(stepTokens, shape[0]) }, () => random.int(shape[0]));
    const taken = (x: Tensor): Tensor => takeRows(x, rows);
    return { inputs: tokens.inputs.map(taken), outputs: tokens.outputs.map(taken) };
  };
  try {
    await train(trainer, weights, async () => ({ ...next(), variance }), {
      steps,
      betas: [0.9, 0.999],
      state: createAdamState(),
      learningRate: (step) => rate * (1 - step / steps),
      onStep: (_, loss) => {
        losses.push(loss);
      },
      onProgress,
      signal,
    });
  } finally {
    await trainer.close();
  }
  return { set: transcodersFrom(spec, weights, names), losses };
}

function takeRows({ data, shape: [, width] }: Tensor, rows: readonly number[]): Tensor {
  const out = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) out.set(data.subarray(row * width, (row + 1) * width), i * width);
  return { data: out, shape: [rows.length, width] };
}
