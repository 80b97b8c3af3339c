/** Attribution graphs: one sweep through a frozen run, from the logits down to tokens and patches. */
import { formatBytes } from "../../bytes.js";
import { ModalscopeError } from "../../errors.js";
import type { Batch, Model } from "../../model/index.js";
import {
  type FrozenRun,
  freeze,
  logitTargets,
  type Pulled,
  type PullPoint,
  type PullTarget,
  pullBack,
} from "../../model/methods/index.js";
import {
  checkOptions,
  flag,
  integer,
  list,
  number,
  type OptionChecks,
  oneOf,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import { checkTranscoders } from "../transcoders/check.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { chooseFeatures, RowStore } from "./choose.js";
import type { AttributionGraph, GraphNode, PatchEdges } from "./nodes.js";
import { patchPlaces } from "./patches.js";
import { type FirstPosition, findSources, type Sources, skipConnections, sourceHooks } from "./sources.js";

/** A direction to explain: what `ln_final.hook_normalized` is read with, or a combination of logits. */
export interface Direction {
  readonly name: string;
  /** Share in the influence (default 1). */
  readonly weight?: number;
  /** By token id: the direction is Σ coefficient · (logit − mean logit). */
  readonly logits: ReadonlyMap<number, number>;
}

export interface AttributeOptions extends TaskOptions {
  /** Tokens whose logits are explained (default: the most likely ones, up to a probability of 0.95 together, at most 10). */
  readonly logits?: readonly number[];
  readonly directions?: readonly Direction[];
  readonly logitProbability?: number;
  readonly maxLogits?: number;
  /** Share of the influence that must be followed (default 1: every active feature is). */
  readonly threshold?: number;
  /** Most features that are followed: each layer's share of the active ones, the most influential first. */
  readonly maxFeatures?: number;
  readonly firstPosition?: FirstPosition;
  /** Goes on through the projector and the tower to the image's patches. */
  readonly patches?: boolean;
  /** Rows in one call (default 64). */
  readonly atOnce?: number;
}

export const ATTRIBUTE_OPTIONS: OptionChecks<AttributeOptions> = {
  ...TASK_OPTIONS,
  logits: list,
  directions: list,
  logitProbability: number(0, 1),
  maxLogits: integer(1),
  threshold: number(0, 1),
  maxFeatures: integer(1),
  firstPosition: oneOf("whole", "features", "none"),
  patches: flag,
  atOnce: integer(1),
};

/**
 * The attribution graph of a prompt: direct effects between features, what transcoders leave unexplained, tokens, biases
 * and logits, with attention patterns, norm scales and feature gates held. Each target's edges add up to its value.
 * A skip connection of transcoders is a part of what is held: edges go along it, and it is no node.
 * The rows of a layer's features start when all above it is done; `threshold` then bounds the influence of those that are
 * left out from above, since what is not yet seen of a row counts as one further source.
 * @throws ModalscopeError for transcoders of another model, more than one prompt, patches without an image, an unknown
 * token, or more nodes than the memory holds
 */
export async function attribute(
  model: Model,
  batch: Batch,
  set: TranscoderSet,
  options: AttributeOptions = {},
): Promise<AttributionGraph> {
  checkOptions("attribute", options, ATTRIBUTE_OPTIONS);
  checkTranscoders(set, model);
  checkRequest(model, batch, options);
  const { firstPosition = "whole", patches = false, signal } = options;
  const towerHooks = patches ? [PATCHES] : [];
  checkSize(model, mostNodes(set, batch), options);
  const run = await freeze(model, batch, { capture: [...sourceHooks(model, set), ...towerHooks], signal });
  const sources = await findSources(model, set, run, firstPosition);
  const outputs = await outputsOf(run, options);
  const graph = new GraphBuilder(model, set, run, { sources, outputs, options });
  await pullBack(model, run, graph.pull());
  return graph.finish();
}

const PATCHES = "vision.hook_patches";

function checkRequest(
  model: Model,
  batch: Batch,
  { logits, threshold, patches, directions }: AttributeOptions,
): void {
  if (typeof batch?.seqLength !== "number")
    throw new ModalscopeError(
      "attribute explains a batch of one prompt.",
      `It is given ${typeof batch === "string" ? "a text" : "something else"}.`,
      "Prepare the prompt: await model.prepare([prompt]).",
    );
  if (patches && !batch.images?.length) {
    throw new ModalscopeError(
      "Patches are asked for, and the prompt has no image.",
      "",
      "Give a prompt with an image.",
    );
  }
  if (threshold !== undefined && !(threshold > 0 && threshold <= 1))
    throw new ModalscopeError(`The threshold ${threshold} is no share.`, "It lies above 0 and up to 1.");
  if (logits?.length === 0 && !directions?.length)
    throw new ModalscopeError(
      "There is no logit and no direction to explain.",
      "The list of logits is empty.",
      "Leave it out for the most likely tokens.",
    );
  const ids = [...(logits ?? []), ...(directions ?? []).flatMap((d) => [...d.logits.keys()])];
  const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < model.config.vocab_size));
  if (bad !== undefined)
    throw new ModalscopeError(`There is no token ${bad}.`, `The vocabulary has ${model.config.vocab_size}.`);
}

/** Nodes of the graph of a set with TopK, which a prompt's length bounds; no features where thresholds decide. */
function mostNodes(
  { layers }: TranscoderSet,
  { seqLength: time }: Batch,
): { features: number; others: number } {
  const features = layers.reduce((n, { activation: a }) => n + (a.kind === "topk" ? a.k * (time - 1) : 0), 0);
  return { features, others: layers.length * (time + 1) + time + 2 };
}

/** @throws ModalscopeError when the table of edges does not fit, saying how many features do */
function checkSize(
  { engine }: Model,
  { features, others }: { readonly features: number; readonly others: number },
  { maxFeatures = features }: AttributeOptions,
): void {
  const nodes = features + others;
  const followed = Math.min(features, maxFeatures);
  const bytes = 4 * followed * nodes;
  if (bytes <= engine.captureBytes) return;
  const fitting = Math.floor(engine.captureBytes / 2 / (4 * nodes));
  throw new ModalscopeError(
    `This graph has ${nodes} nodes, and edges to ${followed} features would take ${formatBytes(bytes)}.`,
    `${formatBytes(engine.captureBytes)} are left for them.`,
    fitting > 0
      ? `Follow fewer (maxFeatures: ${fitting}), give a shorter prompt, or load the model with more memory.`
      : "Give a shorter prompt, or load the model with more memory.",
  );
}

/** Output nodes, and the rows that start from them. */
interface Outputs {
  readonly nodes: readonly GraphNode[];
  readonly targets: readonly PullTarget[];
  /** Contribution of the head's biases to each. */
  readonly constants: Float32Array;
  readonly values: Float64Array;
}

/** The most likely tokens, or those asked for, and directions, as vectors that the last norm's output is read with. */
async function outputsOf(run: FrozenRun, options: AttributeOptions): Promise<Outputs> {
  const { logitProbability = 0.95, maxLogits = 10, directions = [] } = options;
  const probabilities = softmax(run.logits.data);
  const ids =
    options.logits ?? (directions.length > 0 ? [] : mostLikely(probabilities, logitProbability, maxLogits));
  const vocabulary = probabilities.length;
  const wanted = [...ids.map((id) => new Map([[id, 1]])), ...directions.map((d) => d.logits)];
  const cotangents = {
    data: new Float32Array(wanted.length * vocabulary),
    shape: [wanted.length, vocabulary],
  };
  wanted.forEach((coefficients, i) => {
    const total = [...coefficients.values()].reduce((a, b) => a + b, 0);
    const row = cotangents.data.subarray(i * vocabulary, (i + 1) * vocabulary).fill(-total / vocabulary);
    for (const [id, coefficient] of coefficients) row[id] += coefficient;
  });
  const { targets, constants } = await logitTargets(run, cotangents);
  const read = run.held.values.get(targets[0].hook)!;
  const values = Float64Array.from(targets, ({ column, vector }, i) => {
    const x = read.data.subarray(column * vector.length, (column + 1) * vector.length);
    return x.reduce((sum, v, j) => sum + v * vector[j], constants[i]);
  });
  const nodes: GraphNode[] = [
    ...ids.map((token): GraphNode => ({ kind: "logit", token, probability: probabilities[token] })),
    ...directions.map(({ name, weight = 1 }): GraphNode => ({ kind: "direction", name, weight })),
  ];
  return { nodes, targets, constants, values };
}

function softmax(logits: Float32Array): Float64Array {
  const most = logits.reduce((m, v) => Math.max(m, v), Number.NEGATIVE_INFINITY);
  const e = Float64Array.from(logits, (v) => Math.exp(v - most));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

/** The smallest set of most likely tokens that reaches a probability, or the first `most` of it. */
function mostLikely(probabilities: Float64Array, least: number, most: number): number[] {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const ids: number[] = [];
  for (let sum = 0; ids.length < most && sum < least; sum += probabilities[ids[ids.length - 1]])
    ids.push(order[ids.length]);
  return ids;
}

/** Receives what is pulled back and makes edges of it. */
class GraphBuilder {
  private readonly nodes: readonly GraphNode[];
  private readonly store: RowStore;
  private readonly firstBias: number;
  private readonly patchRows: Float32Array[] = [];
  private readonly mostRows: number;

  constructor(
    private readonly model: Model,
    private readonly set: TranscoderSet,
    private readonly run: FrozenRun,
    private readonly made: { sources: Sources; outputs: Outputs; options: AttributeOptions },
  ) {
    const { sources, outputs, options } = made;
    this.nodes = [...sources.nodes, ...outputs.nodes];
    this.firstBias = sources.nodes.findIndex(({ kind }) => kind === "bias");
    const active = sources.features.reduce((n, { ids }) => n + ids.length, 0);
    this.mostRows = Math.min(active, options.maxFeatures ?? active) + outputs.nodes.length;
    checkSize(model, { features: active, others: this.nodes.length - active }, options);
    this.store = new RowStore(this.nodes.length);
    outputs.nodes.forEach((node, i) => {
      const weight = node.kind === "direction" ? node.weight : node.kind === "logit" ? node.probability : 0;
      const row = this.store.add(sources.nodes.length + i, outputs.values[i], weight);
      this.store.edges(row)[this.firstBias + this.model.layers.length] += outputs.constants[i];
    });
  }

  pull(): Parameters<typeof pullBack>[2] {
    const { sources, outputs, options } = this.made;
    return {
      targets: outputs.targets,
      join: (layer) => this.join(layer),
      joinAt: this.set.hookIn,
      at: [...sources.points, ...(options.patches ? [this.patchPoint()] : [])],
      biases: "language model",
      skips: skipConnections(this.set),
      take: (pulled) => this.take(pulled),
      atOnce: options.atOnce,
      most: this.mostRows,
      signal: options.signal,
      onProgress: options.onProgress,
    };
  }

  /** The features of a layer that are followed, now that everything that they lead to is known. */
  private join(layer: number): PullTarget[] {
    const { sources, options } = this.made;
    const { offsets, ids, values, tokens } = sources.features[layer];
    const first = sources.firstFeature[layer];
    const layers = this.set.layers.length;
    const chosen = chooseFeatures(
      this.store,
      { first, count: ids.length },
      { ...options, layers, all: this.mostRows },
    );
    const own = this.set.layers[layer];
    const picked = chosen.map((i) => ids[i]);
    const encoder = own.encoderRows(picked).data;
    const biases = own.encoderBias(picked);
    const position = new Int32Array(ids.length);
    for (let t = 0; t < tokens; t++) position.fill(t, offsets[t], offsets[t + 1]);
    return chosen.map((i, n) => {
      const row = this.store.add(first + i, values[i], 0);
      this.store.edges(row)[this.firstBias + layers + 1] = biases[n];
      const vector = encoder.subarray(n * own.width, (n + 1) * own.width);
      return { hook: own.hookIn, column: position[i], vector };
    });
  }

  private take({ hook, rows, values }: Pulled): void {
    if (hook === PATCHES) this.takePatches(rows, values);
    else if (hook.startsWith("biases of ")) this.takeBiases(hook.slice("biases of ".length), rows, values);
    else this.takeEdges(hook, rows, values);
  }

  private takeEdges(hook: string, rows: readonly number[], { data, shape: [time, count, k] }: Tensor): void {
    const { nodes } = this.made.sources.points.find((p) => p.hook === hook)!;
    rows.forEach((row, r) => {
      const edges = this.store.edges(row);
      for (let t = 0; t < time; t++) {
        const from = (t * count + r) * k;
        for (let i = 0; i < k; i++) {
          const node = nodes[t * k + i];
          if (node >= 0) edges[node] += data[from + i];
        }
      }
    });
  }

  private takeBiases(piece: string, rows: readonly number[], { data }: Tensor): void {
    const layer = Number(piece);
    rows.forEach((row, r) => {
      if (Number.isInteger(layer)) this.store.edges(row)[this.firstBias + layer] += data[r];
      else if (piece === "head") this.store.edges(row)[this.firstBias + this.model.layers.length] += data[r];
    });
  }

  /** The image's patches as the vectors that the tower reads. */
  private patchPoint(): PullPoint {
    const { data, shape } = this.run.cache.get(PATCHES);
    const [images, perImage, width] = shape;
    return { hook: PATCHES, vectors: { data, shape: [images, perImage, 1, width] } };
  }

  private takePatches(rows: readonly number[], { data }: Tensor): void {
    const patches = data.length / rows.length;
    rows.forEach((row, r) => {
      this.patchRows[row] = Float32Array.from(data.subarray(r * patches, (r + 1) * patches));
    });
  }

  finish(): AttributionGraph {
    const { model, set, run, nodes, store } = this;
    const { sources } = this.made;
    const tokens = Array.from(run.batch.inputIds, Number);
    return {
      model: model.hash,
      transcoders: set.model,
      tokens,
      text: tokens.map((id) =>
        model.tokenizer ? model.decode([id], { skipSpecialTokens: false }) : String(id),
      ),
      layers: model.layers.length,
      nodes,
      targets: store.nodes,
      edges: store.all(),
      values: Float64Array.from(store.values),
      followed: store.followed(sources.firstFeature[0], sources.features),
      active: sources.features.reduce((n, { ids }) => n + ids.length, 0),
      patches: this.made.options.patches ? this.patchEdges() : undefined,
    };
  }

  private patchEdges(): PatchEdges {
    const [images, perImage] = this.run.cache.get(PATCHES).shape;
    const size = images * perImage;
    const edges = new Float32Array(this.store.nodes.length * size);
    const constants = new Float64Array(this.store.nodes.length);
    const visual = [...this.nodes.keys()].filter((i) => this.nodes[i].kind === "image token");
    this.patchRows.forEach((own, row) => {
      edges.set(own, row * size);
      const fromTokens = this.store.edges(row);
      // What the image tokens bring, and its patches do not explain.
      constants[row] =
        visual.reduce((sum, i) => sum + fromTokens[i], 0) - own.reduce((sum, edge) => sum + edge, 0);
    });
    return { images, perImage, edges, constants, ...patchPlaces(this.model, this.run.batch, perImage) };
  }
}
