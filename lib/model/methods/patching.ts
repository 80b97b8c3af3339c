/** Patching: which values carry the difference between two prompts. */
import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkOptions,
  checkSome,
  integers,
  type OptionChecks,
  positions,
  record,
  required,
  some,
  TASK_OPTIONS,
} from "../../options.js";
import type { Progress, TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import type { Batch, Positions } from "../batch/index.js";
import { type Edit, type Edits, type Placement, patch } from "../edits/index.js";
import { matchHooks } from "../hooks/index.js";
import type { Model } from "../model.js";
import { gradients } from "./gradients.js";
import { hookMeans } from "./means.js";
import type { Metric } from "./metrics.js";
import { sweep } from "./sweep.js";

/** Two batches of the same shape: one that shows the behaviour, and one that does not. */
export interface Contrast {
  readonly clean: Batch;
  readonly corrupted: Batch;
  readonly metric: Metric;
}

export interface PatchingOptions extends TaskOptions {
  /**
   * The hook that is patched in each block, by its name there: "hook_resid_pre" (TransformerLens's
   * `get_act_patch_resid_pre`), "hook_attn_out", "hook_mlp_out", or with `heads` "attn.hook_z"
   * (`get_act_patch_attn_head_out_all_pos`). A function gives the whole name of a layer's hook.
   */
  readonly hook: string | ((layer: number) => string);
  readonly layers?: readonly number[];
  /** Columns patched one at a time; by default all of them together. */
  readonly positions?: readonly number[];
  /** Heads patched one at a time; by default all of them together. */
  readonly heads?: readonly number[];
}

const PATCHING_OPTIONS: OptionChecks<PatchingOptions> = {
  ...TASK_OPTIONS,
  hook: required((value) => (typeof value === "string" ? undefined : callback(value)), "a hook's name"),
  layers: some(integers),
  positions: some(integers),
  heads: some(integers),
};

export interface Patching {
  /** (layers[, positions][, heads], batch): the metric with one value patched in. */
  readonly values: Tensor<Float64Array>;
  /** (batch): the metric of the two runs. */
  readonly clean: Float64Array;
  readonly corrupted: Float64Array;
  /** values scaled so that 0 is the corrupted run and 1 the clean one; NaN in rows where both runs have the same metric. */
  readonly restored: Tensor<Float64Array>;
}

/**
 * Activation patching (Meng et al. 2022, "causal tracing"; Wang et al. 2022): the corrupted run with one value of
 * the clean run put in its place, over layers, positions and heads.
 * @throws ModalscopeError when the prompts differ in length, for an unknown hook, and for a position or head that is not there
 */
export async function activationPatching(
  model: Model,
  contrast: Contrast,
  options: PatchingOptions,
): Promise<Patching> {
  checkOptions("activationPatching", options, PATCHING_OPTIONS);
  const { clean, corrupted, metric } = checked(contrast);
  const layers = options.layers ?? model.layers;
  const { hook } = options;
  const hookAt = (layer: number): string =>
    typeof hook === "string" ? `blocks.${layer}.${hook}` : hook(layer);
  const source = await model.run(clean, {
    capture: layers.map(hookAt),
    logits: "last",
    signal: options.signal,
  });
  const over: Record<string, readonly number[]> = { layer: layers };
  if (options.positions) over.position = options.positions;
  if (options.heads) over.head = options.heads;
  const edit = (point: Readonly<Record<string, unknown>>): Edits => {
    const { layer, position, head } = point as { layer: number; position?: number; head?: number };
    const where: Placement = {
      positions: position === undefined ? undefined : [position],
      heads: head === undefined ? undefined : [head],
    };
    return { [hookAt(layer)]: patch(source.cache, hookAt(layer), where) };
  };
  const { onProgress, signal } = options;
  const result = await sweep(model, corrupted, { over, edit, metric, onProgress, signal });
  const cleanValues = metric.value(source.logits!);
  const size = corrupted.size;
  const restored = result.values.data.map((v, i) => {
    const b = i % size;
    const whole = cleanValues[b] - result.clean[b];
    return whole === 0 ? Number.NaN : (v - result.clean[b]) / whole;
  });
  return {
    values: result.values,
    clean: cleanValues,
    corrupted: result.clean,
    restored: { data: restored, shape: result.values.shape },
  };
}

/**
 * Attribution patching (Nanda 2023): the first-order estimate of activation patching for every position and head
 * at once, (clean − corrupted) · ∂metric/∂corrupted, summed over each vector.
 * @returns hook → (batch, time) or (batch, time, heads)
 * @throws ModalscopeError when the prompts differ in length, for an unknown hook, and for one that the metric does not
 * depend on
 */
export async function attributionPatching(
  model: Model,
  contrast: Contrast,
  hooks: readonly (string | RegExp)[],
  options: TaskOptions = {},
): Promise<Map<string, Tensor>> {
  checkOptions("attributionPatching", options, TASK_OPTIONS);
  checkSome("attributionPatching", "hooks", hooks);
  const { clean, corrupted, metric } = checked(contrast);
  const source = await model.run(clean, { capture: hooks, logits: "none", ...options });
  const base = await model.run(corrupted, { capture: hooks, logits: "none", ...options });
  const { gradients: slopes } = await gradients(model, corrupted, [metric], { wrt: hooks, ...options });
  return new Map(
    source.cache.names.map((name) => [
      name,
      vectorDots(difference(source.cache.get(name), base.cache.get(name)), slopes.get(name)),
    ]),
  );
}

export interface Path {
  /** The value that is changed, and where. */
  readonly sender: { readonly hook: string } & Placement;
  /** The values that are to receive the change over the residual stream alone. */
  readonly receivers: readonly string[];
}

/**
 * Path patching (Goldowsky-Dill et al. 2023): the sender takes its corrupted value, every attention head and MLP
 * between keeps its clean one, and only what then reaches the receivers is put into a clean run.
 * @returns (batch): the metric of that run; `clean` that of the untouched one
 * @throws ModalscopeError when the prompts differ in length, and for an unknown hook
 */
export async function pathPatching(
  model: Model,
  contrast: Contrast,
  { sender, receivers }: Path,
  options: TaskOptions = {},
): Promise<{ patched: Float64Array; clean: Float64Array }> {
  checkOptions("pathPatching", options, TASK_OPTIONS);
  checkSome("pathPatching", "receivers", receivers);
  const { clean, corrupted, metric } = checked(contrast);
  const held = ["blocks.*.attn.hook_z", "blocks.*.hook_mlp_out"];
  const source = await model.run(corrupted, { capture: [sender.hook], logits: "none", ...options });
  const base = await model.run(clean, { capture: [...held, sender.hook], logits: "last", ...options });
  const received = new Set(receivers.flatMap((r) => matchHooks(model.engine.hooks, r).map((h) => h.name)));
  const { hook, ...where } = sender;
  const edits: Record<string, Edit[]> = {};
  // What a receiver itself computes is read, not held.
  for (const name of base.cache.names)
    if (name !== hook && !received.has(name)) edits[name] = [patch(base.cache, name)];
  edits[hook] = [patch(base.cache, hook), patch(source.cache, hook, where)];
  const between = await model.run(clean, { edits, capture: [...received], logits: "none", ...options });
  const last = Object.fromEntries([...received].map((name) => [name, patch(between.cache, name)]));
  const { logits } = await model.run(clean, { edits: last, logits: "last", ...options });
  return { patched: metric.value(logits!), clean: metric.value(base.logits!) };
}

export interface SteeringOptions extends TaskOptions {
  /** The tokens that the means are taken over (default: the last of each row). */
  readonly positions?: Positions;
}

/**
 * Steering vectors (Turner et al. 2023): the mean of each hook over one set of prompts less that over another.
 * Rows count alike, whatever their number of tokens.
 * @returns hook → (width), or (heads, width) where the hook has heads
 * @throws ModalscopeError for a hook that is unknown or does not run, or one whose vectors are over keys
 */
export async function steeringVectors(
  model: Model,
  sets: { readonly positive: Batch; readonly negative: Batch },
  hooks: readonly (string | RegExp)[],
  options: SteeringOptions = {},
): Promise<Map<string, Tensor>> {
  checkOptions("steeringVectors", options, { ...TASK_OPTIONS, positions });
  checkSome("steeringVectors", "hooks", hooks);
  const { positions: at = "last", onProgress, signal } = options;
  const half =
    (part: number): Progress =>
    (done, total, label) =>
      onProgress?.(part * total + done, 2 * total, label);
  const positive = await hookMeans(model, sets.positive, hooks, at, { signal, onProgress: half(0) });
  const negative = await hookMeans(model, sets.negative, hooks, at, { signal, onProgress: half(1) });
  return new Map([...positive].map(([hook, { mean }]) => [hook, difference(mean, negative.get(hook)!.mean)]));
}

const CONTRAST: OptionChecks<Contrast> = {
  clean: required(record, "a batch"),
  corrupted: required(record, "a batch"),
  metric: required(record, "a metric, such as logProb(token)"),
};

function checked(contrast: Contrast): Contrast {
  checkOptions("The contrast", contrast, CONTRAST);
  const { clean, corrupted } = contrast;
  const lengths = ({ tokenPositions }: Batch): string => tokenPositions.map((row) => row.length).join(", ");
  if (JSON.stringify(clean.tokenPositions) === JSON.stringify(corrupted.tokenPositions)) return contrast;
  throw new ModalscopeError(
    `The clean prompts have ${lengths(clean)} tokens, the corrupted ones ${lengths(corrupted)}.`,
    "Values are patched from a position to the same position.",
    "Choose prompts of the same length in tokens.",
  );
}

function difference(a: Tensor, b: Tensor): Tensor {
  return { data: a.data.map((v, i) => v - b.data[i]), shape: a.shape };
}

/** Dot product of each vector of `a` with its like in `b`, which has a leading axis of one. */
function vectorDots(a: Tensor, b: Tensor): Tensor {
  const width = a.shape[a.shape.length - 1];
  const shape = a.shape.slice(0, -1);
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    let dot = 0;
    for (let j = 0; j < width; j++) dot += a.data[i * width + j] * b.data[i * width + j];
    data[i] = dot;
  }
  return { data, shape };
}
