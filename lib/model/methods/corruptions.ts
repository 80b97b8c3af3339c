/** Corruptions of tokens as data, and the edits that they come to from a block on, or up to it. */
import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkedPositions,
  checkOptions,
  flag,
  integers,
  type OptionChecks,
  oneOf,
  some,
  TASK_OPTIONS,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import type { Batch, Prompt } from "../batch/index.js";
import { type Edit, type Edits, edit, fill } from "../edits/index.js";
import type { Model } from "../model.js";
import { injectionLayers, visualPositions } from "../vision/index.js";
import { meansOf } from "./means.js";

/** Replacement of visual tokens, or of others. */
export type Corruption =
  /**
   * Those of other images, at the same place of the stream: row by row those of a batch with as many of them.
   * They stay within what the model knows (symmetric token replacement, Zhang & Nanda 2024).
   */
  | { readonly kind: "image"; readonly from: Batch }
  /** Gaussian noise on top, `times` their spread at that place (Meng et al. 2022 take 3). */
  | { readonly kind: "noise"; readonly times: number; readonly seed?: number }
  /** Zero: behind an RMSNorm they stay zero, and only dilute attention. */
  | { readonly kind: "zero" }
  /** The mean over these tokens of prompts that were held out: the batch's own would point at its answers, or away. */
  | { readonly kind: "mean"; readonly prompts: readonly Prompt[] }
  /** Nothing: they stay, and no token attends to them. */
  | { readonly kind: "hidden" };

/** Treatment of DeepStack's injections: corrupted with the stream, or left alone, so that a leak shows. */
export type Injections = "corrupted" | "clean";

/** The tokens that are corrupted, by row of a batch. */
export type TokensOf = (batch: Batch) => readonly (readonly number[])[];

export interface CorruptionOptions extends TaskOptions {
  /** Blocks that the edits will be asked for (default: all). */
  readonly layers?: readonly number[];
  readonly injections?: Injections;
  /** The tokens (default: visual ones). `({ passage }) => passage` are those of a text in an image's place. */
  readonly tokens?: TokensOf;
  /** Whether `before` will be asked for, which takes the clean values at every block (default true). */
  readonly restores?: boolean;
}

const CORRUPTION_OPTIONS: OptionChecks<CorruptionOptions> = {
  ...TASK_OPTIONS,
  layers: some(integers),
  injections: oneOf("corrupted", "clean"),
  tokens: callback,
  restores: flag,
};

/** The edits of a corruption. */
export interface CorruptionEdits {
  /** Clean up to block `layer`, corrupted from there on: truncation. */
  from(layer: number): Edits;
  /** Corrupted up to block `layer`, clean from there on: restoration. */
  before(layer: number): Edits;
}

/**
 * The edits of a corruption of all visual tokens of a batch, from its values at each block's input and in DeepStack.
 * @throws ModalscopeError for a batch without images, and for other images of another number of tokens
 */
export async function corruptionEdits(
  model: Model,
  batch: Batch,
  corruption: Corruption,
  options: CorruptionOptions = {},
): Promise<CorruptionEdits> {
  checkOptions("corruptionEdits", options, CORRUPTION_OPTIONS);
  const {
    layers = model.layers,
    injections = "corrupted",
    tokens = visualTokens,
    restores = true,
    signal,
  } = options;
  const positions = tokens(batch);
  checkTokens(positions);
  if (corruption.kind === "hidden") return hidingEdits(model, positions);
  const deepstack = injections === "corrupted" && batch.images?.length ? injectionLayers(model) : [];
  const streams = [...new Set([0, ...layers])].map(streamHook);
  const hooks = [...streams, ...deepstack.map(injectionHook)];
  const corrupt = await editsByHook({ model, batch, tokens, hooks, signal }, corruption);
  const clean = restores
    ? await valuesAt({ model, batch, hooks: layers.filter((l) => l > 0).map(streamHook), tokens, signal })
    : undefined;
  const cleanAt = (layer: number): Tensor => {
    const value = clean?.get(streamHook(layer));
    if (value) return spreadOut(value, batch, positions);
    throw new ModalscopeError(
      `Block ${layer} is not among those that edits were made for.`,
      "Restoring takes its clean values.",
      "Name it in layers, and leave restores as it is.",
    );
  };
  const injected = (some: readonly number[]): [string, Edit][] =>
    some.map((l) => [injectionHook(l), corrupt(injectionHook(l))]);
  return {
    from: (layer) =>
      Object.fromEntries([
        [streamHook(layer), corrupt(streamHook(layer))],
        ...injected(deepstack.filter((l) => l >= layer)),
      ]),
    before: (layer) =>
      layer === 0
        ? {}
        : Object.fromEntries([
            [streamHook(0), corrupt(streamHook(0))],
            ...injected(deepstack.filter((l) => l < layer)),
            [streamHook(layer), fill(cleanAt(layer), { positions })],
          ]),
  };
}

const visualTokens: TokensOf = (batch) => visualPositions(batch);

function checkTokens(positions: readonly (readonly number[])[]): void {
  checkedPositions("tokens of a corruption", positions);
  if (positions.some((columns) => columns.length > 0)) return;
  throw new ModalscopeError(
    "There are no tokens to corrupt.",
    "No row of the batch has any of them.",
    'A text in an image\'s place is a part { type: "text", text, standsForImage: true }.',
  );
}

/** The stream that enters a block. */
const streamHook = (layer: number): string => (layer === 0 ? "hook_embed" : `blocks.${layer}.hook_resid_pre`);
const injectionHook = (layer: number): string => `blocks.${layer}.hook_deepstack`;

function hidingEdits(model: Model, to: readonly (readonly number[])[]): CorruptionEdits {
  const hide = (some: readonly number[]): Edits =>
    Object.fromEntries(some.map((l) => [`blocks.${l}.attn.hook_attn_scores`, edit.blockAttention({ to })]));
  return {
    from: (layer) => hide(model.layers.filter((l) => l >= layer)),
    before: (layer) => hide(model.layers.filter((l) => l < layer)),
  };
}

interface Values {
  readonly model: Model;
  readonly batch: Batch;
  readonly tokens: TokensOf;
  readonly hooks: readonly string[];
  readonly signal?: AbortSignal;
}

/** Values of a run without edits at some tokens, (batch, tokens, width) by hook; rows with fewer tokens end in zeros. */
async function valuesAt({
  model,
  batch,
  hooks,
  tokens,
  signal,
}: Values): Promise<ReadonlyMap<string, Tensor>> {
  if (hooks.length === 0) return new Map();
  const capture = hooks.map((hook) => ({ hook, positions: tokens(batch), padRows: true }));
  const { cache } = await model.run(batch, { capture, logits: "none", signal });
  return new Map(hooks.map((hook) => [hook, cache.get(hook)]));
}

/** The edit that replaces the tokens at a hook. */
async function editsByHook(
  values: Values,
  corruption: Exclude<Corruption, { kind: "hidden" }>,
): Promise<(hook: string) => Edit> {
  const { model, batch, tokens, hooks, signal } = values;
  const positions = tokens(batch);
  switch (corruption.kind) {
    case "zero":
      return () => edit.zero({ positions });
    case "noise": {
      const { times, seed = 0 } = corruption;
      const clean = await valuesAt(values);
      const spreads = new Map(hooks.map((hook) => [hook, spread(clean.get(hook)!, positions)]));
      return (hook) =>
        edit.noise(times * spreads.get(hook)!, { seed: seed + hooks.indexOf(hook), positions });
    }
    case "mean": {
      const means = await meansOf(model, corruption.prompts, hooks, { positions: tokens, signal });
      return (hook) => fill(means.get(hook)!, { positions });
    }
    case "image": {
      checkCounts(tokens(corruption.from), positions);
      const others = await valuesAt({ ...values, batch: corruption.from });
      return (hook) => fill(spreadOut(others.get(hook)!, batch, positions), { positions });
    }
  }
}

/** Standard deviation of a coordinate about its mean over the tokens, in the root mean square of all coordinates. */
function spread({ data, shape: [, most, width] }: Tensor, positions: ReturnType<TokensOf>): number {
  const offsets = positions.flatMap((columns, b) => columns.map((_, i) => (b * most + i) * width));
  const mean = new Float64Array(width);
  for (const offset of offsets) for (let j = 0; j < width; j++) mean[j] += data[offset + j] / offsets.length;
  let sum = 0;
  for (const offset of offsets) for (let j = 0; j < width; j++) sum += (data[offset + j] - mean[j]) ** 2;
  return Math.sqrt(sum / (offsets.length * width));
}

/** Tokens (batch, tokens, width) at their columns, (batch, time, width); zero elsewhere. */
function spreadOut(
  { data, shape: [, most, width] }: Tensor,
  { size, seqLength }: Batch,
  to: ReturnType<TokensOf>,
): Tensor {
  const shape = [size, seqLength, width];
  const out = zerosLike(data, sizeOf(shape));
  to.forEach((columns, b) => {
    columns.forEach((t, i) => {
      const source = (b * most + i) * width;
      out.set(data.subarray(source, source + width), (b * seqLength + t) * width);
    });
  });
  return { data: out, shape };
}

function checkCounts(from: ReturnType<TokensOf>, own: ReturnType<TokensOf>): void {
  const counts = (rows: ReturnType<TokensOf>): string => rows.map((columns) => columns.length).join(", ");
  if (counts(from) === counts(own)) return;
  throw new ModalscopeError(
    `The other batch has ${counts(from)} of these tokens by row, the batch itself ${counts(own)}.`,
    "A token is replaced by the one at the same place of the other row.",
    "Give a batch of as many rows whose images have the same sizes, or whose texts have as many tokens.",
  );
}
