/** Questions run in chunks: last logits, what features do, and both under edits. */
import { argmax } from "../../analysis/index.js";
import type { SparseFeatures } from "../../circuits/index.js";
import type { ActivationCache, Batch, Edits, Prompt, RunOptions } from "../../model/index.js";
import { asMessage, blind, type VisualTask } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import type { Activity } from "./activity.js";
import type { Subject } from "./subject.js";

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
/** All that image tokens see where the image comes first: no token sees a later one. */
export const imageAlone: PromptOf = ({ images }) => [
  { role: "user", content: images.map((image) => ({ type: "image", image })) },
];

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

/** A batch after a run that kept what transcoders read. */
export interface BatchRun {
  readonly batch: Batch;
  readonly cache: ActivationCache;
  readonly logits: Tensor | undefined;
}

/** Runs a batch and keeps what the transcoders of some layers read, all unless given, beside what is asked for. */
export async function runForFeatures(
  { model, set }: Subject,
  batch: Batch,
  {
    layers = model.layers,
    capture = [],
    ...options
  }: RunOptions & { readonly layers?: readonly number[] } = {},
): Promise<BatchRun> {
  const hooks = layers.map((layer) => set.layers[layer].hookIn);
  const { cache, logits } = await model.run(batch, {
    logits: "none",
    ...options,
    capture: [...capture, ...hooks],
  });
  return { batch, cache, logits };
}

/** Features of a layer at some columns of a run, row after row. */
export function featuresAt(
  { set }: Pick<Subject, "set">,
  { cache }: Pick<BatchRun, "cache">,
  layer: number,
  columns: readonly (readonly number[])[],
): Promise<SparseFeatures> {
  const transcoder = set.layers[layer];
  const {
    data,
    shape: [, time, width],
  } = cache.get(transcoder.hookIn);
  const places = columns.flatMap((own, row) => own.map((column) => row * time + column));
  const vectors = new Float32Array(places.length * width);
  for (const [i, place] of places.entries())
    vectors.set(data.subarray(place * width, (place + 1) * width), i * width);
  return transcoder.encode({ data: vectors, shape: [places.length, width] });
}

/** Mean activity at some columns of a run, by layer and row; empty of layers that are not asked for. */
export async function activityIn(
  subject: Subject,
  run: BatchRun,
  columns: Columns,
  layers: readonly number[] = subject.model.layers,
): Promise<Float32Array[]> {
  const out = subject.model.layers.map(() => new Float32Array(0));
  const own = columns(run.batch);
  for (const layer of layers) {
    const { features, offsets, ids, values } = await featuresAt(subject, run, layer, own);
    const means = new Float32Array(own.length * features);
    let token = 0;
    for (const [row, { length }] of own.entries()) {
      for (const end = token + length; token < end; token++)
        for (let i = offsets[token]; i < offsets[token + 1]; i++)
          means[row * features + ids[i]] += values[i] / length;
    }
    out[layer] = means;
  }
  return out;
}

export interface ActivityOptions {
  readonly prompt?: PromptOf;
  /** Layers whose features are wanted; all unless given. */
  readonly layers?: readonly number[];
}

/** Activity of tasks. */
export async function activityOf(
  subject: Subject,
  tasks: readonly VisualTask[],
  columns: Columns,
  options?: ActivityOptions,
): Promise<Activity> {
  const [found] = await activitiesOf(subject, tasks, [columns], options);
  return found;
}

/** Activity of tasks at several kinds of columns, in one run. */
export async function activitiesOf(
  subject: Subject,
  tasks: readonly VisualTask[],
  columns: readonly Columns[],
  { prompt, layers }: ActivityOptions = {},
): Promise<Activity[]> {
  const parts: Float32Array[][][] = columns.map(() => []);
  const use = async ({ batch }: Chunk): Promise<void> => {
    const run = await runForFeatures(subject, batch, { layers });
    for (const [c, own] of columns.entries()) parts[c].push(await activityIn(subject, run, own, layers));
  };
  await eachChunk(subject, tasks, use, prompt);
  return parts.map(joined);
}

/** Activity of parts of the tasks as that of all. */
function joined(parts: readonly (readonly Float32Array[])[]): Activity {
  return parts[0].map((_, layer) => {
    const all = new Float32Array(parts.reduce((sum, part) => sum + part[layer].length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part[layer], at);
      at += part[layer].length;
    }
    return all;
  });
}

/** A run's last logits as rows. */
export function logitRows({ data }: Tensor, size: number): Float32Array[] {
  const width = data.length / size;
  return Array.from({ length: size }, (_, b) => data.subarray(b * width, (b + 1) * width));
}

/** Tasks that were asked, and can be asked again under edits without their images being encoded again. */
export interface AskedTasks {
  /** Last logits by task. */
  readonly logits: readonly Float32Array[];
  /** Activity at the columns that were asked for, in their order. */
  readonly activity: readonly Activity[];
  /** Last logits under edits. */
  under(editsOf: (chunk: Chunk) => Edits): Promise<Float32Array[]>;
}

/**
 * Asks tasks.
 * @param firstLayer block before which the stream is kept: no edit lies before it
 */
export async function askTasks(
  subject: Subject,
  tasks: readonly VisualTask[],
  { firstLayer, columns = [] }: { readonly firstLayer: number; readonly columns?: readonly Columns[] },
): Promise<AskedTasks> {
  const chunks: { readonly chunk: Chunk; readonly runUnder: EditedRun }[] = [];
  const logits: Float32Array[] = [];
  const parts: Float32Array[][][] = columns.map(() => []);
  await eachChunk(subject, tasks, async (chunk) => {
    const { batch } = chunk;
    const capture = [streamBefore(firstLayer)];
    const layers = columns.length > 0 ? undefined : [];
    const run = await runForFeatures(subject, batch, { capture, layers, logits: "last" });
    chunks.push({ chunk, runUnder: runsFrom(subject, batch, firstLayer, run.cache.get(capture[0])) });
    logits.push(...logitRows(run.logits!, batch.size));
    for (const [c, own] of columns.entries()) parts[c].push(await activityIn(subject, run, own));
  });
  return {
    logits,
    activity: parts.map(joined),
    async under(editsOf) {
      const rows: Float32Array[] = [];
      for (const { chunk, runUnder } of chunks) rows.push(...(await runUnder(editsOf(chunk))));
      return rows;
    },
  };
}

/** The last logits of a batch under edits. */
export type EditedRun = (edits: Edits) => Promise<Float32Array[]>;

/** Hook of the residual stream before a block. */
export const streamBefore = (layer: number): string => `blocks.${layer}.hook_resid_pre`;

/** Runs of a batch from the residual stream before a block on, under one edit after another. */
export function runsFrom({ model }: Subject, batch: Batch, layer: number, residual: Tensor): EditedRun {
  return async (edits) => {
    const { logits } = await model.run(batch, { edits, startAtLayer: layer, residual, logits: "last" });
    return logitRows(logits!, batch.size);
  };
}

/** Last logits by task. */
export async function lastLogits(subject: Subject, tasks: readonly VisualTask[]): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  await eachChunk(subject, tasks, async ({ batch }) => {
    const { logits } = await subject.model.run(batch, { logits: "last" });
    rows.push(...logitRows(logits!, batch.size));
  });
  return rows;
}

/** Last logits of the tasks' questions without their images, each distinct text read once. */
export async function blindLogits(subject: Subject, tasks: readonly VisualTask[]): Promise<Float32Array[]> {
  const questions = tasks.map(blind);
  const texts = questions.map((task) => JSON.stringify(asMessage(task)));
  const distinct = [...new Set(texts)];
  const rows = await lastLogits(
    subject,
    distinct.map((text) => questions[texts.indexOf(text)]),
  );
  return texts.map((text) => rows[distinct.indexOf(text)]);
}

/** Whether the most likely token begins this answer, in any case of letters. */
export function answers({ model }: Subject, row: Float32Array, answer: string): boolean {
  const text = model
    .decode([argmax(row)])
    .trim()
    .toLowerCase();
  return text !== "" && answer.toLowerCase().startsWith(text);
}
