import type { Progress, TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import type { Batch, Positions } from "../batch/batch.js";
import type { KeyValues, Pass } from "../batch/pass.js";
import { concatBatch, sliceTime } from "../batch/slices.js";
import type { ActivationCache } from "../captures/activation-cache.js";
import { CaptureRecorder } from "../captures/recorder.js";
import type { Edit, Edits } from "../edits/edit.js";
import { mergePlans, type Plan, planEdits, type RowBinding } from "../edits/plan.js";
import { runBlocks } from "../forward/blocks.js";
import { batchPass, type Embedded, embedBatch, enterStream, runsVision } from "../forward/embed.js";
import { logitsAt } from "../forward/head.js";
import type { Model } from "../model.js";
import type { Metric } from "./metrics.js";
import { tileFrom } from "./sweep-batch.js";
import {
  combinations,
  type Grid,
  type GridPoint,
  gridAxes,
  groupPoints,
  type Point,
  pointPlanner,
  sweepRowChunk,
} from "./sweep-grid.js";

export type { Grid, GridPoint } from "./sweep-grid.js";

export interface SweepOptions<G extends Grid> extends TaskOptions {
  readonly over: G;
  /** The edits at a point. */
  readonly edit: (point: GridPoint<G>) => Edits;
  readonly metric: Metric;
  /** Where the metric reads logits (default: the last token of each row). */
  readonly positions?: Positions;
  /** Rows of one batch at most (default: as many as 2¹⁴ tokens make). */
  readonly maxRows?: number;
  /** Told before the sweep starts, after the clean run. */
  readonly onEstimate?: (estimate: SweepEstimate) => void;
}

export interface SweepEstimate {
  readonly points: number;
  /** Rows × blocks to compute, and how many naive reruns of the whole model would compute. */
  readonly blockRows: number;
  readonly naiveBlockRows: number;
  /** Expected duration, from the time that the clean run took for its blocks and for its images; without the heads. */
  readonly seconds: number;
}

export interface SweepResult {
  /** (…grid, batch): the metric under each point's edits. */
  readonly values: Tensor<Float64Array>;
  /** Lengths and names of the grid's axes. */
  readonly axes: readonly { readonly name: string; readonly values: readonly unknown[] }[];
  /** (batch): the metric of the clean run. */
  readonly clean: Float64Array;
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
  const { engine } = model;
  const axes = gridAxes(options.over);
  const pass = batchPass(engine, batch);
  const planned = pointPlanner(engine, batch, pass);
  const points = combinations(options.over).map((point, index) =>
    planned(index, options.edit(point as GridPoint<G>)),
  );
  const positions = options.positions ?? "last";
  const timer = runTimer();
  const deepstackHooks = runsVision(engine, batch)
    ? engine.hooks.filter(({ local }) => local === "hook_deepstack")
    : [];
  const layers = model.config.num_hidden_layers;
  const ends = points.some((p) => p.layer === layers) ? [`blocks.${layers - 1}.hook_resid_post`] : [];
  const {
    cache,
    pastKeyValues: keys,
    logits,
    logitPositions,
  } = await model.run(batch, {
    capture: ["hook_embed", "blocks.*.hook_resid_pre", ...deepstackHooks.map(({ name }) => name), ...ends],
    logits: positions,
    useCache: true,
    signal: options.signal,
    onProgress: timer.onProgress,
  });
  const injections = new Map(deepstackHooks.map(({ piece, name }) => [piece as number, cache.get(name)]));
  const stop = Math.min(...logitPositions.flat());
  const clean: CleanRun = {
    cache,
    keyValues: keys,
    logitPositions,
    batch,
    pass: { ...pass, injections },
    firstPosition: stop,
  };
  const most = Math.floor(
    (options.maxRows ?? sweepRowChunk(engine, batch, points, logitPositions)) / batch.size,
  );
  const groups = groupPoints(points, stop, Math.max(1, most));
  const estimate = estimateOf(groups, clean, layers, timer.spent());
  options.onEstimate?.(estimate);
  const values = new Float64Array(points.length * batch.size);
  let done = 0;
  for (const group of groups) {
    const step = (rows: number): void => {
      done += rows;
      options.onProgress?.(done, estimate.blockRows, `sweep of ${points.length} points`);
    };
    const results = await runGroup(model, clean, group, options, step);
    group.forEach((point, i) => {
      values.set(options.metric.value(results[i]), point.index * batch.size);
    });
  }
  const shape = [...axes.map((a) => a.values.length), batch.size];
  return { values: { data: values, shape }, axes, clean: options.metric.value(logits!) };
}

interface CleanRun {
  readonly batch: Batch;
  /** The pass of the clean run, with what its images bring. */
  readonly pass: Pass;
  readonly cache: ActivationCache;
  readonly keyValues: readonly (KeyValues | undefined)[];
  /** Where the metric reads, by row, and the first such column. */
  readonly logitPositions: readonly (readonly number[])[];
  readonly firstPosition: number;
}

/** What a run spends on its images and on its blocks, ms, heard from its progress. */
function runTimer(): {
  readonly onProgress: Progress;
  readonly spent: () => { seeing: number; blocks: number };
} {
  const started = performance.now();
  let begun = started;
  let ended = started;
  return {
    onProgress: (_done, _total, label) => {
      if (label === "block 0") begun = performance.now();
      if (label === "blocks") ended = performance.now();
    },
    spent: () => ({ seeing: begun - started, blocks: ended - begun }),
  };
}

function estimateOf(
  groups: readonly Point[][],
  { batch, firstPosition: stop }: CleanRun,
  layers: number,
  { seeing, blocks }: { readonly seeing: number; readonly blocks: number },
): SweepEstimate {
  const points = groups.flat();
  /** Blocks to go through from one on, in whole ones: of the last, only the columns that are asked for count. */
  const whole = (layer: number, column: number): number => {
    const [all, end] = [batch.seqLength - column, batch.seqLength - Math.max(stop, column)];
    return (Math.max(0, layers - 1 - layer) * all + (layer < layers ? end : 0)) / batch.seqLength;
  };
  const share = points.reduce((n, p) => n + whole(p.layer, p.column), 0) / whole(0, 0);
  const looked = points.filter((p) => p.visionPlan.size > 0).length;
  return {
    points: points.length,
    blockRows: points.reduce((n, p) => n + batch.size * (layers - p.layer), 0),
    naiveBlockRows: points.length * batch.size * layers,
    seconds: (blocks * share + seeing * looked) / 1000,
  };
}

/** Logits (batch, n, vocab_size) of each point of a group. */
async function runGroup<G extends Grid>(
  model: Model,
  clean: CleanRun,
  group: readonly Point[],
  { signal }: SweepOptions<G>,
  step: (rows: number) => void,
): Promise<Tensor[]> {
  const { engine } = model;
  const { batch } = clean;
  const { column } = group[0];
  const layers = model.config.num_hidden_layers;
  const recorder = new CaptureRecorder(engine.hooks, []);
  const plan = mergePlans(
    group.map((point, i) =>
      planEdits(engine.hooks, point.edits, undefined, (edit) => bindToPoint(edit, i, batch.size)),
    ),
  );
  const company = { plan, recorder, signal };
  const seen = new Map<Point, Embedded>();
  for (const point of group.filter((p) => p.visionPlan.size > 0)) {
    seen.set(point, await embedBatch(engine, batch, { plan: point.visionPlan, recorder, signal }));
  }
  let x: Tensor | undefined;
  let from = column;
  const active: Point[] = [];
  for (let l = group[0].layer; l < layers; l++) {
    const joining = group.filter((p) => p.layer === l);
    active.push(...joining);
    const copies = active.map((p) => seen.get(p)?.pass ?? clean.pass);
    const pass = tileFrom(clean.pass, copies, column, l, clean.keyValues[l]);
    const before = clean.cache.get(l === 0 ? "hook_embed" : `blocks.${l}.hook_resid_pre`);
    const rows = joining.map((p) => sliceTime(seen.get(p)?.x ?? before, column, batch.seqLength));
    if (rows.length > 0) x = concatBatch(x ? [x, ...rows] : rows);
    if (l === 0) x = enterStream(engine, x!, pass, company);
    const asked = l === layers - 1 ? clean.firstPosition : undefined;
    const ran = await runBlocks(engine, pass, x!, {
      ...company,
      startAtLayer: l,
      stopAtLayer: l + 1,
      firstPosition: asked,
    });
    x = ran.x;
    from = ran.pass.start;
    step(active.length * batch.size);
  }
  return logitsOf(model, clean, group, { x, from }, plan);
}

/** Where an edit of point `i` stands among the rows of all points. */
function bindToPoint({ rows }: Edit, i: number, size: number): RowBinding {
  const own = { from: i * size, to: (i + 1) * size };
  const valueRowOf = (b: number): number | undefined => {
    const row = b - own.from;
    return row >= 0 && row < size && (!rows || rows.includes(row)) ? row : undefined;
  };
  return { rowRange: own, valueRowOf };
}

async function logitsOf(
  model: Model,
  clean: CleanRun,
  group: readonly Point[],
  { x, from }: { readonly x?: Tensor; readonly from: number },
  plan: Plan,
): Promise<Tensor[]> {
  const { batch } = clean;
  const layers = model.config.num_hidden_layers;
  const unchanged = group
    .filter((p) => p.layer === layers)
    .map(() => sliceTime(clean.cache.get(`blocks.${layers - 1}.hook_resid_post`), from, batch.seqLength));
  const streams = concatBatch([...(x ? [x] : []), ...unchanged]);
  const copies = group.map(() => clean.pass);
  const pass = tileFrom(clean.pass, copies, from, layers);
  const at = Array.from({ length: group.length }, () => clean.logitPositions).flat();
  const company = { plan, recorder: new CaptureRecorder(model.engine.hooks, []) };
  const { logits } = await logitsAt(model.engine, pass, streams, at, company);
  const size = sizeOf(logits.shape) / group.length;
  const shape = [batch.size, ...logits.shape.slice(1)];
  return group.map((_, i) => ({ data: logits.data.subarray(i * size, (i + 1) * size), shape }));
}
