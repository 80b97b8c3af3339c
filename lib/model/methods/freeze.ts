/** A prompt's run whose nonlinearities are held: what `pullBack` pulls through. */
import { ModalscopeError } from "../../errors.js";
import { checkOptions, list, type OptionChecks, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import { type HeldRun, isHeld } from "../backward/index.js";
import type { Batch } from "../batch/index.js";
import type { ActivationCache, CaptureRequest } from "../captures/index.js";
import { NORMALIZED, prepareRun, run } from "../forward/index.js";
import { isVisual } from "../hooks/index.js";
import type { Model } from "../model.js";

export interface FreezeOptions extends TaskOptions {
  /** Further values to keep of the run, such as what transcoders read and write. */
  readonly capture?: readonly CaptureRequest[];
}

const FREEZE_OPTIONS: OptionChecks<FreezeOptions> = { ...TASK_OPTIONS, capture: list };

export interface FrozenRun {
  readonly batch: Batch;
  /** Captured values. */
  readonly cache: ActivationCache;
  /** (1, 1, vocab_size), at the prompt's last token. */
  readonly logits: Tensor;
  /** @internal The linear map that `pullBack` goes through. */
  readonly held: HeldRun;
}

/**
 * Runs one prompt and holds what makes the model nonlinear as circuit-tracer does: attention patterns and norm scales
 * keep the run's values, and MLP outputs are constants. What is left is a linear map from the embeddings and MLP outputs
 * to every later stream, `pullBack`'s.
 * @throws ModalscopeError for more than one prompt, an unknown hook, or more values than the memory holds
 */
export async function freeze(model: Model, batch: Batch, options: FreezeOptions = {}): Promise<FrozenRun> {
  checkOptions("freeze", options, FREEZE_OPTIONS);
  if (batch.size !== 1 || batch.tokenPositions[0].length !== batch.seqLength) {
    throw new ModalscopeError(
      `freeze is given ${batch.size} prompts${batch.size === 1 ? " with padding" : ""}.`,
      "It holds the patterns of one prompt without padding.",
    );
  }
  const { engine } = model;
  const text = engine.hooks.filter((h) => !isVisual(h));
  const kept = text.filter((h) => isHeld(h) || h.local === "hook_resid_pre" || h.name === NORMALIZED);
  const last = `blocks.${engine.config.num_hidden_layers - 1}.hook_resid_post`;
  const names = [...kept.map((h) => h.name), last];
  const { capture = [], signal, onProgress } = options;
  const request = { capture: [...capture, ...names], logits: "last", signal, onProgress } as const;
  const prepared = prepareRun(engine, batch, request);
  const { cache, logits } = await run(prepared, request);
  const values = new Map(names.map((name) => [name, cache.get(name)]));
  return { batch, cache, logits: logits!, held: { engine, pass: prepared.pass, values } };
}
