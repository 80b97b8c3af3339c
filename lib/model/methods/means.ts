/** Means of activations over prompts. */
import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkedPositions,
  checkOptions,
  integer,
  type OptionChecks,
  positions,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { type Tensor, zerosLike } from "../../tensor.js";
import { type Batch, type Positions, type Prompt, promptList } from "../batch/index.js";
import { matchHooks, overKeys } from "../hooks/index.js";
import type { Model } from "../model.js";

export interface MeanOptions extends TaskOptions {
  /** Tokens that the mean is taken over (default "all"), or a function that names them for each batch of prompts. */
  readonly positions?: Positions | ((batch: Batch) => Positions);
  /** Prompts that run together (default 16). */
  readonly batchSize?: number;
}

/**
 * Mean of a hook's vectors over prompts: the value that an ablation fills in. Over prompts that were held out it takes
 * away what tokens share within a prompt too, which the mean of a prompt's own tokens keeps. Each row is averaged over
 * its positions, then all rows count alike (rows of the vision tower's hooks are images or tiles).
 * @returns (width), or (heads, width) where the hook has heads
 * @example
 * const heldOut = await meanOf(model, others, "blocks.4.hook_resid_pre", { positions: (batch) => batch.visual });
 * await model.run(batch, { edits: { "blocks.4.hook_resid_pre": edit.fill(heldOut, { positions: batch.visual }) } });
 * @throws ModalscopeError for a hook that is unknown, does not run or has vectors over keys, and for no prompts
 */
export async function meanOf(
  model: Model,
  prompts: readonly Prompt[],
  hook: string,
  options: MeanOptions = {},
): Promise<Tensor> {
  checkOptions("meanOf", options, MEAN_OPTIONS);
  const means = await meansOf(model, prompts, [hook], options);
  if (means.size !== 1)
    throw new ModalscopeError(`"${hook}" names ${means.size} hooks.`, "An edit's mean is of one.");
  return [...means.values()][0];
}

/**
 * As `meanOf`, of several hooks from one run of the prompts.
 * @returns hook → (width), or (heads, width) where the hook has heads
 */
export async function meansOf(
  model: Model,
  prompts: readonly Prompt[],
  hooks: readonly string[],
  options: MeanOptions = {},
): Promise<Map<string, Tensor>> {
  const { positions: where = "all", batchSize = 16, onProgress, signal } = options;
  const all = promptList("meanOf", prompts);
  const parts = new Map<string, { readonly mean: Tensor; readonly rows: number }[]>();
  for (let from = 0; from < all.length; from += batchSize) {
    const batch = await model.prepare(all.slice(from, from + batchSize));
    const at = typeof where === "function" ? checkedPositions("positions of meanOf", where(batch)) : where;
    const means = await hookMeans(model, batch, hooks, at, { signal });
    for (const [name, mean] of means) parts.set(name, [...(parts.get(name) ?? []), mean]);
    onProgress?.(Math.min(from + batchSize, all.length), all.length, "prompts");
  }
  return new Map([...parts].map(([name, means]) => [name, weightedMean(means)]));
}

const MEAN_OPTIONS: OptionChecks<MeanOptions> = {
  ...TASK_OPTIONS,
  positions: (value) => (callback(value) === undefined ? undefined : positions(value)),
  batchSize: integer(1),
};

/**
 * Means of hooks' vectors over positions of each row and over the rows of a batch.
 * @returns hook → its mean, (width) or (heads, width), and the number of its rows
 * @throws ModalscopeError for a hook that is unknown, does not run or has vectors over keys
 */
export async function hookMeans(
  model: Model,
  batch: Batch,
  hooks: readonly (string | RegExp)[],
  at: Positions,
  task: TaskOptions,
): Promise<Map<string, { readonly mean: Tensor; readonly rows: number }>> {
  const ofKeys = hooks.flatMap((pattern) => matchHooks(model.engine.hooks, pattern)).find(overKeys);
  if (ofKeys) {
    throw new ModalscopeError(
      `"${ofKeys.name}" has no mean over prompts.`,
      "Its elements are keys, which are others in each prompt.",
    );
  }
  const capture = hooks.map((hook) => ({ hook, positions: at, reduce: "mean" as const }));
  const { cache } = await model.run(batch, { capture, logits: "none", ...task });
  return new Map(
    cache.names.map((name) => {
      const byRow = cache.get(name);
      return [name.replace(/\/mean$/, ""), { mean: overRows(byRow), rows: byRow.shape[0] }];
    }),
  );
}

/** The mean over the first axis. */
function overRows({ data, shape: [size, ...shape] }: Tensor): Tensor {
  const total = new Float64Array(data.length / size);
  for (let i = 0; i < data.length; i++) total[i % total.length] += data[i] / size;
  const mean = zerosLike(data, total.length);
  mean.set(total);
  return { data: mean, shape };
}

function weightedMean(parts: readonly { readonly mean: Tensor; readonly rows: number }[]): Tensor {
  const [{ mean: first }] = parts;
  const all = parts.reduce((n, { rows }) => n + rows, 0);
  const total = new Float64Array(first.data.length);
  for (const { mean, rows } of parts)
    for (let i = 0; i < total.length; i++) total[i] += (mean.data[i] * rows) / all;
  const data = zerosLike(first.data, total.length);
  data.set(total);
  return { data, shape: first.shape };
}
