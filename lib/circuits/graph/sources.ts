/** Sources that write to the stream in a frozen run: active features, their errors, embeddings and biases. */
import type { Batch, Model } from "../../model/index.js";
import type { FrozenRun, PullPoint, SkipConnection } from "../../model/methods/index.js";
import type { Tensor } from "../../tensor.js";
import { reconstruct, skipOutput } from "../transcoders/reconstruct.js";
import type { SparseFeatures, TranscoderSet } from "../transcoders/types.js";
import type { GraphNode } from "./nodes.js";

/**
 * The first position attends to nothing but itself, and its MLP outputs are large and the same for all prompts: there
 * they are one node for each layer ("whole"), features like elsewhere ("features"), or left out as circuit-tracer does
 * ("none": the inputs of a node then do not add up). What goes along a skip connection does so at every position.
 */
export type FirstPosition = "whole" | "features" | "none";

/** Nodes that write, and the points at which they do. */
export interface Sources {
  readonly nodes: readonly GraphNode[];
  /** Active features of each layer, those at positions without feature nodes left out. */
  readonly features: readonly SparseFeatures[];
  /** Number of the first feature node of each layer. */
  readonly firstFeature: readonly number[];
  readonly points: readonly SourcePoint[];
}

/** Vectors that are written at a hook, and the nodes that they belong to. */
export interface SourcePoint extends PullPoint {
  readonly hook: string;
  /** (time, K, width) */
  readonly vectors: Tensor;
  /** (time, K): node of each vector; −1 where there is none. */
  readonly nodes: Int32Array;
}

/** Hooks of a run that its sources are made from. */
export function sourceHooks(model: Model, set: TranscoderSet): string[] {
  const blocks = model.layers.flatMap((l) => [`blocks.${l}.${set.hookIn}`, `blocks.${l}.${set.hookOut}`]);
  return ["hook_embed", ...blocks, ...embeddingHooks(model).filter((h) => h !== "hook_embed")];
}

/**
 * The skip connections of a set as ways through a frozen run, as circuit-tracer's replacement model has them: the MLP's
 * output is skip · x and a constant, so that cotangents go on along the skip connection alone.
 */
export function skipConnections({ layers, hookOut }: TranscoderSet): SkipConnection[] {
  return layers.flatMap(({ layer, hookIn, skip }) =>
    skip ? [{ from: hookIn, to: `blocks.${layer}.${hookOut}`, matrix: skip }] : [],
  );
}

/** Hooks at which tokens enter: the embedding, GPT-2's positions, DeepStack's additions. */
function embeddingHooks(model: Model): string[] {
  return model.hooks.filter(
    (h) => h === "hook_embed" || h === "hook_pos_embed" || h.endsWith(".hook_deepstack"),
  );
}

/** The sources of a frozen run. */
export async function findSources(
  model: Model,
  set: TranscoderSet,
  run: FrozenRun,
  firstPosition: FirstPosition,
): Promise<Sources> {
  const { batch } = run;
  const inputs = set.layers.map(({ hookIn }) => withoutBatch(run.cache.get(hookIn)));
  const encoded = await Promise.all(set.layers.map((layer, l) => layer.encode(inputs[l])));
  const features = firstPosition === "features" ? encoded : encoded.map(withoutFirst);
  const nodes: GraphNode[] = [];
  const firstFeature = features.map((sparse, layer) => {
    const first = nodes.length;
    nodes.push(...featureNodes(sparse, layer));
    return first;
  });
  const time = batch.seqLength;
  const firstError = nodes.length;
  for (const { layer } of set.layers)
    for (let position = 0; position < time; position++) nodes.push({ kind: "error", layer, position });
  const firstToken = nodes.length;
  nodes.push(...tokenNodes(batch));
  const firstBias = nodes.length;
  nodes.push(...model.layers.map((layer): GraphNode => ({ kind: "bias", of: "block", layer })));
  nodes.push({ kind: "bias", of: "head" }, { kind: "bias", of: "encoder" });
  const made = { set, features, inputs, firstFeature, firstError, firstBias, firstPosition };
  const points = [
    ...set.layers.map(({ layer }) => mlpPoint(made, run, layer)),
    ...embeddingHooks(model)
      .filter((hook) => run.cache.has(hook))
      .map((hook) => embeddingPoint(run.cache.get(hook), hook, firstToken)),
  ];
  return { nodes, features, firstFeature, points };
}

function featureNodes({ tokens, offsets, ids, values, leftOut }: SparseFeatures, layer: number): GraphNode[] {
  const nodes: GraphNode[] = [];
  for (let position = 0; position < tokens; position++) {
    for (let i = offsets[position]; i < offsets[position + 1]; i++) {
      const own = { kind: "feature", layer, position, feature: ids[i], activation: values[i] } as const;
      nodes.push(leftOut[position] > 0 ? { ...own, margin: values[i] - leftOut[position] } : own);
    }
  }
  return nodes;
}

function tokenNodes(batch: Batch): GraphNode[] {
  const visual = new Set(batch.images ? batch.visual[0] : []);
  return Array.from({ length: batch.seqLength }, (_, position) =>
    visual.has(position)
      ? { kind: "image token", position }
      : { kind: "token", position, token: batch.inputIds[position] },
  );
}

/** The features of all positions but the first. */
function withoutFirst(sparse: SparseFeatures): SparseFeatures {
  const from = sparse.offsets[1];
  return {
    ...sparse,
    offsets: sparse.offsets.map((o) => Math.max(0, o - from)),
    ids: sparse.ids.subarray(from),
    values: sparse.values.subarray(from),
  };
}

interface Encoding {
  readonly set: TranscoderSet;
  readonly features: readonly SparseFeatures[];
  readonly inputs: readonly Tensor[];
  readonly firstFeature: readonly number[];
  readonly firstError: number;
  readonly firstBias: number;
  readonly firstPosition: FirstPosition;
}

/**
 * Sources that write at a layer's MLP output: features of it, or of all layers up to it, its error and its b_dec. What a
 * skip connection writes is no source: it depends on what the layer reads.
 */
function mlpPoint(made: Encoding, run: FrozenRun, layer: number): SourcePoint {
  const { set, features, inputs, firstFeature, firstError, firstBias, firstPosition } = made;
  const hook = `blocks.${layer}.${set.hookOut}`;
  const out = withoutBatch(run.cache.get(hook));
  const [time, width] = out.shape;
  const { bias, skip } = set.layers[layer];
  const writers = set.layers.filter(({ targets }) => targets.includes(layer));
  const rows = writers.map((w) => w.decoderRows(features[w.layer].ids, layer).data);
  const reconstruction = reconstruct(set, layer, { features, inputs });
  const whole = (t: number): boolean => t === 0 && firstPosition !== "features";
  const skipped = skip && skipOutput(skip, firstToken(inputs[layer])).data;
  const counts = Array.from({ length: time }, (_, t) =>
    writers.reduce((n, w) => n + features[w.layer].offsets[t + 1] - features[w.layer].offsets[t], 2),
  );
  const most = Math.max(...counts);
  const vectors = { data: new Float32Array(time * most * width), shape: [time, most, width] };
  const nodes = new Int32Array(time * most).fill(-1);
  for (let t = 0; t < time; t++) {
    let k = t * most;
    const write = (node: number, value: (j: number) => number): void => {
      nodes[k] = node;
      for (let j = 0; j < width; j++) vectors.data[k * width + j] = value(j);
      k++;
    };
    writers.forEach((w, n) => {
      const { offsets, values } = features[w.layer];
      for (let i = offsets[t]; i < offsets[t + 1]; i++)
        write(firstFeature[w.layer] + i, (j) => values[i] * rows[n][i * width + j]);
    });
    if (whole(t)) {
      if (firstPosition === "whole")
        write(firstError + layer * time, (j) => out.data[j] - (skipped?.[j] ?? 0));
      continue;
    }
    write(firstError + layer * time + t, (j) => out.data[t * width + j] - reconstruction.data[t * width + j]);
    write(firstBias + layer, (j) => bias[j]);
  }
  return { hook, vectors, nodes };
}

function embeddingPoint(x: Tensor, hook: string, firstToken: number): SourcePoint {
  const [, time, width] = x.shape;
  return {
    hook,
    vectors: { data: x.data, shape: [time, 1, width] },
    nodes: Int32Array.from({ length: time }, (_, t) => firstToken + t),
  };
}

const firstToken = ({ data, shape: [, width] }: Tensor): Tensor => ({
  data: data.subarray(0, width),
  shape: [1, width],
});

const withoutBatch = ({ data, shape }: Tensor): Tensor => ({ data, shape: shape.slice(1) });
