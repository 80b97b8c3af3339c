/** Activity of features on images, and which features tell a concept. */
import { argmax } from "../../analysis/index.js";
import { encodeFeatures, type FeatureRun } from "../../circuits/index.js";
import type { Batch, Edits, Prompt } from "../../model/index.js";
import { asMessage, type VisualTask } from "../../tasks/index.js";
import { sizeMatchedSets } from "../index.js";
import type { Subject } from "./subject.js";

/** A feature of a layer. */
export interface Feature {
  readonly layer: number;
  readonly feature: number;
}

/** Prompts that run together. */
export interface Chunk {
  readonly tasks: readonly VisualTask[];
  /** Number of its first task. */
  readonly first: number;
  readonly batch: Batch;
}

/** The question with its image, or the image alone. */
export type PromptOf = (task: VisualTask) => Prompt;
const asked: PromptOf = (task) => [asMessage(task)];

/** Prepares tasks in chunks. */
export async function eachChunk(
  { model, rowsPerCall }: Subject,
  tasks: readonly VisualTask[],
  use: (chunk: Chunk) => Promise<void>,
  prompt: PromptOf = asked,
): Promise<void> {
  for (let first = 0; first < tasks.length; first += rowsPerCall) {
    const some = tasks.slice(first, first + rowsPerCall);
    await use({ tasks: some, first, batch: await model.prepare(some.map(prompt)) });
  }
}

/** Columns by row. */
export type Columns = (batch: Batch) => readonly (readonly number[])[];

export const imageColumns: Columns = ({ visual }) => visual;
export const lastColumns: Columns = ({ last }) => last.map((column) => [column]);

/** By layer, `(prompts, features)`: mean activation over each prompt's columns. */
export type Activity = readonly Float32Array[];

/** Mean activity of a run, by layer and row. */
export function pooled({ batch, tokens, layers }: FeatureRun, columns: Columns): Float32Array[] {
  const counted = columns(batch).map((own) => new Set(own));
  return layers.map(({ features, offsets, ids, values }) => {
    const out = new Float32Array(batch.size * features);
    tokens.forEach(({ row, column }, t) => {
      if (!counted[row].has(column)) return;
      for (let i = offsets[t]; i < offsets[t + 1]; i++)
        out[row * features + ids[i]] += values[i] / counted[row].size;
    });
    return out;
  });
}

/** Activity of tasks. */
export async function activityOf(
  subject: Subject,
  tasks: readonly VisualTask[],
  columns: Columns,
  prompt?: PromptOf,
): Promise<Activity> {
  const { model, set } = subject;
  const out = set.layers.map(({ features }) => new Float32Array(tasks.length * features));
  await eachChunk(
    subject,
    tasks,
    async ({ batch, first }) => {
      const run = await encodeFeatures(model, batch, set);
      for (const [l, own] of pooled(run, columns).entries()) out[l].set(own, first * set.layers[l].features);
    },
    prompt,
  );
  return out;
}

/** How a concept's features are chosen. */
export interface ConceptOptions {
  readonly layers: readonly number[];
  readonly count: number;
}

/**
 * The features that are most more active on a concept's images than on others: by Welch's t over the images.
 * @param side true for images of the concept, false for others, undefined for those that do not count
 */
export function conceptFeatures(
  activity: Activity,
  side: readonly (boolean | undefined)[],
  { layers, count }: ConceptOptions,
): Feature[] {
  const of = (wanted: boolean): number[] => side.flatMap((own, i) => (own === wanted ? [i] : []));
  const [inside, outside] = [of(true), of(false)];
  if (inside.length < 2 || outside.length < 2) return [];
  const found: (Feature & { readonly t: number })[] = [];
  for (const layer of layers) {
    const values = activity[layer];
    const features = values.length / side.length;
    for (let feature = 0; feature < features; feature++) {
      const [a, b] = [inside, outside].map((rows) => moments(values, rows, features, feature));
      if (a.mean <= b.mean) continue;
      // A feature that is constant on both sides would have an infinite t.
      const spread = a.variance / inside.length + b.variance / outside.length + (1e-3 * a.mean) ** 2;
      found.push({ layer, feature, t: (a.mean - b.mean) / Math.sqrt(spread) });
    }
  }
  return found
    .sort((x, y) => y.t - x.t)
    .slice(0, count)
    .map(({ layer, feature }) => ({ layer, feature }));
}

function moments(
  values: Float32Array,
  rows: readonly number[],
  features: number,
  feature: number,
): { readonly mean: number; readonly variance: number } {
  let [sum, squares] = [0, 0];
  for (const row of rows) {
    const value = values[row * features + feature];
    sum += value;
    squares += value * value;
  }
  const mean = sum / rows.length;
  return { mean, variance: Math.max(0, squares / rows.length - mean * mean) };
}

/** A concept's features, random ones of the same layers and activity, and what each leaves. */
export interface MatchedFeatures {
  readonly chosen: FeatureSides;
  readonly random: readonly FeatureSides[];
}

export interface FeatureSides {
  readonly set: readonly Feature[];
  readonly complement: readonly Feature[];
}

const MATCH_TRIES = 40;

/** Draws size-matched sets among the features of these layers that are active at all. */
export function matchedFeatures(
  activity: Activity,
  chosen: readonly Feature[],
  {
    layers,
    subject,
    rows,
  }: { readonly layers: readonly number[]; readonly subject: Subject; readonly rows: number },
): MatchedFeatures {
  const items = layers.flatMap((layer) =>
    meansOf(activity[layer], rows).map((mean, feature) => ({ layer, feature, mean })),
  );
  const active = items.filter(({ mean }) => mean > 0);
  const own = chosen.flatMap((c) =>
    active.filter((one) => one.layer === c.layer && one.feature === c.feature),
  );
  return sizeMatchedSets(active, own, {
    count: subject.settings.randomSets,
    seed: subject.seed,
    stratum: ({ layer }) => layer,
    weight: ({ mean }) => mean,
    tries: MATCH_TRIES,
    disjoint: true,
  });
}

function meansOf(values: Float32Array, rows: number): number[] {
  const features = values.length / rows;
  const out = new Array<number>(features).fill(0);
  values.forEach((value, i) => {
    out[i % features] += value / rows;
  });
  return out;
}

/** Mean activity of some features, by prompt. */
export function meanActivity(activity: Activity, features: readonly Feature[], rows: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (const { layer, feature } of features)
      sum += activity[layer][i * (activity[layer].length / rows) + feature];
    return sum / Math.max(1, features.length);
  });
}

/** Values less their mean, in standard deviations; zeros where all are equal. */
export function standardised(values: ArrayLike<number>): {
  readonly z: Float64Array;
  readonly deviation: number;
} {
  const all = Float64Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const deviation = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
  return { z: all.map((value) => (deviation > 0 ? (value - mean) / deviation : 0)), deviation };
}

/** A run's last logits as rows. */
export function logitRows(run: { readonly logits?: FeatureRun["logits"] }, size: number): Float32Array[] {
  const { data } = run.logits!;
  const width = data.length / size;
  return Array.from({ length: size }, (_, b) => data.subarray(b * width, (b + 1) * width));
}

/** The last logits of a batch under edits. */
export type EditedRun = (edits: Edits) => Promise<Float32Array[]>;

/** Runs a batch under one edit after another, from the residual stream before the first block that any of them changes. */
export async function editedRuns({ model }: Subject, batch: Batch, firstLayer = 0): Promise<EditedRun> {
  const { residual } = await model.run(batch, { stopAtLayer: firstLayer, logits: "none" });
  return async (edits) => {
    const { logits } = await model.run(batch, { edits, startAtLayer: firstLayer, residual, logits: "last" });
    return logitRows({ logits: logits! }, batch.size);
  };
}

/** Whether the most likely token begins this answer, in any case of letters. */
export function answers({ model }: Subject, row: Float32Array, answer: string): boolean {
  const text = model
    .decode([argmax(row)])
    .trim()
    .toLowerCase();
  return text !== "" && answer.toLowerCase().startsWith(text);
}
