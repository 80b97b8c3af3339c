/** Trains transcoders on captured activations, through the same AdamW as whole models. */
import { ModalscopeError } from "../../errors.js";
import { derivativeBy, emitOnnx } from "../../model/graph/index.js";
import type { WeightGradients, Weights } from "../../model/training/index.js";
import { checkOptions, integer } from "../../options.js";
import { createSession, type Session, type Value } from "../../runtime/index.js";
import type { Tensor } from "../../tensor.js";
import {
  layersOfGraph,
  type StepGraph,
  stepGraph,
  type TranscoderSpec,
  usedName,
  weightName,
} from "./graph.js";

/** Inputs and outputs of MLPs at the same tokens, by layer. */
export interface Activations {
  /** (tokens, width) of each layer. */
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/**
 * Activations of a step, with each layer's variance: Σ over the width of the outputs' variance over tokens.
 */
export interface TranscoderBatch extends Activations {
  readonly variance: readonly number[];
}

export interface TranscoderTrainerOptions {
  readonly threads?: number;
  /** Tokens without being active after which a feature counts as dead (default 50,000; long trainings take 10 million). */
  readonly deadAfter?: number;
}

/** Name of the weight that counts tokens since a layer's features were last active; it is not learned. */
export const unusedName = (layer: number): string => weightName(layer, "unused");

interface Step {
  readonly graph: StepGraph;
  readonly session: Promise<Session>;
}

/** The graph of a training step, opened; `train` of the engine takes it as it takes a model's trainer. */
export class TranscoderTrainer {
  private readonly steps = new Map<boolean, Step>();

  constructor(
    readonly spec: TranscoderSpec,
    private readonly options: TranscoderTrainerOptions = {},
  ) {
    checkOptions("TranscoderTrainer", options, { threads: integer(1), deadAfter: integer(1) });
    const { k, features, layers, width } = spec;
    for (const [name, value] of Object.entries({ k, features, layers, width })) {
      if (Number.isInteger(value) && value > 0) continue;
      throw new ModalscopeError(
        `Transcoders cannot have ${name} ${value}.`,
        "It must be an integer from 1 on.",
      );
    }
    if (k > features) throw new ModalscopeError(`TopK cannot keep ${k} of ${features} features.`);
  }

  /**
   * Share of variance not explained, and its derivative by every weight; counts which features were active.
   */
  async gradients(weights: Weights, batch: TranscoderBatch): Promise<WeightGradients> {
    const size = layersOfGraph(this.spec);
    const found = new Map<string, Float32Array>();
    let loss = 0;
    for (let first = 0; first < this.spec.layers; first += size) {
      const layers = Array.from({ length: size }, (_, i) => first + i);
      const dead = layers.map((layer) => this.deadIn(weights, layer));
      const step = this.step(dead.some((mask) => mask.includes(1)));
      const results = await this.run(step, weights, batch, { first, dead });
      loss += ((results.loss.data as Float32Array)[0] * size) / this.spec.layers;
      for (const name of step.graph.trainable)
        found.set(shifted(name, first), results[derivativeBy(name)].data as Float32Array);
      for (const [i, layer] of layers.entries())
        countUnused(weights.get(unusedName(layer))!.data, results[usedName(i)], batch.inputs[layer].shape[0]);
    }
    return { loss, weights: found };
  }

  /** 1 for each feature of a layer that has not been active for `deadAfter` tokens, else 0. */
  deadIn(weights: Weights, layer: number): Float32Array {
    const { deadAfter = 50_000 } = this.options;
    return weights.get(unusedName(layer))!.data.map((tokens) => (tokens >= deadAfter ? 1 : 0));
  }

  async close(): Promise<void> {
    for (const { session } of this.steps.values()) await (await session).release();
    this.steps.clear();
  }

  private step(auxiliary: boolean): Step {
    const known = this.steps.get(auxiliary);
    if (known) return known;
    const graph = stepGraph(this.spec, auxiliary);
    const model = emitOnnx(graph.outputs, { float: "float32", bind: () => ({ kind: "input" }) });
    const made = { graph, session: createSession(model, { threads: this.options.threads, arena: true }) };
    this.steps.set(auxiliary, made);
    return made;
  }

  private async run(
    { session }: Step,
    weights: Weights,
    batch: TranscoderBatch,
    { first, dead }: { readonly first: number; readonly dead: readonly Float32Array[] },
  ): Promise<Record<string, Value>> {
    const opened = await session;
    const feeds = opened.inputNames.map((name): [string, Value] => {
      const [part, place] = name.split(".");
      if (part === "layers") return [name, value(weights.get(shifted(name, first))!)];
      const i = Number(place);
      const layer = first + i;
      if (part === "x") return [name, value(batch.inputs[layer])];
      if (part === "y") return [name, value(batch.outputs[layer])];
      if (part === "dead") return [name, value({ data: dead[i], shape: [dead[i].length] })];
      const share = 1 / (batch.inputs[layer].shape[0] * batch.variance[layer]);
      return [name, value({ data: Float32Array.of(share), shape: [] })];
    });
    return opened.run(Object.fromEntries(feeds), opened.outputNames);
  }
}

const value = ({ data, shape }: Tensor): Value => ({ type: "float32", dims: shape, data });

/** The name of a weight of a graph that begins with layer 0, `by` layers further on. */
function shifted(name: string, by: number): string {
  if (by === 0) return name;
  return name.replace(/^layers\.0\./, `layers.${by}.`).replace(/W_dec\.0$/, `W_dec.${by}`);
}

function countUnused(unused: Float32Array, { data }: Value, tokens: number): void {
  const used = data as Float32Array;
  for (let f = 0; f < unused.length; f++) unused[f] = used[f] > 0 ? 0 : unused[f] + tokens;
}
