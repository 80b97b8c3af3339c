/** From a checkpoint and questions to measurements. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Matrix, principalComponents } from "../../analysis/index.js";
import { ModalscopeError } from "../../errors.js";
import type { Batch, Model } from "../../model/index.js";
import {
  blockAsMany,
  blockRoute,
  type PooledCondition,
  pooledConditions,
  pooledStates,
} from "../../model/methods/index.js";
import { checkOptions, flag, integer, type OptionChecks, TASK_OPTIONS, text } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { replaceFile } from "../../replace-file.js";
import { asMessage, blind, type VisualTask, withImageOf } from "../../tasks/index.js";
import type { Tensor } from "../../tensor.js";
import { type Gate, gate } from "../gate.js";
import type { Measurements, TaskMeasurement, TaskRun } from "./measurements.js";
import { imageOf, type Questions } from "./questions.js";

export interface MeasureOptions extends TaskOptions {
  /** Principal components of each of the three variables. Default 2. */
  readonly components?: number;
  /** Every how many blocks a state is kept; the first and the last always are. Default 1. */
  readonly stateStep?: number;
  /** Prompts that run together. Default 16. */
  readonly batchSize?: number;
  /** Folder in which finished parts are kept: a run that is started again goes on from them. */
  readonly keep?: string;
}

const ROUTE = "Image→Question";

/** Intervention on a run. */
interface Condition extends PooledCondition {
  readonly name: string;
}

const CLEAN: Condition = { name: "clean", keep: "all" };

const cutIn = (layers: readonly number[]): Condition => ({
  name: `cut ${layers.join()}`,
  keep: "last",
  edits: (batch) => blockRoute(batch, ROUTE, layers),
});

const controlIn = (layers: readonly number[]): Condition => ({
  name: `control ${layers.join()}`,
  keep: "last",
  edits: (batch, from) => blockAsMany(batch, ROUTE, layers, { seed: from }),
});

/** States that are kept of so many blocks. */
export function statesKept(layers: number, step = 1): number[] {
  const states = Array.from({ length: layers + 1 }, (_, s) => s);
  return states.filter((s) => s % step === 0 || s === layers);
}

export const MEASURE_OPTIONS: OptionChecks<MeasureOptions> = {
  ...TASK_OPTIONS,
  components: integer(1),
  stateStep: integer(1),
  batchSize: integer(1),
  keep: text,
};

/**
 * Runs every task's questions, clean and unless `knockouts` is false with the route from image to question cut in all blocks
 * and with a control of equal size.
 */
export async function measureTasks(
  model: Model,
  questions: Questions,
  given: MeasureOptions & { readonly knockouts?: boolean } = {},
): Promise<Measurements> {
  checkOptions("measureTasks", given, { ...MEASURE_OPTIONS, knockouts: flag });
  const { knockouts = true, ...options } = given;
  const tasks: TaskMeasurement[] = [];
  const conditions = [CLEAN, ...(knockouts ? [cutIn(model.layers), controlIn(model.layers)] : [])];
  for (const [task, own] of questions) {
    const [clean, cut, control] = await keptRuns(model, own, conditions, options);
    tasks.push({ task, clusters: own.map(imageOf), clean, ...(knockouts && { cut, control }) });
    options.onProgress?.(tasks.length, questions.size, "tasks");
  }
  return { tasks, depths: depthsOf(model, options) };
}

/**
 * The same questions asked of another question's image: the null in which image and prediction do not belong together. The
 * visual tokens are those of the question's own image, from `own`.
 */
export async function measureOtherImages(
  model: Model,
  questions: Questions,
  own: Measurements,
  options: MeasureOptions = {},
): Promise<Measurements> {
  checkOptions("measureOtherImages", options, MEASURE_OPTIONS);
  const others = new Map(
    [...questions].map(([task, all]) => [
      task,
      all.map((one, i) => withImageOf(one, all[(i + 1) % all.length])),
    ]),
  );
  const { tasks, depths } = await measureTasks(model, others, options);
  const seenBy = ({ vision }: TaskRun, run: TaskRun): TaskRun => ({
    ...run,
    vision: run.vision.length === 1 ? vision.slice(-1) : vision,
  });
  return {
    depths,
    tasks: tasks.map(({ clean, cut, control, ...rest }, t) => {
      const own_ = own.tasks[t].clean;
      return {
        ...rest,
        clean: seenBy(own_, clean),
        ...(cut && { cut: seenBy(own_, cut) }),
        ...(control && { control: seenBy(own_, control) }),
      };
    }),
  };
}

/** Runs with the route cut in some blocks only, by window and task. */
export async function measureWindows(
  model: Model,
  questions: Questions,
  windows: readonly (readonly number[])[],
  options: MeasureOptions = {},
): Promise<readonly { readonly layers: readonly number[]; readonly runs: readonly TaskRun[] }[]> {
  checkOptions("measureWindows", options, MEASURE_OPTIONS);
  const byTask: TaskRun[][] = [];
  for (const own of questions.values()) {
    byTask.push(await keptRuns(model, own, windows.map(cutIn), options));
    options.onProgress?.(byTask.length, questions.size, "tasks");
  }
  return windows.map((layers, w) => ({ layers, runs: byTask.map((runs) => runs[w]) }));
}

/** Accuracy of each task with its image and without. */
export async function taskGate(
  model: Model,
  questions: Questions,
  { tasks }: Measurements,
  options: MeasureOptions = {},
): Promise<Gate> {
  checkOptions("taskGate", options, MEASURE_OPTIONS);
  const { batchSize = 16, signal } = options;
  const kinds = [];
  for (const { task, clean, clusters } of tasks) {
    const own = questions.get(task)!.map(blind);
    const without: boolean[] = [];
    for (let from = 0; from < own.length; from += batchSize) {
      const part = own.slice(from, from + batchSize);
      const run = await model.run(await model.prepare(part.map((one) => [asMessage(one)])), {
        logits: "last",
        signal,
      });
      without.push(...rightIn(model, part, run.logits!));
    }
    kinds.push({ kind: task, correct: clean.right, blind: without, clusters });
  }
  return gate(kinds);
}

/** Cost of the study on this machine, from a few prompts that are run. */
export interface Cost {
  /** Prompts times conditions. */
  readonly prompts: number;
  readonly secondsEach: number;
  /** Pooled states and logits that are held for one task, bytes. */
  readonly bytes: number;
}

/** Runs one small batch twice, and estimates from the second. @param runs conditions times seeds. */
export async function costOf(
  model: Model,
  questions: Questions,
  runs: number,
  options: MeasureOptions = {},
): Promise<Cost> {
  checkOptions("costOf", options, MEASURE_OPTIONS);
  const { batchSize = 16 } = options;
  const [own] = [...questions.values()];
  const few = own.slice(0, Math.min(batchSize, own.length)).map((one) => [asMessage(one)]);
  let secondsEach = 0;
  for (let round = 0; round < 2; round++) {
    const from = performance.now();
    await pooledStates(model, few, { groups: GROUPS, batchSize });
    secondsEach = (performance.now() - from) / 1000 / few.length;
  }
  const { hidden_size, vocab_size } = model.config;
  const states = 2 * (model.layers.length + 1) * hidden_size;
  return {
    prompts: questions.size * own.length * runs,
    secondsEach,
    bytes: 4 * own.length * (states + vocab_size),
  };
}

/** "4320 prompts at 3 ms: about 0.2 min, 2 MB at a time." */
export function costText({ prompts, secondsEach, bytes }: Cost): string {
  const minutes = (prompts * secondsEach) / 60;
  const time = minutes < 90 ? `${minutes.toFixed(1)} min` : `${(minutes / 60).toFixed(1)} h`;
  return (
    `${prompts} prompts at ${(1000 * secondsEach).toFixed(0)} ms: about ${time}, ` +
    `and ${Math.ceil(bytes / 1e6)} MB at a time.`
  );
}

const depthsOf = (model: Model, { stateStep }: MeasureOptions): number[] =>
  statesKept(model.layers.length, stateStep).map((s) => s / model.layers.length);

const GROUPS = {
  vision: (batch: Batch) => batch.visual,
  language: (batch: Batch) => batch.question,
};

/** The runs of some questions under conditions; those that are not kept yet are made together. */
async function keptRuns(
  model: Model,
  tasks: readonly VisualTask[],
  conditions: readonly Condition[],
  options: MeasureOptions,
): Promise<TaskRun[]> {
  const { keep } = options;
  const paths = keep ? conditions.map((condition) => pathOf(keep, model, tasks, condition, options)) : [];
  const kept = paths.map((path) => (existsSync(path) ? readRun(path) : undefined));
  const missing = conditions.filter((_, c) => kept[c] === undefined);
  const made = missing.length > 0 ? await runsOf(model, tasks, missing, options) : [];
  return conditions.map((condition, c): TaskRun => {
    const known = kept[c];
    if (known) return known;
    const run = made[missing.indexOf(condition)];
    if (keep) saveRun(keep, paths[c], run);
    return run;
  });
}

function pathOf(
  keep: string,
  model: Model,
  tasks: readonly VisualTask[],
  { name }: Condition,
  { components, stateStep }: MeasureOptions,
): string {
  const key = createHash("sha256")
    .update(JSON.stringify([filesOf(model), tasks.map(({ id, prompt }) => [id, prompt])]))
    .update(JSON.stringify([name, components, stateStep]))
    .digest("hex");
  return join(keep, `${key.slice(0, 32)}.json`);
}

function readRun(path: string): TaskRun {
  const packed = (name: string, value: unknown): unknown =>
    name === "data" ? Float64Array.from(value as number[]) : value;
  return JSON.parse(readFileSync(path, "utf8"), packed) as TaskRun;
}

function saveRun(folder: string, path: string, run: TaskRun): void {
  mkdirSync(folder, { recursive: true });
  const plain = (_: string, value: unknown): unknown =>
    value instanceof Float64Array ? Array.from(value) : value;
  replaceFile(path, [JSON.stringify(run, plain)]);
}

/** A checkpoint's files by name, size and time. */
function filesOf({ path }: Model): (string | number)[][] {
  return readdirSync(path)
    .filter((name) => /\.(safetensors|json|gguf|jinja)$/.test(name))
    .sort()
    .map((name) => [join(path, name), statSync(join(path, name)).size, statSync(join(path, name)).mtimeMs]);
}

async function runsOf(
  model: Model,
  tasks: readonly VisualTask[],
  conditions: readonly Condition[],
  { components = 2, stateStep = 1, batchSize = 16, signal }: MeasureOptions,
): Promise<TaskRun[]> {
  const missing = tasks.find(({ images }) => images.length === 0);
  if (missing)
    throw new ModalscopeError(
      `The question "${missing.id}" has no image.`,
      "One of the two sources is missing.",
    );
  const prompts = tasks.map((task) => [asMessage(task)]);
  const byName = Object.fromEntries(conditions.map(({ name, ...condition }) => [name, condition]));
  const found = await pooledConditions(model, prompts, {
    ...{ groups: GROUPS, conditions: byName, batchSize, signal },
  });
  return conditions.map(({ name, keep }): TaskRun => {
    const { states, logits } = found[name];
    const kept = keep === "last" ? [0] : statesKept(model.layers.length, stateStep);
    return {
      vision: kept.map((s) => reduced(states.vision, s, components)),
      language: kept.map((s) => reduced(states.language, s, components)),
      prediction: predictionOf(logits, components),
      right: rightIn(model, tasks, logits),
    };
  });
}

/** Principal components of one state. */
function reduced({ data, shape: [, n, width] }: Tensor, state: number, k: number): Matrix {
  const rows = Float64Array.from(data.subarray(state * n * width, (state + 1) * n * width));
  return principalComponents({ data: rows, shape: [n, width] }, k).scores;
}

/** The final prediction: principal components of the logits less their mean over the vocabulary. */
function predictionOf({ data, shape: [n, width] }: Tensor, k: number): Matrix {
  const rows = Float64Array.from(data);
  for (let i = 0; i < n; i++) {
    const row = rows.subarray(i * width, (i + 1) * width);
    const mean = row.reduce((sum, x) => sum + x, 0) / width;
    for (let j = 0; j < width; j++) row[j] -= mean;
  }
  return principalComponents({ data: rows, shape: [n, width] }, k).scores;
}

/** Whether the most likely next token begins an accepted answer, in any case of letters. */
function rightIn(model: Model, tasks: readonly VisualTask[], { data, shape }: Tensor): boolean[] {
  const width = shape[shape.length - 1];
  return tasks.map(({ answers }, i) => {
    const row = data.subarray(i * width, (i + 1) * width);
    let best = 0;
    for (let j = 1; j < width; j++) if (row[j] > row[best]) best = j;
    const text = model.decode([best]).trim().toLowerCase();
    return text !== "" && answers.some((answer) => answer.toLowerCase().startsWith(text));
  });
}
