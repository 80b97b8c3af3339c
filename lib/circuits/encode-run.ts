/** Features of a whole batch: one run, every layer encoded. */
import { ModalscopeError } from "../errors.js";
import type { Batch, Model, RunOptions } from "../model/index.js";
import { checkOptions, type OptionChecks, oneOf, record, TASK_OPTIONS } from "../options.js";
import type { Tensor } from "../tensor.js";
import { checkTranscoders } from "./transcoders/check.js";
import type { SparseFeatures, TranscoderSet } from "./transcoders/types.js";

/** A token of a batch. */
export interface TokenPlace {
  readonly row: number;
  readonly column: number;
}

/** Active features of a batch's tokens. */
export interface FeatureRun {
  readonly batch: Batch;
  /** The tokens, row after row, padding left out: what is counted as tokens in `layers`. */
  readonly tokens: readonly TokenPlace[];
  readonly layers: readonly SparseFeatures[];
  /** (tokens, width) of each layer's `hookIn`. */
  readonly inputs: readonly Tensor[];
  /** (tokens, width) of each layer's `hookOut`: what the features are to add up to. */
  readonly outputs: readonly Tensor[];
  /** (batch, 1, vocabulary) of the last tokens, where they were asked for. */
  readonly logits?: Tensor;
}

export interface EncodeOptions extends Pick<RunOptions, "edits" | "onProgress" | "signal"> {
  /** "last" computes each row's last logits too (default: "none"). */
  readonly logits?: "last" | "none";
}

const ENCODE_OPTIONS: OptionChecks<EncodeOptions> = {
  ...TASK_OPTIONS,
  edits: record,
  logits: oneOf("last", "none"),
};

/**
 * Runs a batch and encodes what each layer's transcoder reads.
 * @throws ModalscopeError for transcoders of another model
 */
export async function encodeFeatures(
  model: Model,
  batch: Batch,
  set: TranscoderSet,
  options: EncodeOptions = {},
): Promise<FeatureRun> {
  checkOptions("encodeFeatures", options, ENCODE_OPTIONS);
  checkTranscoders(set, model);
  const hooks = [set.hookIn, set.hookOut].map((hook) => `blocks.*.${hook}`);
  const capture = [...new Set(hooks)];
  const { cache, logits } = await model.run(batch, { logits: "none", ...options, capture });
  const tokens = batch.tokenPositions.flatMap((columns, row) => columns.map((column) => ({ row, column })));
  const taken = (hook: string): Tensor[] =>
    set.layers.map(({ layer }) => vectorsAt(cache.get(`blocks.${layer}.${hook}`), tokens));
  const [inputs, outputs] = [taken(set.hookIn), taken(set.hookOut)];
  const layers: SparseFeatures[] = [];
  for (const transcoder of set.layers) layers.push(await transcoder.encode(inputs[transcoder.layer]));
  return { batch, tokens, layers, inputs, outputs, ...(logits && { logits }) };
}

/** Vectors (tokens, width) of (batch, time, width). */
export function vectorsAt({ data, shape: [, time, width] }: Tensor, tokens: readonly TokenPlace[]): Tensor {
  const out = new Float32Array(tokens.length * width);
  tokens.forEach(({ row, column }, i) => {
    const start = (row * time + column) * width;
    out.set(data.subarray(start, start + width), i * width);
  });
  return { data: out, shape: [tokens.length, width] };
}

/**
 * Activation of a feature at a token; 0 where it is not active.
 * @throws ModalscopeError for a place that is no token
 */
export function activationAt(
  { tokens, layers }: FeatureRun,
  layer: number,
  feature: number,
  at: TokenPlace,
): number {
  const token = tokens.findIndex(({ row, column }) => row === at.row && column === at.column);
  if (token < 0) throw new ModalscopeError(`There is no token at column ${at.column} of row ${at.row}.`);
  const { offsets, ids, values } = layers[layer];
  const i = ids.subarray(offsets[token], offsets[token + 1]).indexOf(feature);
  return i < 0 ? 0 : values[offsets[token] + i];
}
