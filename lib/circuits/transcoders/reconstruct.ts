/** Transcoders' outputs in the place of the MLPs'. */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { SparseFeatures, TranscoderSet } from "./types.js";

/** Inputs of a reconstruction, by layer. */
export interface Encoded {
  readonly features: readonly SparseFeatures[];
  /** (tokens, width) of `hookIn`; only where the layer has a skip connection. */
  readonly inputs?: readonly Tensor[];
}

/**
 * Output of one layer: b_dec + Σ activation · decoder row (+ skip · x), over the layer's own features or,
 * with
 * cross-layer transcoders, over those of all layers up to it.
 * @returns (tokens, width)
 */
export function reconstruct(set: TranscoderSet, target: number, { features, inputs }: Encoded): Tensor {
  const { bias, skip, width } = set.layers[target];
  const { tokens } = features[target];
  const data = new Float32Array(tokens * width);
  for (let t = 0; t < tokens; t++) data.set(bias, t * width);
  for (const source of set.layers) {
    if (!source.targets.includes(target)) continue;
    const { offsets, ids, values } = features[source.layer];
    const rows = source.decoderRows(ids, target).data;
    for (let t = 0; t < tokens; t++) {
      for (let i = offsets[t]; i < offsets[t + 1]; i++)
        for (let j = 0; j < width; j++) data[t * width + j] += values[i] * rows[i * width + j];
    }
  }
  if (skip) {
    const x = inputs?.[target];
    if (!x) throw new ModalscopeError("A reconstruction with a skip connection needs the layer's input.");
    skipOutput(skip, x).data.forEach((v, i) => {
      data[i] += v;
    });
  }
  return { data, shape: [tokens, width] };
}

/** skip · x of each token: (tokens, width). */
export function skipOutput({ data: skip, shape: [width, inner] }: Tensor, x: Tensor): Tensor {
  const [tokens] = x.shape;
  const data = new Float32Array(tokens * width);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let j = 0; j < inner; j++) sum += skip[i * inner + j] * x.data[t * inner + j];
      data[t * width + i] = sum;
    }
  }
  return { data, shape: [tokens, width] };
}
