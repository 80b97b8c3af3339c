/** Weights of transcoders in training: how they begin, and the set that they make. */
import type { Weights } from "../../model/training/index.js";
import { type Random, seeded } from "../../random.js";
import { filled, type Tensor } from "../../tensor.js";
import { createTranscoder } from "../transcoders/layer.js";
import { products } from "../transcoders/products.js";
import { matrixOf, type RowMatrix } from "../transcoders/rows.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { decoderName, type TranscoderSpec, weightName } from "./graph.js";
import { type Activations, unusedName } from "./trainer.js";

/**
 * First weights: encoder rows uniform on ±1/√width, decoders zero, so that the first output is the mean;
 * b_enc puts
 * the mean input at zero.
 * @param sample tokens whose means these are
 */
export function initialTranscoderWeights(spec: TranscoderSpec, sample: Activations, seed: number): Weights {
  const { layers, width, features, skip, kind } = spec;
  const random = seeded(seed);
  const weights: Weights = new Map();
  for (let l = 0; l < layers; l++) {
    const encoder = uniform(random, features * width, 1 / Math.sqrt(width));
    const mean = meanOf(sample.inputs[l]);
    const bias = new Float32Array(features);
    for (let f = 0; f < features; f++)
      for (let j = 0; j < width; j++) bias[f] -= encoder[f * width + j] * mean[j];
    weights.set(weightName(l, "W_enc"), { data: encoder, shape: [features, width] });
    weights.set(weightName(l, "b_enc"), { data: bias, shape: [features] });
    weights.set(weightName(l, "b_dec"), { data: meanOf(sample.outputs[l]), shape: [width] });
    for (let target = l; target < (kind === "per-layer" ? l + 1 : layers); target++)
      weights.set(decoderName(l, target), filled([features, width]));
    if (skip) weights.set(weightName(l, "W_skip"), filled([width, width]));
    weights.set(unusedName(l), filled([features]));
  }
  return weights;
}

function uniform(random: Random, size: number, bound: number): Float32Array {
  return Float32Array.from({ length: size }, () => (2 * random.uniform() - 1) * bound);
}

/** Mean over tokens of (tokens, width). */
export function meanOf({ data, shape: [tokens, width] }: Tensor): Float32Array {
  const total = new Float64Array(width);
  for (let i = 0; i < data.length; i++) total[i % width] += data[i];
  return Float32Array.from(total, (sum) => sum / tokens);
}

/** Σ over the width of the variance over tokens. */
export function varianceOf(x: Tensor): number {
  const mean = meanOf(x);
  const [tokens, width] = x.shape;
  return x.data.reduce((sum, value, i) => sum + (value - mean[i % width]) ** 2, 0) / tokens;
}

/** Names of a set that stand in its config. */
export type SetNames = Pick<TranscoderSet, "model" | "checkpoint" | "hookIn" | "hookOut">;

/** The set that weights make, over the weights' own arrays. */
export function transcodersFrom(spec: TranscoderSpec, weights: Weights, names: SetNames): TranscoderSet {
  const work = products();
  const { k, width, kind } = spec;
  const part = (l: number, name: string): Float32Array => weights.get(weightName(l, name))!.data;
  const layers = Array.from({ length: spec.layers }, (_, layer) => {
    const count = kind === "per-layer" ? 1 : spec.layers - layer;
    const targets = Array.from({ length: count }, (_, j) => layer + j);
    const skip = weights.get(weightName(layer, "W_skip"));
    return createTranscoder(
      {
        layer,
        hookIn: `blocks.${layer}.${names.hookIn}`,
        activation: { kind: "topk", k, signed: false },
        encoder: matrixOf(part(layer, "W_enc"), width),
        encoderBias: part(layer, "b_enc"),
        targets,
        decoder: stacked(targets.map((target) => weights.get(decoderName(layer, target))!)),
        decoderRow: (feature, place) => place * spec.features + feature,
        bias: part(layer, "b_dec"),
        ...(skip && { skip }),
      },
      work,
    );
  });
  return { kind, ...names, layers, close: () => work.close() };
}

/** Matrices below each other. */
function stacked(parts: readonly Tensor[]): RowMatrix {
  const [{ data, shape }] = parts;
  if (parts.length === 1) return matrixOf(data, shape[1]);
  const all = new Float32Array(parts.length * data.length);
  parts.forEach((part, i) => {
    all.set(part.data, i * data.length);
  });
  return matrixOf(all, shape[1]);
}
