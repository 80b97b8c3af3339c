/** One layer of a transcoder set over its matrices. */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Products } from "./products.js";
import type { RowMatrix } from "./rows.js";
import { sparseBuilder } from "./sparse.js";
import type { Activation, SparseFeatures, Transcoder } from "./types.js";

/** Parts of a layer. */
export interface TranscoderParts {
  readonly layer: number;
  readonly hookIn: string;
  readonly activation: Activation;
  /** (features, width) */
  readonly encoder: RowMatrix;
  /** (features) */
  readonly encoderBias: Float32Array;
  readonly targets: readonly number[];
  readonly decoder: RowMatrix;
  /** Row of `decoder` for a feature and a target's place among `targets`. */
  readonly decoderRow: (feature: number, place: number) => number;
  readonly bias: Float32Array;
  /** (width out, width in) */
  readonly skip?: Tensor;
}

/** Bytes of the encoder, and of its pre-activations, that are in memory at once. */
const CHUNK_BYTES = 2 ** 24;

export function createTranscoder(parts: TranscoderParts, work: Products): Transcoder {
  const { layer, hookIn, activation, encoder, encoderBias, targets, decoder, decoderRow, bias, skip } = parts;
  const features = encoder.count;
  const { width } = encoder;
  const checked = (ids: ArrayLike<number>): ArrayLike<number> => {
    for (let i = 0; i < ids.length; i++) {
      if (Number.isInteger(ids[i]) && ids[i] >= 0 && ids[i] < features) continue;
      throw new ModalscopeError(
        `Layer ${layer} has no feature ${ids[i]}.`,
        `Its features are 0 … ${features - 1}.`,
      );
    }
    return ids;
  };
  return {
    layer,
    width,
    features,
    activation,
    hookIn,
    targets,
    bias,
    ...(skip && { skip }),
    encode: (x) => encode(parts, x, work),
    encoderRows: (ids) => ({ data: encoder.rows(checked(ids)), shape: [ids.length, width] }),
    encoderBias: (ids) => Float32Array.from(checked(ids), (id) => encoderBias[id]),
    decoderRows(ids, target = layer) {
      const place = targets.indexOf(target);
      if (place < 0) {
        throw new ModalscopeError(
          `Features of layer ${layer} do not write to layer ${target}.`,
          `They write to ${targets.join(", ")}.`,
        );
      }
      const rows = Int32Array.from(checked(ids), (id) => decoderRow(id, place));
      return { data: decoder.rows(rows), shape: [ids.length, width] };
    },
  };
}

async function encode(parts: TranscoderParts, x: Tensor, work: Products): Promise<SparseFeatures> {
  const { encoder, encoderBias, activation, layer } = parts;
  const { count, width } = encoder;
  if (x.shape.length !== 2 || x.shape[1] !== width) {
    throw new ModalscopeError(
      `Values of shape (${x.shape.join(", ")}) cannot be encoded by layer ${layer}.`,
      `They must be (tokens, ${width}).`,
    );
  }
  const [tokens] = x.shape;
  const built = sparseBuilder(activation, tokens, count);
  if (tokens === 0) return built.finish();
  const chunk = Math.max(1, Math.floor(CHUNK_BYTES / 4 / Math.max(width, tokens)));
  for (let first = 0; first < count; first += chunk) {
    const end = Math.min(count, first + chunk);
    const w = { data: encoder.range(first, end), shape: [end - first, width] };
    const bias = encoderBias.subarray(first, end);
    if (activation.kind === "topk") {
      // One more than stay: the next one is what was left out.
      const most = Math.min(activation.k + 1, end - first);
      built.addLargest(await work.largest(x, w, bias, most), first, most);
    } else built.addAll(await work.linear(x, w, bias), first, end - first);
  }
  return built.finish();
}
