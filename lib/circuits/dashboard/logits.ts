/** Tokens whose logits a feature raises and lowers when what it writes goes straight to the head. */
import type { Model } from "../../model/index.js";
import { unembedding } from "../../model/methods/index.js";
import { checkOptions, integer, listOf, required } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import type { FeatureRun } from "../encode-run.js";
import { vectorsAt } from "../encode-run.js";
import type { TranscoderSet } from "../transcoders/types.js";

export interface TokenEffect {
  readonly id: number;
  readonly text: string;
  /** Logit of the direction alone, less the mean over the vocabulary. */
  readonly effect: number;
}

export interface LogitEffects {
  readonly raised: readonly TokenEffect[];
  readonly lowered: readonly TokenEffect[];
}

/**
 * The ends of W_U · norm(d) for each feature, d being its decoder row (summed over the layers it writes
 * to): only the
 * direction counts, since the last norm divides by d's own size.
 *
 * Where a norm stands between the hook and the stream (Gemma 3's ln2_post), its gain is taken from a run:
 * hook_mlp_out is
 * mlp.hook_out times gain over scale, and the scale is one number for each token.
 * @param run any run of the set's model, from `encodeFeatures`
 */
export async function featureLogits(
  model: Model,
  set: TranscoderSet,
  options: { readonly layer: number; readonly features: readonly number[]; readonly count?: number },
  run: FeatureRun,
): Promise<LogitEffects[]> {
  checkOptions("featureLogits", options, {
    layer: required(integer(0), "a layer's number"),
    features: required(listOf(integer(0), 1), "a list of features"),
    count: integer(1),
  });
  const { layer, features, count = 8 } = options;
  const { width, targets } = set.layers[layer];
  const gains = await gainsOf(model, set, targets, run);
  const directions = new Float32Array(features.length * width);
  for (const target of targets) {
    const { data } = set.layers[layer].decoderRows(features, target);
    const gain = gains.get(target)!;
    for (let i = 0; i < data.length; i++) directions[i] += data[i] * gain[i % width];
  }
  const { data, shape } = await unembedding(model).forward({
    data: directions,
    shape: [features.length, width],
  });
  const size = shape[1];
  return features.map((_, i) => ends(model, data.subarray(i * size, (i + 1) * size), count));
}

function ends(model: Model, logits: Float32Array, count: number): LogitEffects {
  const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a]);
  const effect = (id: number): TokenEffect => ({
    id,
    text: model.decode([id], { skipSpecialTokens: false }),
    effect: logits[id] - mean,
  });
  return { raised: order.slice(0, count).map(effect), lowered: order.slice(-count).reverse().map(effect) };
}

/** By layer, what each element of the hook is multiplied by on its way to the stream, up to one factor. */
async function gainsOf(
  model: Model,
  set: TranscoderSet,
  targets: readonly number[],
  run: FeatureRun,
): Promise<ReadonlyMap<number, Float64Array>> {
  const { width } = set.layers[0];
  const flat = (): Float64Array => new Float64Array(width).fill(1);
  if (set.hookOut === "hook_mlp_out") return new Map(targets.map((target) => [target, flat()]));
  const hooks = targets.map((target) => `blocks.${target}.hook_mlp_out`);
  const { cache } = await model.run(run.batch, { capture: hooks });
  return new Map(
    targets.map((target, i) => [
      target,
      ratio(run.outputs[target], vectorsAt(cache.get(hooks[i]), run.tokens)),
    ]),
  );
}

/**
 * `after` / `before`, element by element, at the token whose smallest element is largest for its size:
 * there the quotient
 * is rounded least.
 */
function ratio({ data: before, shape: [tokens, width] }: Tensor, { data: after }: Tensor): Float64Array {
  let best = { token: 0, least: 0 };
  for (let token = 0; token < tokens; token++) {
    const own = before.subarray(token * width, (token + 1) * width).map(Math.abs);
    const least = Math.min(...own) / Math.hypot(...own);
    if (least > best.least) best = { token, least };
  }
  const at = best.token * width;
  return Float64Array.from({ length: width }, (_, j) => after[at + j] / before[at + j]);
}
