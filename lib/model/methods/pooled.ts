/** States of many prompts, pooled over groups of their tokens, with the predictions that follow. */
import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkOptions,
  integer,
  type OptionChecks,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { Batch, Positions, Prompt } from "../batch/index.js";
import type { CaptureSpec } from "../captures/index.js";
import type { Edits } from "../edits/index.js";
import type { Model } from "../model.js";

export interface PooledOptions extends TaskOptions {
  /** Tokens to take the mean over, by a name of their own: `{ vision: (batch) => batch.visual }`. */
  readonly groups: Readonly<Record<string, (batch: Batch) => Positions>>;
  /** Edits of each batch, such as a knockout; `from` is the number of its first prompt. */
  readonly edits?: (batch: Batch, from: number) => Edits;
  /** Prompts that run together (default 16). */
  readonly batchSize?: number;
}

export interface PooledStates {
  /**
   * By group, (states, prompts, hidden_size): means over its tokens of the residual stream, state 0 before block 0 and state l
   * after block l − 1.
   */
  readonly states: Readonly<Record<string, Tensor<Float32Array>>>;
  /** (prompts, vocab_size), at the last token. */
  readonly logits: Tensor<Float32Array>;
}

const POOLED_OPTIONS: OptionChecks<PooledOptions> = {
  ...TASK_OPTIONS,
  groups: required(record, "functions that name tokens, by the group's name"),
  edits: callback,
  batchSize: integer(1),
};

/**
 * Runs prompts and keeps, for each, the mean of every state of the residual stream over groups of its tokens and the logits
 * that it ends in: what representation analyses (CKA, probes, information) take.
 * @example
 * const { states, logits } = await pooledStates(model, prompts, {
 *   groups: { vision: (batch) => batch.visual, language: (batch) => batch.question },
 * });
 * @throws ModalscopeError for no prompts or groups, and for a row without tokens of a group
 */
export async function pooledStates(
  model: Model,
  prompts: readonly Prompt[],
  options: PooledOptions,
): Promise<PooledStates> {
  checkOptions("pooledStates", options, POOLED_OPTIONS);
  const { groups, edits, batchSize = 16, onProgress, signal } = options;
  const names = Object.keys(groups);
  if (prompts.length === 0 || names.length === 0)
    throw new ModalscopeError(
      `pooledStates is given ${prompts.length} prompts and ${names.length} groups.`,
      "It needs some of both.",
    );
  const hooks = ["blocks.0.hook_resid_pre", ...model.layers.map((l) => `blocks.${l}.hook_resid_post`)];
  const { hidden_size: width, vocab_size: vocabulary } = model.config;
  const n = prompts.length;
  const states = Object.fromEntries(
    names.map((name) => [
      name,
      { data: new Float32Array(hooks.length * n * width), shape: [hooks.length, n, width] },
    ]),
  );
  const logits = { data: new Float32Array(n * vocabulary), shape: [n, vocabulary] };
  for (let from = 0; from < n; from += batchSize) {
    const batch = await model.prepare(prompts.slice(from, from + batchSize));
    const capture = names.flatMap((as) => {
      const positions = groups[as](batch);
      return hooks.map((hook): CaptureSpec => ({ hook, positions, reduce: "mean", as }));
    });
    const run = await model.run(batch, { capture, logits: "last", edits: edits?.(batch, from), signal });
    for (const name of names)
      hooks.forEach((hook, s) => {
        states[name].data.set(run.cache.get(`${hook}/${name}`).data, (s * n + from) * width);
      });
    logits.data.set(run.logits!.data, from * vocabulary);
    onProgress?.(Math.min(from + batchSize, n), n, "prompts");
  }
  return { states, logits };
}
