/** Where features act on a set of prompts, by feature: what dashboards and labels are made from. */
import { ModalscopeError } from "../../errors.js";
import type { Batch, Model, Prompt } from "../../model/index.js";
import { checkOptions, integer, type OptionChecks, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { encodeFeatures } from "../encode-run.js";
import type { SparseFeatures, TranscoderSet } from "../transcoders/types.js";

/** A prompt whose features are looked at. */
export interface CorpusPrompt {
  readonly prompt: Prompt;
  /** The file (PNG, JPEG …) of its image, for dashboards to show. */
  readonly image?: Uint8Array;
  /**
   * Words that are true of what lies at a visual token, by its number in the image: labels may be made of
   * them.
   */
  readonly words?: (token: number) => readonly string[];
}

/** A token of a row. */
export interface CorpusToken {
  readonly text: string;
  readonly kind: "text" | "image" | "special";
  /** Of an image token: its number among those of the row's image. */
  readonly visual?: number;
}

export interface CorpusRow {
  readonly tokens: readonly CorpusToken[];
  /** Number of its first token among those of all rows. */
  readonly first: number;
  readonly image?: Uint8Array;
  /** Where the image's tokens lie. */
  readonly layout?: Pick<NonNullable<Batch["images"]>[number]["image"], "width" | "height" | "tokens">;
  readonly words?: CorpusPrompt["words"];
}

/**
 * The features of one layer the other way round: for each, the tokens at which it is active (compressed
 * sparse columns).
 */
export interface FeatureIndex {
  /** (features + 1) */
  readonly offsets: Int32Array;
  /** Numbers of tokens among those of all rows, ascending for each feature. */
  readonly tokens: Int32Array;
  readonly values: Float32Array;
}

export interface FeatureCorpus {
  readonly rows: readonly CorpusRow[];
  /** Tokens of all rows. */
  readonly tokens: number;
  readonly layers: readonly FeatureIndex[];
}

export interface CorpusOptions extends TaskOptions {
  /** Rows of a batch (default 16). */
  readonly batchRows?: number;
}

const CORPUS_OPTIONS: OptionChecks<CorpusOptions> = { ...TASK_OPTIONS, batchRows: integer(1) };

/**
 * Runs prompts and indexes at which tokens each feature is active.
 * @throws ModalscopeError for transcoders of another model, or no prompts
 */
export async function featureCorpus(
  model: Model,
  set: TranscoderSet,
  prompts: readonly CorpusPrompt[],
  options: CorpusOptions = {},
): Promise<FeatureCorpus> {
  checkOptions("featureCorpus", options, CORPUS_OPTIONS);
  if (prompts.length === 0)
    throw new ModalscopeError(
      "A corpus of no prompts says nothing of any feature.",
      "",
      "Give some prompts.",
    );
  const { batchRows = 16, onProgress, signal } = options;
  const rows: CorpusRow[] = [];
  const parts: SparseFeatures[][] = set.layers.map(() => []);
  let tokens = 0;
  for (let from = 0; from < prompts.length; from += batchRows) {
    const some = prompts.slice(from, from + batchRows);
    const batch = await model.prepare(some.map(({ prompt }) => prompt));
    const run = await encodeFeatures(model, batch, set, { signal });
    for (const [l, features] of run.layers.entries()) parts[l].push(features);
    some.forEach((given, row) => {
      const made = rowOf(model, batch, row, given, tokens);
      rows.push(made);
      tokens += made.tokens.length;
    });
    onProgress?.(Math.min(from + batchRows, prompts.length), prompts.length, "prompts");
  }
  return { rows, tokens, layers: set.layers.map(({ features }, l) => indexOf(parts[l], features)) };
}

function rowOf(model: Model, batch: Batch, row: number, given: CorpusPrompt, first: number): CorpusRow {
  const visual = new Map(batch.visual[row].map((column, i) => [column, i]));
  const special = new Set(batch.special[row]);
  const tokens = batch.tokenPositions[row].map((column): CorpusToken => {
    const number = visual.get(column);
    if (number !== undefined) return { text: "▦", kind: "image", visual: number };
    const id = batch.inputIds[row * batch.seqLength + column];
    const text = model.decode([id], { skipSpecialTokens: false });
    return { text, kind: special.has(column) ? "special" : "text" };
  });
  const layout = batch.images?.find((one) => one.row === row)?.image;
  const { image, words } = given;
  return { tokens, first, ...(image && { image }), ...(layout && { layout }), ...(words && { words }) };
}

function indexOf(parts: readonly SparseFeatures[], features: number): FeatureIndex {
  const offsets = new Int32Array(features + 1);
  for (const { ids } of parts) for (const id of ids) offsets[id + 1]++;
  for (let f = 0; f < features; f++) offsets[f + 1] += offsets[f];
  const next = offsets.slice();
  const tokens = new Int32Array(offsets[features]);
  const values = new Float32Array(tokens.length);
  let before = 0;
  for (const part of parts) {
    for (let t = 0; t < part.tokens; t++) {
      for (let i = part.offsets[t]; i < part.offsets[t + 1]; i++) {
        const at = next[part.ids[i]]++;
        tokens[at] = before + t;
        values[at] = part.values[i];
      }
    }
    before += part.tokens;
  }
  return { offsets, tokens, values };
}

/** The tokens at which a feature is active, and how much. */
export function activeTokens(
  { layers }: FeatureCorpus,
  layer: number,
  feature: number,
): { readonly tokens: Int32Array; readonly values: Float32Array } {
  const { offsets, tokens, values } = layers[layer];
  const [from, to] = [offsets[feature], offsets[feature + 1]];
  return { tokens: tokens.subarray(from, to), values: values.subarray(from, to) };
}

/** Row of each token of a corpus, by its number. */
export function rowsOfTokens({ rows, tokens }: FeatureCorpus): Int32Array {
  const of = new Int32Array(tokens);
  rows.forEach(({ first, tokens: own }, row) => {
    of.fill(row, first, first + own.length);
  });
  return of;
}
