/** Points of a sweep: where each begins, which of them run together, and their cost. */
import type { Batch, Pass } from "../batch/index.js";
import { type Edit, type Edits, type Plan, resolveColumns } from "../edits/index.js";
import { blockBytes, ELEMENT_BYTES, type Engine } from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { innerBytes, prepareRun } from "../forward/index.js";
import { isVisual } from "../hooks/index.js";
import { spanStart } from "./sweep-batch.js";

/** Points to visit: a list, or axes by name whose every combination is a point. */
export type Grid = readonly unknown[] | Readonly<Record<string, readonly unknown[]>>;

/** The argument of `edit`: an element of the list, or one value of each axis. */
export type GridPoint<G extends Grid> = G extends readonly (infer P)[]
  ? P
  : { readonly [A in keyof G]: G[A] extends readonly (infer V)[] ? V : never };

export interface Point {
  readonly index: number;
  readonly plan: Plan;
  /** First block whose value changes; the number of blocks when only the head's does. */
  readonly layer: number;
  /** First column that changes. */
  readonly column: number;
  /** Edits in the vision tower, which then runs for this point alone. */
  readonly visionPlan: Plan;
  /** Bytes that a block works with for it; more where its edits need all queries at once. */
  readonly blockMemory: number;
}

/** Names and values of a grid's axes. */
export function gridAxes(grid: Grid): { readonly name: string; readonly values: readonly unknown[] }[] {
  if (Array.isArray(grid)) return [{ name: "point", values: grid }];
  return Object.entries(grid as Record<string, readonly unknown[]>).map(([name, values]) => ({
    name,
    values,
  }));
}

/** The grid's points, the last axis running fastest. */
export function combinations(grid: Grid): unknown[] {
  if (Array.isArray(grid)) return [...grid];
  return Object.entries(grid as Record<string, readonly unknown[]>).reduce<Record<string, unknown>[]>(
    (made, [name, values]) => made.flatMap((point) => values.map((value) => ({ ...point, [name]: value }))),
    [{}],
  );
}

/**
 * A point of a sweep from its edits.
 * @throws ModalscopeError for edits that `run` refuses too
 */
export function planPoint(engine: Engine, batch: Batch, edits: Edits, index: number): Point {
  const run = prepareRun(engine, batch, { edits }, (prepared) => ({
    "values inside a block": innerBytes(prepared),
  }));
  const { pass, plan } = run;
  const { hooks, config } = engine;
  const edited = hooks.filter(({ name }) => plan.has(name));
  const layers = edited.map(({ piece }) =>
    typeof piece === "number" ? piece : piece === HEAD ? config.num_hidden_layers : 0,
  );
  const firsts = edited.flatMap((hook) =>
    plan.get(hook.name)!.map(({ edit }) => (isVisual(hook) ? 0 : firstColumn(edit, pass))),
  );
  return {
    index,
    plan,
    layer: Math.min(config.num_hidden_layers, ...layers),
    column: Math.min(pass.seqLength, ...firsts),
    visionPlan: new Map(edited.filter(isVisual).map(({ name }) => [name, plan.get(name)!])),
    blockMemory: blockBytes(engine, pass, plan),
  };
}

function firstColumn({ kind, positions }: Edit, pass: Pass): number {
  const columns = resolveColumns(positions, (b) => b, pass).flat();
  // A function reads every column, whatever it changes.
  if (kind === "apply" || columns.includes("all")) return 0;
  return spanStart(pass, Math.min(pass.seqLength, ...(columns as number[])));
}

/** Points that run together, `most` at once: those that start at the same column, by starting block. */
export function groupPoints(points: readonly Point[], stop: number, most: number): Point[][] {
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

/** Tokens of one batch at most: beyond, larger batches run no faster. */
const MAX_TOKENS = 2 ** 14;

/** Rows of one batch, so that their streams, keys, logits and scores stay within the memory for captures. */
export function sweepRowChunk(
  { config, float, captureBytes, workBytes }: Engine,
  { size, seqLength: time }: Batch,
  points: readonly Point[],
  logits: readonly (readonly number[])[],
): number {
  const stream = time * config.hidden_size * 2;
  const keys = 2 * time * config.num_key_value_heads * config.head_dim;
  const most = Math.max(...points.map((p) => p.blockMemory));
  // Beyond its limit a block's memory grows with the rows: an edit needs all queries at once.
  const inside = most > workBytes ? most / size : 0;
  const bytes = ELEMENT_BYTES[float] * (stream + keys + logits[0].length * config.vocab_size) + inside;
  return Math.max(size, Math.floor(Math.min(MAX_TOKENS / time, captureBytes / bytes)));
}
