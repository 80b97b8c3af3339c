/** States of many prompts, pooled over groups of their tokens, with the predictions that follow. */
import {
  callback,
  checkedPositions,
  checkOptions,
  checkSome,
  integer,
  type OptionChecks,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import { type Batch, type Positions, type Prompt, promptList } from "../batch/index.js";
import type { CaptureSpec } from "../captures/index.js";
import type { Edits } from "../edits/index.js";
import type { RunOptions } from "../forward/index.js";
import type { Model } from "../model.js";

/** What pooling takes of a run. */
interface Pooling extends TaskOptions {
  /** Tokens to take the mean over, by a name of their own: `{ vision: (batch) => batch.visual }`. */
  readonly groups: Readonly<Record<string, (batch: Batch) => Positions>>;
  /** Prompts that run together (default 16). */
  readonly batchSize?: number;
}

/** Edits of each batch, such as a knockout; `from` is the number of its first prompt. */
export type BatchEdits = (batch: Batch, from: number) => Edits;

export interface PooledOptions extends Pooling {
  readonly edits?: BatchEdits;
}

/** A condition under which the prompts run. */
export interface PooledCondition {
  /** None: the clean run. */
  readonly edits?: BatchEdits;
  /** States to keep (default `"all"`). */
  readonly keep?: "all" | "last";
}

export interface PooledConditionsOptions<Name extends string> extends Pooling {
  /** By a name of their own. */
  readonly conditions: Readonly<Record<Name, PooledCondition>>;
}

export interface PooledStates {
  /**
   * By group, (states, prompts, hidden_size): means over its tokens of the residual stream, state 0 before block 0 and state l
   * after block l − 1; of a condition that keeps the last, that one alone.
   */
  readonly states: Readonly<Record<string, Tensor<Float32Array>>>;
  /** (prompts, vocab_size), at the last token. */
  readonly logits: Tensor<Float32Array>;
}

const POOLING: OptionChecks<Pooling> = {
  ...TASK_OPTIONS,
  groups: required(record, "functions that name tokens, by the group's name"),
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
  checkOptions("pooledStates", options, { ...POOLING, edits: callback });
  const { edits, ...pooling } = options;
  const { only } = await pooledUnder(model, prompts, { ...pooling, conditions: { only: { edits } } });
  return only;
}

/**
 * {@link pooledStates} under several conditions. Each batch is prepared and its images are encoded once; a condition whose edits
 * are all in blocks starts at the first of these, from the clean stream before it.
 * @throws ModalscopeError as `pooledStates`
 */
export async function pooledConditions<const Name extends string>(
  model: Model,
  prompts: readonly Prompt[],
  options: PooledConditionsOptions<Name>,
): Promise<Record<Name, PooledStates>> {
  checkOptions("pooledConditions", options, {
    ...POOLING,
    conditions: required(record, "conditions by a name of their own"),
  });
  return pooledUnder(model, prompts, options);
}

async function pooledUnder<Name extends string>(
  model: Model,
  prompts: readonly Prompt[],
  options: PooledConditionsOptions<Name>,
): Promise<Record<Name, PooledStates>> {
  const { groups, conditions, batchSize = 16, onProgress, signal } = options;
  const [groupNames, names] = [Object.keys(groups), Object.keys(conditions) as Name[]];
  checkSome("pooledStates", "groups", groupNames);
  checkSome("pooledStates", "conditions", names);
  const all = promptList("pooledStates", prompts);
  const n = all.length;
  const hooks = new Map(names.map((name) => [name, hooksOf(model, conditions[name])]));
  const out = new Map(names.map((name) => [name, empty(model, groupNames, hooks.get(name)!.length, n)]));
  for (let from = 0; from < n; from += batchSize) {
    const batch = await model.prepare(all.slice(from, from + batchSize));
    const positions = Object.fromEntries(
      groupNames.map((name) => [name, checkedPositions(`group "${name}"`, groups[name](batch))]),
    );
    const runs = names.map((name) => {
      const edits = conditions[name].edits?.(batch, from) ?? {};
      return { name, edits, layer: startOf(edits, conditions[name]) };
    });
    const stream = new CleanStream(model, batch, runs.length > 1, signal);
    for (const { name, edits, layer } of runs.sort((a, b) => a.layer - b.layer)) {
      const kept = hooks.get(name)!;
      const capture = groupNames.flatMap((as) =>
        kept.map((hook): CaptureSpec => ({ hook, positions: positions[as], reduce: "mean", as })),
      );
      const start = await stream.before(layer);
      const run = await model.run(batch, { ...start, capture, logits: "last", edits, signal });
      const { states, logits } = out.get(name)!;
      for (const group of groupNames)
        kept.forEach((hook, s) => {
          const { data, shape } = states[group];
          data.set(run.cache.get(`${hook}/${group}`).data, (s * n + from) * shape[2]);
        });
      logits.data.set(run.logits!.data, from * logits.shape[1]);
    }
    onProgress?.(Math.min(from + batchSize, n), n, "prompts");
  }
  return Object.fromEntries(out) as Record<Name, PooledStates>;
}

/** The residual stream's hooks that a condition keeps. */
function hooksOf({ layers }: Model, { keep = "all" }: PooledCondition): string[] {
  const after = layers.map((l) => `blocks.${l}.hook_resid_post`);
  return keep === "last" ? after.slice(-1) : ["blocks.0.hook_resid_pre", ...after];
}

function empty({ config }: Model, groups: readonly string[], count: number, n: number): PooledStates {
  const { hidden_size: width, vocab_size: vocabulary } = config;
  const zeros = (...shape: number[]): Tensor<Float32Array> => ({
    data: new Float32Array(sizeOf(shape)),
    shape,
  });
  return {
    states: Object.fromEntries(groups.map((name) => [name, zeros(count, n, width)])),
    logits: zeros(n, vocabulary),
  };
}

/** Block that a run starts at: the first that is edited or kept; −1 for a whole run, where something before is edited. */
function startOf(edits: Edits, { keep = "all" }: PooledCondition): number {
  const edited = Object.keys(edits).map((hook) => Number(/^blocks\.(\d+)\./.exec(hook)?.[1] ?? -1));
  const first = edited.length > 0 ? Math.min(...edited) : 0;
  return keep === "all" ? Math.min(first, 0) : first;
}

/** The stream of a batch without edits, carried on from block to block for the runs that start there. */
class CleanStream {
  private at?: { readonly layer: number; readonly residual: Tensor };

  constructor(
    private readonly model: Model,
    private readonly batch: Batch,
    private readonly shared: boolean,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Options of a run that starts at a block, which is none before the last one asked for; those of a whole run for −1. */
  async before(layer: number): Promise<Pick<RunOptions, "startAtLayer" | "residual">> {
    if (!this.shared || layer < 0) return {};
    const { model, batch, signal } = this;
    if (this.at?.layer !== layer) {
      const start = this.at && { startAtLayer: this.at.layer, residual: this.at.residual };
      const ran = await model.run(batch, { ...start, stopAtLayer: layer, logits: "none", signal });
      this.at = { layer, residual: ran.residual! };
    }
    return { startAtLayer: layer, residual: this.at.residual };
  }
}
