/** The replacement model: a prompt's run in which transcoders take the MLPs' place, one after the other. */
import { edit, type Model } from "../../model/index.js";
import type { FrozenRun } from "../../model/methods/index.js";
import type { Tensor } from "../../tensor.js";
import { reconstruct } from "../transcoders/reconstruct.js";
import type { SparseFeatures, TranscoderSet } from "../transcoders/types.js";
import type { FirstPosition } from "./sources.js";

export interface ReplacementOptions {
  /** Unless it is "features", the first position keeps the model's own MLP outputs. */
  readonly firstPosition: FirstPosition;
  /** Leaves b_dec (and a skip connection) alone in the MLPs' place. */
  readonly withoutFeatures?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Logits (vocab_size) at the last token when every MLP output is its reconstruction, errors left out. Block by
 * block: attention and norms run on the stream so far, and the block ends with what the transcoders make of it.
 */
export async function replacementLogits(
  model: Model,
  set: TranscoderSet,
  { batch, cache, held }: FrozenRun,
  options: ReplacementOptions,
): Promise<Float32Array> {
  const { firstPosition, withoutFeatures = false, signal } = options;
  const features: SparseFeatures[] = [];
  const inputs: Tensor[] = [];
  let stream = held.values.get("blocks.0.hook_resid_pre")!;
  for (const own of set.layers) {
    const { layer, hookIn } = own;
    const block = { startAtLayer: layer, stopAtLayer: layer + 1, residual: stream, logits: "none" } as const;
    const read = await model.run(batch, { ...block, capture: [hookIn], signal });
    inputs.push(withoutBatch(read.cache.get(hookIn)));
    features.push(withoutFeatures ? none(own.features, batch.seqLength) : await own.encode(inputs[layer]));
    const made = reconstruct(set, layer, { features, inputs });
    const hookOut = `blocks.${layer}.${set.hookOut}`;
    if (firstPosition !== "features") made.data.set(cache.get(hookOut).data.subarray(0, own.width));
    const run = { startAtLayer: layer, residual: stream, edits: { [hookOut]: edit.fill(made) }, signal };
    if (layer === set.layers.length - 1)
      return (await model.run(batch, { ...run, logits: "last" })).logits!.data as Float32Array;
    stream = (await model.run(batch, { ...run, stopAtLayer: layer + 1, logits: "none" })).residual!;
  }
  throw new TypeError("A set of transcoders has layers.");
}

/** No active feature at any token. */
function none(features: number, tokens: number): SparseFeatures {
  return {
    ...{ tokens, features, offsets: new Int32Array(tokens + 1) },
    ...{ ids: new Int32Array(0), values: new Float32Array(0), leftOut: new Float32Array(tokens) },
  };
}

const withoutBatch = ({ data, shape }: Tensor): Tensor => ({ data, shape: shape.slice(1) });
