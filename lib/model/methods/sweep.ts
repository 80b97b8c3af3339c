import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkOptions,
  integer,
  type OptionCheck,
  type OptionChecks,
  positions,
  record,
  required,
  TASK_OPTIONS,
} from "../../options.js";
import type { Progress, TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { Batch, Positions } from "../batch/index.js";
import type { Edits } from "../edits/index.js";
import type { Engine } from "../engine/index.js";
import { batchPass, type RunOptions, type RunResult, runsVision } from "../forward/index.js";
import type { Hook } from "../hooks/index.js";
import type { Model } from "../model.js";
import { finalStream } from "./gradients.js";
import type { Metric } from "./metrics.js";
import {
  combinations,
  type Grid,
  type GridPoint,
  gridAxes,
  groupPoints,
  type Point,
  planPoint,
  sweepRowChunk,
} from "./sweep-grid.js";
import { isIn, type Part, part, WHOLE } from "./sweep-part.js";
import { type CleanRun, runGroup } from "./sweep-run.js";

export type { Grid, GridPoint } from "./sweep-grid.js";
export type { Part } from "./sweep-part.js";

export interface SweepOptions<G extends Grid> extends TaskOptions {
  readonly over: G;
  /** The edits at a point. */
  readonly edit: (point: GridPoint<G>) => Edits;
  readonly metric: Metric;
  /** Positions that the metric reads logits at (default: the last token of each row). */
  readonly positions?: Positions;
  /**
   * [index, count]: only every `count`-th point, from `index` on, for work that is shared out among jobs;
   * `mergeSweeps` joins their results. Index counts from 0, as the indexes of array jobs do.
   */
  readonly part?: Part;
  /** Rows of one batch at most (default: as many as 2¹⁴ tokens make). */
  readonly maxRows?: number;
  /** Told before the sweep starts, after the clean run. */
  readonly onEstimate?: (estimate: SweepEstimate) => void;
}

const GRID = "a list of points, or an object of lists, none of them empty";

/** Points to visit: at least one. */
const grid: OptionCheck = (over) => {
  const axes = Array.isArray(over) ? [over] : record(over) === undefined ? Object.values(over as object) : [];
  return axes.length > 0 && axes.every((axis) => Array.isArray(axis) && axis.length > 0) ? undefined : GRID;
};

const SWEEP_OPTIONS: OptionChecks<SweepOptions<Grid>> = {
  ...TASK_OPTIONS,
  over: required(grid, GRID),
  edit: required(callback, "a function from a point to its edits"),
  metric: required(record, "a metric, such as logProb(token)"),
  positions,
  part,
  maxRows: integer(1),
  onEstimate: callback,
};

export interface SweepEstimate {
  readonly points: number;
  /** Rows × blocks to compute, and how many naive reruns of the whole model would compute. */
  readonly blockRows: number;
  readonly naiveBlockRows: number;
  /** Expected duration, from the time that the clean run took for its blocks and for its images; without the heads. */
  readonly seconds: number;
}

export interface SweepResult {
  /** (…grid, batch): the metric under each point's edits; NaN at points of other parts. */
  readonly values: Tensor<Float64Array>;
  /** Lengths and names of the grid's axes. */
  readonly axes: readonly { readonly name: string; readonly values: readonly unknown[] }[];
  /** (batch): the metric of the clean run. */
  readonly clean: Float64Array;
  /** The part of the grid that was run: [0, 1] is all of it. */
  readonly part: Part;
}

/** @throws ModalscopeError where the callback returns no edits, as one whose braces are taken for a body */
function editsAt<G extends Grid>(point: GridPoint<G>, { edit }: SweepOptions<G>): Edits {
  const edits: unknown = edit(point);
  if (typeof edits === "object" && edits !== null && !Array.isArray(edits)) return edits as Edits;
  throw new ModalscopeError(
    `The edit of sweep gave ${edits === null ? "null" : Array.isArray(edits) ? "a list" : typeof edits} at ${JSON.stringify(point)}.`,
    "It must give an object from hooks to edits at each point; {} changes nothing there.",
    "Put an object that an arrow function returns into parentheses: (layer) => ({ … }).",
  );
}

/**
 * The metric under every point's edits. Nothing is computed twice: a point starts at the first block and the first
 * token that its edits touch, from the clean run's stream and keys; and the blocks are gone through once for all
 * points, each joining the batch at its block. The results are those of separate runs.
 * @throws ModalscopeError for an unknown hook or an edit that does not fit, at any point, and for a clean run that does
 * not fit into the memory
 */
export async function sweep<const G extends Grid>(
  model: Model,
  batch: Batch,
  options: SweepOptions<G>,
): Promise<SweepResult> {
  checkOptions("sweep", options, SWEEP_OPTIONS);
  const { engine } = model;
  const { metric, onEstimate, onProgress, signal } = options;
  const axes = gridAxes(options.over);
  const run = options.part ?? WHOLE;
  const all = combinations(options.over);
  const points = all.flatMap((point, index) =>
    isIn(run, index) ? [planPoint(engine, batch, editsAt(point as GridPoint<G>, options), index)] : [],
  );
  const timer = runTimer();
  const request = { ...cleanRequest(engine, batch, points), logits: options.positions ?? "last", signal };
  const clean = cleanRun(await model.run(batch, { ...request, onProgress: timer.onProgress }), engine, batch);
  const { logitPositions, firstPosition } = clean;
  const maxRows = options.maxRows ?? sweepRowChunk(engine, batch, points, logitPositions);
  const groups = groupPoints(points, firstPosition, Math.max(1, Math.floor(maxRows / batch.size)));
  const estimate = estimateOf(groups, clean, timer.spent());
  onEstimate?.(estimate);
  const values = new Float64Array(all.length * batch.size).fill(Number.NaN);
  let done = 0;
  const step = (rows: number): void => {
    done += rows;
    onProgress?.(done, estimate.blockRows, `sweep of ${points.length} points`);
  };
  for (const group of groups) {
    const results = await runGroup(clean, group, step, signal);
    group.forEach((point, i) => {
      values.set(metric.value(results[i]), point.index * batch.size);
    });
  }
  const shape = [...axes.map((a) => a.values.length), batch.size];
  return { values: { data: values, shape }, axes, clean: metric.value(clean.logits), part: run };
}

/** Captures of the clean run: the streams that points start from, and DeepStack's features. */
function cleanRequest(engine: Engine, batch: Batch, points: readonly Point[]): RunOptions {
  const layers = engine.config.num_hidden_layers;
  const starts = new Set(points.map((p) => p.layer).filter((l) => l < layers));
  return {
    capture: [
      ...[...starts].map((l) => (l === 0 ? "hook_embed" : `blocks.${l}.hook_resid_pre`)),
      ...deepstackHooks(engine, batch).map(({ name }) => name),
      // Images that are known are encoded anew, so that it is seen how long it takes.
      ...(points.some(({ visionPlan }) => visionPlan.size > 0) ? ["vision.hook_patches"] : []),
      ...(points.some((p) => p.layer === layers) ? [finalStream(engine)] : []),
    ],
    useCache: true,
  };
}

function cleanRun(result: RunResult, engine: Engine, batch: Batch): CleanRun {
  const { cache, pastKeyValues: keyValues, logits, logitPositions } = result;
  const features = deepstackHooks(engine, batch).map(
    ({ piece, name }) => [piece as number, cache.get(name)] as const,
  );
  return {
    engine,
    batch,
    pass: { ...batchPass(engine, batch), injections: new Map(features) },
    cache,
    keyValues,
    logits: logits!,
    logitPositions,
    firstPosition: Math.min(...logitPositions.flat()),
  };
}

function deepstackHooks(engine: Engine, batch: Batch): Hook[] {
  return runsVision(engine, batch) ? engine.hooks.filter(({ local }) => local === "hook_deepstack") : [];
}

/** Measures the time that a run spends on its images and on its blocks, ms, by its progress. */
function runTimer(): {
  readonly onProgress: Progress;
  readonly spent: () => { vision: number; blocks: number };
} {
  const started = performance.now();
  let begun = started;
  let ended = started;
  return {
    onProgress: (_done, _total, label) => {
      if (label === "block 0") begun = performance.now();
      if (label === "blocks") ended = performance.now();
    },
    spent: () => ({ vision: begun - started, blocks: ended - begun }),
  };
}

function estimateOf(
  groups: readonly Point[][],
  { engine, batch, firstPosition }: CleanRun,
  { vision, blocks }: { readonly vision: number; readonly blocks: number },
): SweepEstimate {
  const layers = engine.config.num_hidden_layers;
  const points = groups.flat();
  /** Blocks to compute from one on, in whole ones: of the last, only the columns that are needed count. */
  const whole = (layer: number, column: number): number => {
    const [all, end] = [batch.seqLength - column, batch.seqLength - Math.max(firstPosition, column)];
    return (Math.max(0, layers - 1 - layer) * all + (layer < layers ? end : 0)) / batch.seqLength;
  };
  const share = points.reduce((n, p) => n + whole(p.layer, p.column), 0) / whole(0, 0);
  const encoded = points.filter((p) => p.visionPlan.size > 0).length;
  return {
    points: points.length,
    blockRows: points.reduce((n, p) => n + batch.size * (layers - p.layer), 0),
    naiveBlockRows: points.length * batch.size * layers,
    seconds: (blocks * share + vision * encoded) / 1000,
  };
}
