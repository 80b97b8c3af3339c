/** Writes transcoders in circuit-tracer's layout. */
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { makeFolder } from "../../folder.js";
import { type StoredFloat, writeFloats } from "../../model/checkpoint/index.js";
import { checkOptions, type OptionChecks, oneOf } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import { writeConfig } from "./config.js";
import { transposed } from "./rows.js";
import type { Transcoder, TranscoderSet } from "./types.js";

export interface WriteTranscodersOptions {
  /** What numbers are stored in (default "float32"); "bfloat16" takes half the bytes, rounded as PyTorch rounds. */
  readonly dtype?: StoredFloat;
}

const WRITE_OPTIONS: OptionChecks<WriteTranscodersOptions> = { dtype: oneOf("float32", "bfloat16") };

/** Writes one layer's tensors to a file. */
type Save = (file: string, tensors: Readonly<Record<string, Tensor>>) => void;

/**
 * Writes a folder that `readTranscoders` and circuit-tracer read, config.yaml last.
 *
 * circuit-tracer's loader reads no `k` from a folder and takes plain ReLU for TopK; its `TopK` has to be set on the
 * loaded transcoders. It knows no skip connection of a saved cross-layer transcoder; here it is `W_skip_{i}`, as x W.
 * @throws ModalscopeError when a file cannot be written, or the layers differ in their kind of activation
 */
export function writeTranscoders(
  folder: string,
  set: TranscoderSet,
  options: WriteTranscodersOptions = {},
): void {
  checkOptions("writeTranscoders", options, WRITE_OPTIONS);
  const { dtype = "float32" } = options;
  const kinds = new Set(
    set.layers.map(({ activation: a }) => (a.kind === "topk" ? `topk ${a.k} ${a.signed}` : a.kind)),
  );
  if (kinds.size !== 1) {
    throw new ModalscopeError(
      "These transcoders cannot be written to one folder.",
      `Their activations differ: ${[...kinds].join(", ") || "there is no layer"}.`,
    );
  }
  makeFolder(folder);
  const save: Save = (file, tensors) => writeFloats(join(folder, file), tensors, dtype);
  for (const layer of set.layers) {
    if (set.kind === "per-layer") writePerLayer(save, layer);
    else writeCrossLayer(save, layer);
  }
  writeConfig(folder, set);
}

function writePerLayer(save: Save, t: Transcoder): void {
  const ids = allOf(t);
  save(`layer_${t.layer}.safetensors`, {
    W_enc: t.encoderRows(ids),
    W_dec: t.decoderRows(ids),
    b_enc: vector(t.encoderBias(ids)),
    b_dec: vector(t.bias),
    ...(t.activation.kind === "jumprelu" && {
      "activation_function.threshold": vector(t.activation.threshold),
    }),
    ...(t.skip && { W_skip: t.skip }),
  });
}

function writeCrossLayer(save: Save, t: Transcoder): void {
  const { layer: i, width, targets } = t;
  const ids = allOf(t);
  save(`W_enc_${i}.safetensors`, {
    [`W_enc_${i}`]: t.encoderRows(ids),
    [`b_enc_${i}`]: vector(t.encoderBias(ids)),
    [`b_dec_${i}`]: vector(t.bias),
    ...(t.activation.kind === "jumprelu" && { [`threshold_${i}`]: vector(t.activation.threshold) }),
    ...(t.skip && { [`W_skip_${i}`]: { data: transposed(t.skip.data, width), shape: t.skip.shape } }),
  });
  const decoder = new Float32Array(ids.length * targets.length * width);
  targets.forEach((target, j) => {
    const { data } = t.decoderRows(ids, target);
    for (const f of ids)
      decoder.set(data.subarray(f * width, (f + 1) * width), (f * targets.length + j) * width);
  });
  save(`W_dec_${i}.safetensors`, {
    [`W_dec_${i}`]: { data: decoder, shape: [ids.length, targets.length, width] },
  });
}

const allOf = ({ features }: Transcoder): Int32Array => Int32Array.from({ length: features }, (_, i) => i);
const vector = (data: Float32Array): Tensor => ({ data, shape: [data.length] });
