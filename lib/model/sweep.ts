import type { LongCall } from "../progress.js";
import { sizeOf, type Tensor, zerosLike } from "../tensor.js";
import type { Batch, Positions } from "./batch.js";
import type { Cache } from "./cache.js";
import { Sink } from "./capture.js";
import { columns } from "./columns.js";
import type { Edit, Edits } from "./edits.js";
import { atStream, runBlocks } from "./forward.js";
import { checkPlan, joinPlans, named, type Placement, type Plan, planEdits } from "./intervene.js";
import { logitsAt } from "./logits.js";
import type { Metric } from "./metrics.js";
import type { Model } from "./model.js";
import { type KeyValues, type Pass, promptPass, subPass } from "./pass.js";
import { passOf } from "./vision-rows.js";

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
  const axes = axesOf(options.over);
  const points = combinations(options.over).map((point, index) =>
    pointOf(model, batch, index, options.edit(point as GridPoint<G>)),
  );
  const positions = options.positions ?? "last";
  const started = performance.now();
  const { cache, keys, logits, logitColumns } = await model.run(batch, {
    capture: ["blocks.*.hook_resid_pre"],
    logits: positions,
    keepKeys: true,
    signal: options.signal,
  });
  const last = model.config.num_hidden_layers - 1;
  const clean: Clean = { cache, keys, columns: logitColumns, batch, stop: Math.min(...logitColumns.flat()) };
  const groups = groupPoints(points, clean, options.maxRows ?? rowsAtOnce(model, batch, logitColumns));
  const estimate = estimateOf(groups, clean, last + 1, performance.now() - started);
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

/** Rows of one batch, so that their streams, keys and logits stay within the memory for captures. */
function rowsAtOnce(
  { engine, config }: Model,
  { size, time }: Batch,
  logits: readonly (readonly number[])[],
): number {
  const stream = time * config.hidden_size * 2;
  const keys = 2 * time * config.num_key_value_heads * config.head_dim;
  const bytes = 4 * (stream + keys + logits[0].length * config.vocab_size);
  return Math.max(size, Math.floor(Math.min(TOKENS_AT_ONCE / time, engine.captureLimit / bytes)));
}

interface Point {
  readonly index: number;
  readonly edits: Edits;
  /** First block whose value changes; the number of blocks when only the head's does. */
  readonly layer: number;
  /** First column that changes. */
  readonly column: number;
}

interface Clean {
  readonly batch: Batch;
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

function pointOf(model: Model, batch: Batch, index: number, edits: Edits): Point {
  const { hooks, config } = model.engine;
  const plan = planEdits(hooks, edits);
  checkPlan(hooks, plan, passOf(model.engine, batch, promptPass(batch)));
  const layers = [...plan.keys()].map((name) => {
    const { piece } = hooks.find((h) => h.name === name)!;
    return typeof piece === "number" ? piece : piece === "head" ? config.num_hidden_layers : 0;
  });
  const firsts = [...plan.values()].flat().map(({ edit }) => firstColumn(edit, batch));
  return {
    index,
    edits,
    layer: Math.min(config.num_hidden_layers, ...layers),
    column: Math.min(batch.time, ...firsts),
  };
}

function firstColumn({ kind, positions }: Edit, batch: Batch): number {
  const columns = named(positions, (b) => b, batch).flat();
  // A function reads every column, whatever it changes.
  return kind === "apply" || columns.includes("all") ? 0 : Math.min(batch.time, ...(columns as number[]));
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
  let x: Tensor | undefined;
  let active = 0;
  for (let l = group[0].layer; l < layers; l++) {
    const joining = group.filter((p) => p.layer === l).length;
    active += joining;
    const pass = rowsPass(clean, active, column, l);
    x = appended(x, columns(clean.cache.get(`blocks.${l}.hook_resid_pre`), column, batch.time), joining);
    if (l === 0) x = atStream(engine, "hook_embed", x, pass, company);
    x = (await runBlocks(engine, pass, x, { ...company, from: l, to: l + 1 })).x;
    step(active * batch.size);
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
    x = appended(x, columns(residual.residual, column, batch.time), group.length - started);
  }
  const pass = rowsPass(clean, group.length, column, layers);
  const at = Array.from({ length: group.length }, () => clean.columns).flat();
  const company = { plan, sink: new Sink(model.engine.hooks, []) };
  const { logits } = await logitsAt(model.engine, pass, x!, at, company);
  const size = sizeOf(logits.shape) / group.length;
  const shape = [batch.size, ...logits.shape.slice(1)];
  return group.map((_, i) => ({ data: logits.data.subarray(i * size, (i + 1) * size), shape }));
}

/** A pass over the columns from `column` on, of `copies` copies of the batch, with the clean keys of block `l` before. */
function rowsPass({ batch, keys }: Clean, copies: number, column: number, l: number): Pass {
  const whole = promptPass(batch);
  const repeat = <T>(rows: readonly T[]): T[] => Array.from({ length: copies }, () => rows).flat();
  const tiled: Pass = {
    ...whole,
    size: batch.size * copies,
    positions: whole.positions.map((axis) => repeated(axis, copies)),
    keyMask: repeated(batch.mask, copies),
    columns: repeat(batch.columns),
    last: repeat(batch.last),
  };
  const past: (KeyValues | undefined)[] = [];
  const own = keys[l];
  if (column > 0 && own) {
    past[l] = {
      key: tile(firstKeys(own.key, column), copies),
      value: tile(firstKeys(own.value, column), copies),
    };
  }
  return subPass(tiled, column, batch.time, past);
}

function repeated<D extends Int32Array | Uint8Array>(data: D, copies: number): D {
  const out = zerosLike(data, data.length * copies);
  for (let i = 0; i < copies; i++) out.set(data, i * data.length);
  return out;
}

/** Keys of the first `n` columns: (batch, heads, keys, size) → (batch, heads, n, size). */
function firstKeys(x: Tensor, n: number): Tensor {
  const [size, heads, keys, width] = x.shape;
  const data = zerosLike(x.data, size * heads * n * width);
  for (let i = 0; i < size * heads; i++) {
    data.set(x.data.subarray(i * keys * width, (i * keys + n) * width), i * n * width);
  }
  return { data, shape: [size, heads, n, width] };
}

function tile(x: Tensor, copies: number): Tensor {
  return appended(undefined, x, copies);
}

/** `before` with `copies` copies of `rows` below it. */
function appended(before: Tensor | undefined, rows: Tensor, copies: number): Tensor {
  const own = before?.data.length ?? 0;
  const data = zerosLike(rows.data, own + rows.data.length * copies);
  if (before) data.set(before.data);
  for (let i = 0; i < copies; i++) data.set(rows.data, own + i * rows.data.length);
  return { data, shape: [(before?.shape[0] ?? 0) + rows.shape[0] * copies, ...rows.shape.slice(1)] };
}
