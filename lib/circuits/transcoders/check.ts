/** Whether transcoders are those of a model. */
import { didYouMean, ModalscopeError } from "../../errors.js";
import type { Model } from "../../model/index.js";
import type { TranscoderSet } from "./types.js";

const MADE_FOR = "Give those that were made for it, or train some: npm run train:transcoders.";

/**
 * Checks that transcoders fit a model: layers, width, hooks, and the checkpoint where they name it.
 * @throws ModalscopeError that says what differs
 */
export function checkTranscoders(set: TranscoderSet, model: Model): void {
  if (!Array.isArray(set?.layers) || set.layers.length === 0)
    throw new ModalscopeError(
      "This is no set of transcoders.",
      "It has no layers.",
      "Give what readTranscoders or trainTranscoders returns.",
    );
  const { config } = model;
  const wrong = (reason: string, hint = MADE_FOR): ModalscopeError =>
    new ModalscopeError(
      `The transcoders${set.model ? ` of ${set.model}` : ""} are not of this model.`,
      reason,
      hint,
    );
  if (set.layers.length !== config.num_hidden_layers)
    throw wrong(`They have ${set.layers.length} layers, and the model ${config.num_hidden_layers}.`);
  const [{ width }] = set.layers;
  if (width !== config.hidden_size)
    throw wrong(`They read vectors of ${width}, and the model's have ${config.hidden_size}.`);
  const names = model.hooks;
  const known = new Set(names);
  for (const hook of [set.hookIn, set.hookOut]) {
    const name = `blocks.0.${hook}`;
    if (!known.has(name)) throw wrong(`The model has no hook "${name}".`, didYouMean(name, names));
  }
  if (set.checkpoint !== undefined && set.checkpoint !== model.hash) {
    throw wrong(
      `They were trained on the checkpoint ${set.checkpoint.slice(0, 12)}…, and this is ${model.hash.slice(0, 12)}….`,
      "Train them again: npm run train:transcoders.",
    );
  }
}
