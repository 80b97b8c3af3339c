/** How much of the MLPs' outputs transcoders explain, and how many of their features ever act. */
import type { Tensor } from "../../tensor.js";
import { reconstruct } from "../transcoders/reconstruct.js";
import type { SparseFeatures, TranscoderSet } from "../transcoders/types.js";
import type { Activations } from "./trainer.js";

/** One layer's quality on some tokens. */
export interface LayerQuality {
  readonly layer: number;
  /**
   * Share of variance unexplained, Σ‖y − ŷ‖² / Σ‖y − ȳ‖², by kind of token; NaN where the kind has fewer
   * than two.
   */
  readonly fvu: Readonly<Record<string, number>>;
  /** Share of features that were active at no token. */
  readonly dead: number;
  /** Mean number of active features at a token. */
  readonly active: number;
}

/**
 * Quality of each layer. The mean ȳ is that of the kind's own tokens, so that the mean alone scores 1 on
 * each kind.
 * @param kinds of each token, such as "text" and "image"; their whole is given as "all"
 */
export async function transcoderQuality(
  set: TranscoderSet,
  { inputs, outputs }: Activations,
  kinds: readonly string[],
): Promise<LayerQuality[]> {
  const features: SparseFeatures[] = [];
  for (const layer of set.layers) features.push(await layer.encode(inputs[layer.layer]));
  const all = [...kinds.keys()];
  const groups = [...new Set(kinds)].map((kind) => [kind, all.filter((t) => kinds[t] === kind)] as const);
  return set.layers.map(({ layer, features: count }) => {
    const made = reconstruct(set, layer, { features, inputs });
    const { ids, tokens } = features[layer];
    const share = (at: readonly number[]): number => unexplained(outputs[layer], made, at);
    return {
      layer,
      fvu: { all: share(all), ...Object.fromEntries(groups.map(([kind, at]) => [kind, share(at)])) },
      dead: 1 - new Set(ids).size / count,
      active: ids.length / tokens,
    };
  });
}

/** FVU of some rows. */
function unexplained(y: Tensor, made: Tensor, tokens: readonly number[]): number {
  const width = y.shape[1];
  let [error, variance] = [0, 0];
  for (let j = 0; j < width; j++) {
    const mean = tokens.reduce((sum, t) => sum + y.data[t * width + j], 0) / tokens.length;
    for (const t of tokens) {
      error += (y.data[t * width + j] - made.data[t * width + j]) ** 2;
      variance += (y.data[t * width + j] - mean) ** 2;
    }
  }
  return tokens.length < 2 ? Number.NaN : error / variance;
}
