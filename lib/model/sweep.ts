import type { LongCall } from "../progress.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { Batch, Positions } from "./batch.js";
import type { Cache } from "./cache.js";
import { Sink } from "./capture.js";
import { columns, joinRows } from "./columns.js";
import type { Edit, Edits } from "./edits.js";
import { batchPass, type Entered, enter, looks } from "./embed.js";
import type { Engine } from "./engine.js";
import { blockBytes, checkMemory } from "./estimate.js";
import { atStream, runBlocks } from "./forward.js";
import { named } from "./intervene.js";
import { logitsAt } from "./logits.js";
import type { Metric } from "./metrics.js";
import type { Model } from "./model.js";
import type { KeyValues, Pass } from "./pass.js";
import { checkPlan, joinPlans, type Placement, type Plan, planEdits } from "./plan.js";
import { ELEMENT_BYTES } from "./pool.js";
import { HEAD } from "./program.js";
import { runsIn } from "./running.js";
import { copiesFrom, spanStart } from "./sweep-rows.js";
import { towerBytes } from "./tower.js";
import { isVisual, passOf } from "./vision-rows.js";

/** Points to visit: a list, or axes by name whose every combination is a point. */
export type Grid = readonly unknown[] | Readonly<Record<string, readonly unknown[]>>;

/** What `edit` is given: an element of the list, or one value of each axis. */
export type GridPoint<G extends Grid> = G extends readonly (infer P)[]
  ? P
  : { readonly [A in keyof G]: G[A] extends readonly (infer V)[] ? V : never };

export interface SweepOptions<G extends Grid> extends LongCall {
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
  /** Expected duration, from the clean run's. */
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
  const axes = axesOf(options.over);
  const pass = batchPass(engine, batch);
  const planned = planner(engine, batch, pass);
  const points = combinations(options.over).map((point, index) =>
    planned(index, options.edit(point as GridPoint<G>)),
  );
  const positions = options.positions ?? "last";
  const started = performance.now();
  const brought = looks(engine, batch) ? engine.hooks.filter(({ local }) => local === "hook_deepstack") : [];
  const { cache, keys, logits, logitColumns } = await model.run(batch, {
    capture: ["blocks.*.hook_resid_pre", ...brought.map(({ name }) => name)],
    logits: positions,
    keepKeys: true,
    signal: options.signal,
  });
  const injections = new Map(brought.map(({ piece, name }) => [piece as number, cache.get(name)]));
  const stop = Math.min(...logitColumns.flat());
  const clean: Clean = { cache, keys, columns: logitColumns, batch, pass: { ...pass, injections }, stop };
  const groups = groupPoints(
    points,
    clean,
    options.maxRows ?? rowsAtOnce(engine, batch, points, logitColumns),
  );
  const layers = model.config.num_hidden_layers;
  const estimate = estimateOf(groups, clean, layers, performance.now() - started);
  options.onEstimate?.(estimate);
  const values = new Float64Array(points.length * batch.size);
  let done = 0;
  for (const group of groups) {
    const step = (rows: number): void => {
      done += rows;
      options.progress?.(done, estimate.blockRows, `sweep of ${points.length} points`);
    };
    const results = await runGroup(model, clean, group, options, step);
    group.forEach((point, i) => {
      values.set(options.metric.value(results[i]), point.index * batch.size);
    });
  }
  const shape = [...axes.map((a) => a.values.length), batch.size];
  return { values: { data: values, shape }, axes, clean: options.metric.value(logits!) };
}

/** Tokens of one batch at most: beyond, larger batches run no faster. */
const TOKENS_AT_ONCE = 2 ** 14;

/** Rows of one batch, so that their streams, keys, logits and scores stay within the memory for captures. */
function rowsAtOnce(
  { config, float, captureLimit, workLimit }: Engine,
  { size, time }: Batch,
  points: readonly Point[],
  logits: readonly (readonly number[])[],
): number {
  const stream = time * config.hidden_size * 2;
  const keys = 2 * time * config.num_key_value_heads * config.head_dim;
  const most = Math.max(...points.map((p) => p.blockMemory));
  // Beyond its limit a block's memory grows with the rows: an edit needs all queries at once.
  const inside = most > workLimit ? most / size : 0;
  const bytes = ELEMENT_BYTES[float] * (stream + keys + logits[0].length * config.vocab_size) + inside;
  return Math.max(size, Math.floor(Math.min(TOKENS_AT_ONCE / time, captureLimit / bytes)));
}

interface Point {
  readonly index: number;
  readonly edits: Edits;
  /** First block whose value changes; the number of blocks when only the head's does. */
  readonly layer: number;
  /** First column that changes. */
  readonly column: number;
  /** The edits of what is seen: pictures are then looked at for this point alone. */
  readonly seeing: Plan;
  /** Bytes that a block works with for it; more where its edits need all queries at once. */
  readonly blockMemory: number;
}

interface Clean {
  readonly batch: Batch;
  /** The pass of the clean run, with what its pictures bring. */
  readonly pass: Pass;
  readonly cache: Cache;
  readonly keys: readonly (KeyValues | undefined)[];
  /** Where the metric reads, by row, and the first such column. */
  readonly columns: readonly (readonly number[])[];
  readonly stop: number;
}

function axesOf(grid: Grid): SweepResult["axes"] {
  if (Array.isArray(grid)) return [{ name: "point", values: grid }];
  return Object.entries(grid as Record<string, readonly unknown[]>).map(([name, values]) => ({
    name,
    values,
  }));
}

/** The grid's points, the last axis running fastest. */
function combinations(grid: Grid): unknown[] {
  if (Array.isArray(grid)) return [...grid];
  return Object.entries(grid as Record<string, readonly unknown[]>).reduce<Record<string, unknown>[]>(
    (made, [name, values]) => made.flatMap((point) => values.map((value) => ({ ...point, [name]: value }))),
    [{}],
  );
}

/** Makes points of edits, checked against the batch. */
function planner(engine: Engine, batch: Batch, pass: Pass): (index: number, edits: Edits) => Point {
  const runs = runsIn({ sees: looks(engine, batch) });
  const counted = passOf(engine, batch, pass);
  return (index, edits) => {
    const plan = planEdits(engine.hooks, edits, runs);
    checkPlan(engine.hooks, plan, counted);
    const blockMemory = blockBytes(engine, pass, plan);
    const seen = towerBytes(engine, batch, plan, new Sink(engine.hooks, []));
    checkMemory(engine, { "values inside a block": Math.max(blockMemory, seen) });
    return { ...pointOf(engine, pass, edits, plan), index, blockMemory };
  };
}

function pointOf(engine: Engine, pass: Pass, edits: Edits, plan: Plan): Omit<Point, "index" | "blockMemory"> {
  const { hooks, config } = engine;
  const edited = hooks.filter(({ name }) => plan.has(name));
  const layers = edited.map(({ piece }) =>
    typeof piece === "number" ? piece : piece === HEAD ? config.num_hidden_layers : 0,
  );
  const firsts = edited.flatMap((hook) =>
    plan.get(hook.name)!.map(({ edit }) => (isVisual(hook) ? 0 : firstColumn(edit, pass))),
  );
  return {
    edits,
    layer: Math.min(config.num_hidden_layers, ...layers),
    column: Math.min(pass.time, ...firsts),
    seeing: new Map([...plan].filter(([name]) => edited.some((h) => h.name === name && isVisual(h)))),
  };
}

function firstColumn({ kind, positions }: Edit, pass: Pass): number {
  const columns = named(positions, (b) => b, pass).flat();
  // A function reads every column, whatever it changes.
  if (kind === "apply" || columns.includes("all")) return 0;
  return spanStart(pass, Math.min(pass.time, ...(columns as number[])));
}

/** Points that run together: those that start at the same column, by starting block. */
function groupPoints(points: readonly Point[], { stop, batch }: Clean, maxRows: number): Point[][] {
  const most = Math.max(1, Math.floor(maxRows / batch.size));
  const byColumn = new Map<number, Point[]>();
  for (const point of points) {
    const column = Math.min(point.column, stop);
    byColumn.set(column, [...(byColumn.get(column) ?? []), { ...point, column }]);
  }
  return [...byColumn.values()].flatMap((together) => {
    const ordered = together.sort((a, b) => a.layer - b.layer);
    const count = Math.ceil(ordered.length / most);
    return Array.from({ length: count }, (_, i) => ordered.slice(i * most, (i + 1) * most));
  });
}

function estimateOf(
  groups: readonly Point[][],
  { batch }: Clean,
  layers: number,
  cleanMs: number,
): SweepEstimate {
  const all = groups.flat();
  const rowsOf = (p: Point): number => batch.size * (layers - p.layer);
  const share = (p: Point): number => (batch.time - p.column) / batch.time;
  const blockRows = all.reduce((n, p) => n + rowsOf(p), 0);
  const work = all.reduce((n, p) => n + rowsOf(p) * share(p), 0);
  const naiveBlockRows = all.length * batch.size * layers;
  const seconds = ((cleanMs / 1000) * work) / (batch.size * layers);
  return { points: all.length, blockRows, naiveBlockRows, seconds };
}

/** Logits (batch, n, vocab_size) of each point of a group. */
async function runGroup<G extends Grid>(
  model: Model,
  clean: Clean,
  group: readonly Point[],
  { signal }: SweepOptions<G>,
  step: (rows: number) => void,
): Promise<Tensor[]> {
  const { engine } = model;
  const { batch } = clean;
  const { column } = group[0];
  const layers = model.config.num_hidden_layers;
  const sink = new Sink(engine.hooks, []);
  const plan = joinPlans(
    group.map((point, i) =>
      planEdits(engine.hooks, point.edits, undefined, (edit) => placed(edit, i, batch.size)),
    ),
  );
  const company = { plan, sink, signal };
  const seen = new Map<Point, Entered>();
  for (const point of group.filter((p) => p.seeing.size > 0)) {
    seen.set(point, await enter(engine, batch, { plan: point.seeing, sink, signal }));
  }
  let x: Tensor | undefined;
  const active: Point[] = [];
  for (let l = group[0].layer; l < layers; l++) {
    const joining = group.filter((p) => p.layer === l);
    active.push(...joining);
    const copies = active.map((p) => seen.get(p)?.pass ?? clean.pass);
    const pass = copiesFrom(clean.pass, copies, column, l, clean.keys[l]);
    const before = clean.cache.get(`blocks.${l}.hook_resid_pre`);
    const rows = joining.map((p) => columns(seen.get(p)?.x ?? before, column, batch.time));
    if (rows.length > 0) x = joinRows(x ? [x, ...rows] : rows);
    if (l === 0) x = atStream(engine, "hook_embed", x!, pass, company);
    x = (await runBlocks(engine, pass, x!, { ...company, from: l, to: l + 1 })).x;
    step(active.length * batch.size);
  }
  return logitsOf(model, clean, group, x, plan);
}

/** Where an edit of point `i` stands among the rows of all points. */
function placed({ rows }: Edit, i: number, size: number): Placement {
  const own = { from: i * size, to: (i + 1) * size };
  const valueRow = (b: number): number | undefined => {
    const row = b - own.from;
    return row >= 0 && row < size && (!rows || rows.includes(row)) ? row : undefined;
  };
  return { own, valueRow };
}

async function logitsOf(
  model: Model,
  clean: Clean,
  group: readonly Point[],
  stream: Tensor | undefined,
  plan: Plan,
): Promise<Tensor[]> {
  const { batch } = clean;
  const { column } = group[0];
  const layers = model.config.num_hidden_layers;
  const started = group.filter((p) => p.layer < layers).length;
  let x = stream;
  if (started < group.length) {
    const residual = await model.run(batch, {
      start: { layer: layers - 1, x: clean.cache.get(`blocks.${layers - 1}.hook_resid_pre`) },
      logits: "none",
    });
    const rest = columns(residual.residual, column, batch.time);
    x = joinRows([...(x ? [x] : []), ...Array.from({ length: group.length - started }, () => rest)]);
  }
  const copies = group.map(() => clean.pass);
  const pass = copiesFrom(clean.pass, copies, column, layers);
  const at = Array.from({ length: group.length }, () => clean.columns).flat();
  const company = { plan, sink: new Sink(model.engine.hooks, []) };
  const { logits } = await logitsAt(model.engine, pass, x!, at, company);
  const size = sizeOf(logits.shape) / group.length;
  const shape = [batch.size, ...logits.shape.slice(1)];
  return group.map((_, i) => ({ data: logits.data.subarray(i * size, (i + 1) * size), shape }));
}
