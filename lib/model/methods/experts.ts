/** Experts: how many tokens each is chosen for, and what is lost without some of them. */
import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  checkSome,
  integers,
  list,
  type OptionChecks,
  positions,
  record,
  required,
  some,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import { type Batch, type Positions, resolvePositions } from "../batch/index.js";
import { type Edit, type Edits, edit } from "../edits/index.js";
import { matchHooks } from "../hooks/index.js";
import type { Model } from "../model.js";
import { lessClean } from "./delta.js";
import type { Metric } from "./metrics.js";
import { sweep } from "./sweep.js";

/** An expert of a block. */
export interface Expert {
  readonly layer: number;
  readonly expert: number;
}

/** The tokens' choices at a block: of each token the experts, the one that weighs most first. */
export interface ExpertChoices {
  readonly layer: number;
  /** Number of the block's experts. */
  readonly experts: number;
  /** For each row of the batch (tokens, k): the experts of its tokens, in the positions' order. */
  readonly chosen: readonly Tensor<Int32Array>[];
  /** For each row (tokens, experts): the router's scores before the softmax. */
  readonly logits: readonly Tensor[];
}

export interface ChoiceOptions extends TaskOptions {
  /** Tokens (default: all). */
  readonly positions?: Positions;
  /** Blocks (default: all that have experts). */
  readonly layers?: readonly number[];
}

const CHOICE_OPTIONS: OptionChecks<ChoiceOptions> = { ...TASK_OPTIONS, positions, layers: some(integers) };

/**
 * The experts that tokens are routed to and the router's scores, by block and row.
 * @throws ModalscopeError for a model without experts, or a block that has none
 */
export async function expertChoices(
  model: Model,
  batch: Batch,
  options: ChoiceOptions = {},
): Promise<ExpertChoices[]> {
  checkOptions("expertChoices", options, CHOICE_OPTIONS);
  const { positions: where = "all", ...rest } = options;
  return (await choicesByGroup(model, batch, { where }, rest)).where;
}

/**
 * {@link expertChoices} of several groups of tokens from one run, such as `{ visual: batch.visual, all: "all" }`.
 * @throws ModalscopeError as `expertChoices`
 */
export async function expertChoicesByGroup<const Group extends string>(
  model: Model,
  batch: Batch,
  groups: Readonly<Record<Group, Positions>>,
  options: Omit<ChoiceOptions, "positions"> = {},
): Promise<Record<Group, ExpertChoices[]>> {
  checkOptions("expertChoicesByGroup", options, { ...TASK_OPTIONS, layers: some(integers) });
  checkSome("expertChoicesByGroup", "groups", Object.keys(groups));
  return choicesByGroup(model, batch, groups, options);
}

async function choicesByGroup<Group extends string>(
  model: Model,
  batch: Batch,
  groups: Readonly<Record<Group, Positions>>,
  { layers, onProgress, signal }: Omit<ChoiceOptions, "positions">,
): Promise<Record<Group, ExpertChoices[]>> {
  const all = matchHooks(model.engine.hooks, "blocks.*.mlp.hook_expert_indices");
  const blocks = layers ?? all.map(({ piece }) => piece as number);
  const hook = (layer: number, name: string): string => `blocks.${layer}.mlp.${name}`;
  const capture = blocks.flatMap((l) => [hook(l, "hook_expert_indices"), hook(l, "hook_router_logits")]);
  const { cache } = await model.run(batch, { capture, logits: "none", onProgress, signal });
  const choicesOf = (where: Positions): ExpertChoices[] => {
    const columns = resolvePositions(where, batch);
    return blocks.map((layer) => {
      const indices = cache.get(hook(layer, "hook_expert_indices"));
      const scores = cache.get(hook(layer, "hook_router_logits"));
      return {
        layer,
        experts: scores.shape[2],
        chosen: columns.map((own, b) => tokensOf(indices, b, own)).map(asIntegers),
        logits: columns.map((own, b) => tokensOf(scores, b, own)),
      };
    });
  };
  const found = Object.entries<Positions>(groups).map(([name, where]) => [name, choicesOf(where)]);
  return Object.fromEntries(found) as Record<Group, ExpertChoices[]>;
}

/** (tokens, width) of some columns of a row of (batch, time, width). */
function tokensOf({ data, shape: [, time, width] }: Tensor, row: number, columns: readonly number[]): Tensor {
  const out = new Float32Array(columns.length * width);
  columns.forEach((t, i) => {
    const from = (row * time + t) * width;
    out.set(data.subarray(from, from + width), i * width);
  });
  return { data: out, shape: [columns.length, width] };
}

const asIntegers = ({ data, shape }: Tensor): Tensor<Int32Array> => ({ data: Int32Array.from(data), shape });

/**
 * Edits that silence experts: their router weights become 0 and they do not run. The other chosen ones keep their
 * weights, and none is called in.
 * @param where tokens that are routed without them (default: all)
 * @throws ModalscopeError for a block without experts, or an expert that it has not
 */
export function silenceExperts(
  model: Model,
  experts: readonly Expert[],
  where: { readonly positions?: Positions } = {},
): Edits {
  checkOptions("silenceExperts", where, { positions });
  const byLayer = new Map<number, number[]>();
  for (const { layer, expert } of experts) byLayer.set(layer, [...(byLayer.get(layer) ?? []), expert]);
  return Object.fromEntries(
    [...byLayer].map(([layer, silent]): [string, Edit] => {
      const name = `blocks.${layer}.mlp.hook_expert_weights`;
      const [hook] = matchHooks(model.engine.hooks, name);
      const count = hook.shape[hook.shape.length - 1] as number;
      checkExperts(layer, silent, count);
      const factor = new Float32Array(count).fill(1);
      for (const e of silent) factor[e] = 0;
      return [name, edit.scale({ data: factor, shape: [count] }, where)];
    }),
  );
}

function checkExperts(layer: number, experts: readonly number[], count: number): void {
  const missing = experts.find((e) => !(Number.isInteger(e) && e >= 0 && e < count));
  if (missing === undefined) return;
  throw new ModalscopeError(`Block ${layer} has no expert ${missing}.`, `It has ${count}, counted from 0.`);
}

export interface SilencingOptions extends TaskOptions {
  /** Sets of experts, each silenced by itself: the chosen ones, and random ones of the same blocks and load. */
  readonly sets: readonly (readonly Expert[])[];
  readonly metric: Metric;
  /** Tokens that are routed without them (default: all). */
  readonly positions?: Positions;
}

const SILENCING_OPTIONS: OptionChecks<SilencingOptions> = {
  ...TASK_OPTIONS,
  sets: required(some(list), "a list of sets of experts { layer, expert }"),
  metric: required(record, "a metric, such as logProb(token)"),
  positions,
};

/**
 * The metric with each set of experts silenced.
 * @returns `values` (sets, batch), `delta` the same less the clean run's, `clean` (batch)
 * @throws ModalscopeError for a block without experts, or an expert that it has not
 */
export async function expertSilencing(
  model: Model,
  batch: Batch,
  options: SilencingOptions,
): Promise<{
  readonly values: Tensor<Float64Array>;
  readonly delta: Tensor<Float64Array>;
  readonly clean: Float64Array;
}> {
  checkOptions("expertSilencing", options, SILENCING_OPTIONS);
  const { sets, metric, positions: at, onProgress, signal } = options;
  const silenced = (set: readonly Expert[]): Edits => silenceExperts(model, set, { positions: at });
  const { values, clean } = await sweep(model, batch, {
    over: sets,
    edit: silenced,
    metric,
    onProgress,
    signal,
  });
  return { values, delta: lessClean(values, clean), clean };
}
