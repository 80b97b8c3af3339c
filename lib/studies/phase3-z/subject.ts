/** The subject of patching: a model with the same problems in two languages, its streams, and its subspaces. */
import {
  asMatrix,
  type KernelSide,
  type Matrix,
  randomSubspace,
  stack,
  zMask,
} from "../../analysis/index.js";
import type { Model } from "../../model/index.js";
import { checkOptions, flag, integer, listOf, type OptionChecks, record, required } from "../../options.js";
import type { Language } from "../../tasks/index.js";

/** Streams before some blocks: by layer one matrix `(tokens, d)` for each prompt. */
export type Streams = ReadonlyMap<number, readonly Matrix[]>;

export interface Subject {
  readonly model: Model;
  /** Token ids of each problem's prompt. */
  readonly ids: Readonly<Record<Language, readonly (readonly number[])[]>>;
  readonly answers: readonly number[];
  readonly streams: Readonly<Record<Language, Streams>>;
  /** V_Z `(k, d)` of a layer. */
  readonly z: (layer: number, k: number, side?: KernelSide) => Matrix;
  /** Random subspaces of Z's size `(k, d)`, by their number. */
  readonly random: (k: number, draw: number) => Matrix;
}

export interface SubjectOptions {
  /** Layers whose streams are read, unless they are given. */
  readonly layers: readonly number[];
  readonly streams?: Readonly<Record<Language, Streams>>;
  /** Fold the gain of the norm before attention into the kernels; the document does not. */
  readonly foldGain?: boolean;
  readonly seed?: number;
}

/** Name of the stream that enters a block. */
export const residPre = (layer: number): string => `blocks.${layer}.hook_resid_pre`;

const SUBJECT_OPTIONS: OptionChecks<SubjectOptions> = {
  layers: required(listOf(integer(0)), "a list of layers"),
  streams: record,
  foldGain: flag,
  seed: integer(),
};

/** The subject of patches; reads the prompts in both languages once, unedited, unless their streams are given. */
export async function subjectOf(
  model: Model,
  ids: Subject["ids"],
  answers: readonly number[],
  options: SubjectOptions,
): Promise<Subject> {
  checkOptions("subjectOf", options, SUBJECT_OPTIONS);
  const { layers, streams, foldGain = false, seed = 0 } = options;
  const own = streams ?? {
    en: await observeStreams(model, ids.en, layers),
    zh: await observeStreams(model, ids.zh, layers),
  };
  const masks = new Map<string, Matrix>();
  const kept = (key: string, make: () => Matrix): Matrix => {
    const found = masks.get(key) ?? make();
    masks.set(key, found);
    return found;
  };
  const { hidden_size: d } = model.config;
  return {
    model,
    ids,
    answers,
    streams: own,
    z: (layer, k, side = "key") =>
      kept(`${layer} ${k} ${side}`, () => zMask(attentionOf(model, layer, foldGain), k, { side }).basis),
    random: (k, draw) => kept(`random ${k} ${draw}`, () => randomSubspace(k, d, 7919 * (seed + 1) + draw)),
  };
}

/** One layer's query and key projections, as `zMask` takes them. */
export function attentionOf(model: Model, layer: number, foldGain = false): Parameters<typeof zMask>[0] {
  const weight = (name: string) => model.weight(`model.layers.${layer}.${name}.weight`);
  return {
    query: weight("self_attn.q_proj"),
    key: weight("self_attn.k_proj"),
    heads: model.config.num_attention_heads,
    keyValueHeads: model.config.num_key_value_heads,
    ...(foldGain ? { gain: weight("input_layernorm").data } : {}),
  };
}

/** The streams before some blocks, prompt by prompt, without padding. */
export async function observeStreams(
  model: Model,
  prompts: readonly (readonly number[])[],
  layers: readonly number[],
): Promise<Streams> {
  const batch = model.batch(prompts);
  const { cache } = await model.run(batch, { capture: layers.map(residPre), logits: "none" });
  return new Map(
    layers.map((layer) => {
      const { data, shape } = cache.get(residPre(layer));
      const [, time, width] = shape;
      const own = batch.tokenPositions.map((columns, b) => {
        const from = (b * time + columns[0]) * width;
        return asMatrix({
          data: data.subarray(from, from + columns.length * width),
          shape: [columns.length, width],
        });
      });
      return [layer, own];
    }),
  );
}

/** Rows from `from` on: 1 leaves the first token out. */
export function tokensFrom({ data, shape: [count, width] }: Matrix, from: number): Matrix {
  return { data: data.subarray(from * width), shape: [count - from, width] };
}

/** Mean over the tokens of each prompt, `(prompts, d)`. */
export function pooledStreams(prompts: readonly Matrix[], from = 0): Matrix {
  return stack(
    prompts.map((tokens) => {
      const { data, shape } = tokensFrom(tokens, from);
      const [count, width] = shape;
      const mean = new Float64Array(width);
      for (let i = 0; i < data.length; i++) mean[i % width] += data[i] / count;
      return { data: mean, shape: [1, width] };
    }),
  );
}
