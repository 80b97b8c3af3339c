/** Attention to each visual token of an image, as an overlay shows it. */
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, integers, type OptionChecks, some, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/index.js";
import type { Model } from "../model.js";

export interface ImageAttentionOptions extends TaskOptions {
  /** Which of the batch's images (default 0). */
  readonly image?: number;
  /** Column of the token that attends, one of `batch.question[row]` for example; −1, the default, is the row's last. */
  readonly query?: number;
  /** Blocks (default: all). */
  readonly layers?: readonly number[];
}

const IMAGE_ATTENTION_OPTIONS: OptionChecks<ImageAttentionOptions> = {
  ...TASK_OPTIONS,
  image: integer(0),
  query: integer(),
  layers: some(integers),
};

/**
 * Attention that one token gives each visual token of an image, (layers, heads, tokens), in the order of
 * `batch.images[image].image.tokens`.
 * @throws ModalscopeError for an image that the batch has not, and a column that is none
 */
export async function imageAttention(
  model: Model,
  batch: Batch,
  options: ImageAttentionOptions = {},
): Promise<Tensor> {
  checkOptions("imageAttention", options, IMAGE_ATTENTION_OPTIONS);
  const { image = 0, query = -1, layers = model.layers, onProgress, signal } = options;
  const found = batch.images?.[image];
  if (!found) {
    throw new ModalscopeError(`The batch has no image ${image}.`, `It has ${batch.images?.length ?? 0}.`);
  }
  const { row, positions: keys } = found;
  const hooks = layers.map((l) => `blocks.${l}.attn.hook_pattern`);
  // One query of each row: a pattern has one length for all. Of other rows any does.
  const positions = batch.last.map((last, b) => [b === row ? query : last]);
  const { cache } = await model.run(batch, {
    capture: hooks.map((hook) => ({ hook, positions })),
    logits: "none",
    onProgress,
    signal,
  });
  const heads = model.config.num_attention_heads;
  const data = new Float32Array(layers.length * heads * keys.length);
  hooks.forEach((hook, l) => {
    const { data: pattern, shape } = cache.get(hook);
    const width = shape[3];
    for (let h = 0; h < heads; h++)
      keys.forEach((key, i) => {
        data[(l * heads + h) * keys.length + i] = pattern[(row * heads + h) * width + key];
      });
  });
  return { data, shape: [layers.length, heads, keys.length] };
}
