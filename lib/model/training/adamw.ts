import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkOptions,
  integer,
  number,
  type OptionChecks,
  pair,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { TrainingBatch } from "./feeds.js";
import type { WeightGradients, Weights } from "./trainer.js";

export interface TrainOptions extends TaskOptions {
  /** The step after the last. */
  readonly steps: number;
  /** Learning rate at a step, counted from 0. */
  readonly learningRate: (step: number) => number;
  readonly betas?: readonly [number, number];
  readonly epsilon?: number;
  /** Decoupled decay of matrices, per unit of learning rate (Loshchilov and Hutter 2019). */
  readonly weightDecay?: number;
  /** Largest norm of the whole gradient. */
  readonly maxGradNorm?: number;
  /** State of an interrupted training to go on from; it is changed in place. */
  readonly state?: AdamState;
  readonly onStep?: (step: number, loss: number, routerAuxLoss?: number) => unknown;
}

const TRAIN_OPTIONS: OptionChecks<TrainOptions> = {
  ...TASK_OPTIONS,
  steps: required(integer(0), "an integer"),
  learningRate: required(callback, "a function from a step to its learning rate"),
  betas: pair,
  epsilon: number(0),
  weightDecay: number(0),
  maxGradNorm: number(0),
  state: record,
  onStep: callback,
};

/** State of AdamW: the next step, and for each weight the running means of its gradient and of its square. */
export interface AdamState {
  step: number;
  readonly first: Map<string, Float32Array>;
  readonly second: Map<string, Float32Array>;
}

/** Initial optimizer state. */
export function createAdamState(): AdamState {
  return { step: 0, first: new Map(), second: new Map() };
}

/** A loss with its derivatives: a model's `Trainer`, or that of anything else that has weights. */
export interface GradientSource<Batch> {
  gradients(weights: Weights, batch: Batch): Promise<WeightGradients>;
}

/** Trains with AdamW, changing `weights` in place. */
export async function train<Batch = TrainingBatch>(
  trainer: GradientSource<Batch>,
  weights: Weights,
  batches: (step: number) => Batch | Promise<Batch>,
  options: TrainOptions,
): Promise<void> {
  checkOptions("train", options, TRAIN_OPTIONS);
  const state = options.state ?? createAdamState();
  for (; state.step < options.steps; ) {
    options.signal?.throwIfAborted();
    const { step } = state;
    const { loss, routerAuxLoss, weights: gradients } = await trainer.gradients(weights, await batches(step));
    if (!Number.isFinite(loss)) {
      throw new ModalscopeError(
        `The loss is ${loss} at step ${step}.`,
        "Training has diverged.",
        "Lower the learning rate.",
      );
    }
    const scale = clipFactor(gradients.values(), options.maxGradNorm);
    for (const [name, g] of gradients) {
      const w = weights.get(name)!;
      const first = momentsOf(state.first, name, w.data.length);
      const second = momentsOf(state.second, name, w.data.length);
      adamStep(w, g, { first, second }, { ...options, scale, step });
    }
    state.step++;
    await options.onStep?.(step, loss, routerAuxLoss);
    options.onProgress?.(step + 1, options.steps, `loss ${loss.toFixed(3)}`);
  }
}

function momentsOf(moments: Map<string, Float32Array>, name: string, length: number): Float32Array {
  const known = moments.get(name) ?? new Float32Array(length);
  moments.set(name, known);
  return known;
}

function clipFactor(gradients: Iterable<Float32Array>, limit: number | undefined): number {
  if (limit === undefined) return 1;
  let square = 0;
  for (const g of gradients) for (let i = 0; i < g.length; i++) square += g[i] * g[i];
  return Math.min(1, limit / Math.sqrt(square));
}

/** One step of AdamW (Kingma and Ba 2015; Loshchilov and Hutter 2019). */
function adamStep(
  { data: w, shape }: Tensor,
  g: Float32Array,
  { first, second }: { readonly first: Float32Array; readonly second: Float32Array },
  {
    scale,
    step,
    learningRate: rate,
    betas = [0.9, 0.95],
    epsilon = 1e-8,
    weightDecay = 0,
  }: TrainOptions & { readonly scale: number; readonly step: number },
): void {
  const [b1, b2] = betas;
  const size = rate(step) / (1 - b1 ** (step + 1));
  const correction = 1 / (1 - b2 ** (step + 1));
  const shrink = shape.length > 1 ? 1 - rate(step) * weightDecay : 1;
  for (let i = 0; i < w.length; i++) {
    const gi = g[i] * scale;
    first[i] = b1 * first[i] + (1 - b1) * gi;
    second[i] = b2 * second[i] + (1 - b2) * gi * gi;
    w[i] = w[i] * shrink - (size * first[i]) / (Math.sqrt(second[i] * correction) + epsilon);
  }
}
