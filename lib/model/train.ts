/** Training of small checkpoints: the whole model as one graph, its loss and every derivative as outputs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../errors.js";
import type { LongCall } from "../progress.js";
import { seeded } from "../random.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { Batch } from "./batch.js";
import { loadBalancingLoss } from "./experts/graph.js";
import { type Family, familyOf, type TextConfig } from "./families/index.js";
import { input, type Node, scalar, sorted } from "./graph/node.js";
import { emitOnnx } from "./graph/onnx.js";
import { add, logSoftmax, mul, neg, sum } from "./graph/ops.js";
import { pullback } from "./graph/vjp.js";
import { promptPass, SharedFeeds } from "./pass.js";
import { buildPiece, HEAD, weightsOf } from "./program.js";
import { createSession, type Session, type Value } from "./runtime/session.js";
import { writeSafetensors } from "./weights/index.js";

/** Weights by checkpoint name; training changes them in place. */
export type Weights = Map<string, Tensor>;

/** Rows to learn from: for each cell the token to predict next, and how much it counts. */
export interface TrainingBatch {
  /** Padded on the right. */
  readonly batch: Batch;
  /** (batch, time): the token that should follow each column. */
  readonly targets: Int32Array;
  /** (batch, time): the weight of each prediction in the loss; 0 leaves it out. */
  readonly counts: Float32Array;
}

export interface TrainOptions extends LongCall {
  readonly steps: number;
  /** Learning rate at a step, counted from 0. */
  readonly rate: (step: number) => number;
  readonly betas?: readonly [number, number];
  readonly epsilon?: number;
  /** Decoupled decay of matrices, per unit of learning rate (Loshchilov and Hutter 2019). */
  readonly decay?: number;
  /** Largest norm of the whole gradient. */
  readonly clip?: number;
  readonly threads?: number;
  readonly onStep?: (step: number, loss: number) => void;
}

/** Loss and gradients of one batch. */
export interface WeightGradients {
  /** What was differentiated: weighted mean cross-entropy, nats, with the balance of the experts where it counts. */
  readonly loss: number;
  /** The experts' load-balancing loss, before its coefficient; the number of experts per token where all are used alike. */
  readonly balance?: number;
  readonly weights: ReadonlyMap<string, Float32Array>;
}

export interface TrainerOptions {
  readonly threads?: number;
  /**
   * How much the experts' load-balancing loss counts (default 0). transformers adds it with `router_aux_loss_coef`
   * of config.json where `output_router_logits` is set.
   */
  readonly balance?: number;
}

/** A model whose weights are inputs of its graph. */
export class Trainer {
  private constructor(
    private readonly family: Family,
    readonly config: TextConfig,
    private readonly session: Session,
    private readonly names: readonly string[],
  ) {}

  /** @param raw a config.json; mixtures of experts are computed densely, every expert on every token */
  static async open(
    raw: Readonly<Record<string, unknown>>,
    { threads, balance = 0 }: TrainerOptions = {},
  ): Promise<Trainer> {
    const family = familyOf(raw);
    const config = family.parse(raw);
    const { outputs, names } = trainingGraph(family, config, balance);
    const model = emitOnnx(outputs, { float: "float32", bind: () => ({ kind: "input" }) });
    return new Trainer(family, config, await createSession(model, { threads, arena: true }), names);
  }

  /** Mean cross-entropy of the batch and its derivative by every weight. */
  async gradients(weights: Weights, data: TrainingBatch): Promise<WeightGradients> {
    const { batch, targets, counts } = data;
    const { config, family } = this;
    const shared = new SharedFeeds(config, promptPass(batch), (n) => new Float32Array(n));
    const feeds: Record<string, Value> = {};
    const feed = (name: string, { data, shape }: Tensor): void => {
      if (this.session.inputNames.includes(name)) feeds[name] = { type: "float32", dims: shape, data };
    };
    for (const [name, w] of weights) feed(name, w);
    const embedding = weights.get(family.names.embedding)!;
    const factor = family.embeddingScale(config);
    feed("x", gatherRows(embedding, batch, factor));
    for (const type of new Set(config.layer_types)) {
      const layer = config.layer_types.indexOf(type);
      const { cos, sin } = shared.rotations(layer);
      feed(`${type}.cos`, cos);
      feed(`${type}.sin`, sin);
      feed(`${type}.mask`, shared.mask(layer));
    }
    feed("targets", oneHot(targets, counts, batch, config.vocab_size));
    feed("tokens", shares(batch));
    const outputs = this.session.outputNames.filter((name) => !name.startsWith("d "));
    const results = await this.session.run(feeds, [...outputs, "d x", ...this.names.map((n) => `d ${n}`)]);
    const found = new Map(this.names.map((n) => [n, results[`d ${n}`].data as Float32Array]));
    const own = found.get(family.names.embedding) ?? new Float32Array(embedding.data.length);
    scatterRows(results["d x"].data as Float32Array, batch, factor, config.hidden_size, own);
    found.set(family.names.embedding, own);
    const number = (name: string): number => (results[name].data as Float32Array)[0];
    return {
      loss: number("loss"),
      ...(results.balance && { balance: number("balance") }),
      weights: found,
    };
  }

  close(): Promise<void> {
    return this.session.release();
  }
}

/** All blocks and the head in one graph: `loss`, `balance` where there are experts, `d x` and `d <weight>`. */
function trainingGraph(
  family: Family,
  config: TextConfig,
  coefficient: number,
): { outputs: Record<string, Node>; names: string[] } {
  const x = input("x", ["batch", "time", config.hidden_size]);
  let stream = x;
  const routers: Node[] = [];
  for (let l = 0; l < config.num_hidden_layers; l++) {
    const variant = { ...trainingVariant, inputPrefix: `${config.layer_types[l]}.` };
    const { out, taps } = buildPiece(family, config, l, variant, stream);
    stream = out;
    if (family.experts?.(config, l)) routers.push(taps.get("mlp.hook_router_logits")!);
  }
  const logits = buildPiece(family, config, HEAD, {}, stream).out;
  const targets = input("targets", logits.shape);
  const crossEntropy = neg(sum(mul(targets, logSoftmax(logits)), [-1, -2, -3]));
  const balance = balanceOf(family, config, routers);
  const loss = balance && coefficient !== 0 ? add(crossEntropy, mul(balance, coefficient)) : crossEntropy;
  const names = [...weightsOf([loss]).keys()];
  const leaves = new Map(
    sorted([loss])
      .filter((n) => n.op === "Weight")
      .map((n) => [n.attributes.name as string, n]),
  );
  const derivatives = pullback(new Map([[loss, scalar(1)]]), [x, ...names.map((n) => leaves.get(n)!)]);
  const outputs: Record<string, Node> = { loss, ...(balance && { balance }), "d x": derivatives[0]! };
  names.forEach((name, i) => {
    outputs[`d ${name}`] = derivatives[i + 1]!;
  });
  return { outputs, names };
}

const trainingVariant = { withoutPast: true, dense: true };

function balanceOf(family: Family, config: TextConfig, routers: readonly Node[]): Node | undefined {
  const sparse = Array.from({ length: config.num_hidden_layers }, (_, l) => family.experts?.(config, l));
  const experts = sparse.find((e) => e !== undefined);
  return experts && loadBalancingLoss(routers, input("tokens", ["batch", "time", 1]), experts);
}

/** (batch, time, 1): each token's share of the batch's tokens. */
function shares({ mask, size, time }: Batch): Tensor {
  const total = mask.reduce((a, b) => a + b, 0);
  return { data: Float32Array.from(mask, (m) => m / total), shape: [size, time, 1] };
}

function gatherRows(matrix: Tensor, { ids, size, time }: Batch, factor: number): Tensor {
  const d = matrix.shape[1];
  const data = new Float32Array(ids.length * d);
  for (let t = 0; t < ids.length; t++) {
    for (let i = 0; i < d; i++) data[t * d + i] = matrix.data[ids[t] * d + i] * factor;
  }
  return { data, shape: [size, time, d] };
}

function scatterRows(
  from: Float32Array,
  { ids, mask }: Batch,
  factor: number,
  d: number,
  into: Float32Array,
): void {
  for (let t = 0; t < ids.length; t++) {
    if (!mask[t]) continue;
    for (let i = 0; i < d; i++) into[ids[t] * d + i] += from[t * d + i] * factor;
  }
}

function oneHot(
  targets: Int32Array,
  counts: Float32Array,
  { size, time }: Batch,
  vocabulary: number,
): Tensor {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!(total > 0))
    throw new ModalscopeError("No prediction of the batch counts.", "All its weights are zero.");
  const data = new Float32Array(targets.length * vocabulary);
  for (let t = 0; t < targets.length; t++)
    if (counts[t] > 0) data[t * vocabulary + targets[t]] = counts[t] / total;
  return { data, shape: [size, time, vocabulary] };
}

/** Fresh weights as Hugging Face makes them: normal with `initializer_range`, gains 1 (Gemma's 0), biases 0. */
export function initialWeights(raw: Readonly<Record<string, unknown>>, seed: number): Weights {
  const family = familyOf(raw);
  const config = family.parse(raw);
  const random = seeded(seed);
  const std = typeof raw.initializer_range === "number" ? raw.initializer_range : 0.02;
  const gain = config.model_type.startsWith("gemma") ? 0 : 1;
  const shapes = new Map<string, readonly number[]>([
    [family.names.embedding, [config.vocab_size, config.hidden_size]],
  ]);
  for (const id of [...Array(config.num_hidden_layers).keys(), HEAD] as const) {
    for (const [name, shape] of weightsOf([buildPiece(family, config, id, trainingVariant).out]))
      shapes.set(name, shape);
  }
  const made: Weights = new Map();
  for (const [name, shape] of shapes) {
    const data = new Float32Array(sizeOf(shape));
    if (shape.length > 1) for (let i = 0; i < data.length; i++) data[i] = std * random.normal();
    else if (name.includes("norm")) data.fill(gain);
    made.set(name, { data, shape });
  }
  return made;
}

/** Trains with AdamW, changing `weights` in place. */
export async function train(
  trainer: Trainer,
  weights: Weights,
  batches: (step: number) => TrainingBatch,
  options: TrainOptions,
): Promise<void> {
  const moments = new Map(
    [...weights].map(([name, { data }]) => [
      name,
      [new Float32Array(data.length), new Float32Array(data.length)],
    ]),
  );
  for (let step = 0; step < options.steps; step++) {
    options.signal?.throwIfAborted();
    const { loss, weights: gradients } = await trainer.gradients(weights, batches(step));
    if (!Number.isFinite(loss)) {
      throw new ModalscopeError(
        `The loss is ${loss} at step ${step}.`,
        "Training has diverged.",
        "Lower the learning rate.",
      );
    }
    const scale = clipFactor(gradients.values(), options.clip);
    for (const [name, w] of weights) {
      const [first, second] = moments.get(name)!;
      adamStep(w, gradients.get(name)!, first, second, scale, step, options);
    }
    options.onStep?.(step, loss);
    options.progress?.(step + 1, options.steps, `loss ${loss.toFixed(3)}`);
  }
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
  first: Float32Array,
  second: Float32Array,
  scale: number,
  step: number,
  { rate, betas = [0.9, 0.95], epsilon = 1e-8, decay = 0 }: TrainOptions,
): void {
  const [b1, b2] = betas;
  const size = rate(step) / (1 - b1 ** (step + 1));
  const correction = 1 / (1 - b2 ** (step + 1));
  const shrink = shape.length > 1 ? 1 - rate(step) * decay : 1;
  for (let i = 0; i < w.length; i++) {
    const gi = g[i] * scale;
    first[i] = b1 * first[i] + (1 - b1) * gi;
    second[i] = b2 * second[i] + (1 - b2) * gi * gi;
    w[i] = w[i] * shrink - (size * first[i]) / (Math.sqrt(second[i] * correction) + epsilon);
  }
}

/** Writes config.json and model.safetensors as Hugging Face does. */
export function saveCheckpoint(
  folder: string,
  raw: Readonly<Record<string, unknown>>,
  weights: Weights,
): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(raw, null, 2)}\n`);
  writeSafetensors(join(folder, "model.safetensors"), Object.fromEntries(weights), { format: "pt" });
}
