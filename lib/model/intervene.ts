/** Edits at work: which cells of a tensor they touch, on values and as inputs of a block's graph. */
import { ModalscopeError } from "../errors.js";
import { sizeOf, type Tensor, zerosLike } from "../tensor.js";
import type { Positions } from "./batch.js";
import {
  type Affine,
  affineOf,
  type Cell,
  checkWidth,
  type Edit,
  type Edits,
  multiplyCell,
  type PlacedEdit,
  transform,
} from "./edits.js";
import { EXPERT_INDICES } from "./experts/graph.js";
import { axesOf, type Hook, overKeys } from "./hooks.js";
import { fillPadding } from "./padding.js";
import type { Pass } from "./pass.js";
import { matchRunning } from "./running.js";
import { isVisual } from "./vision-rows.js";

/** Hook name → edits in order. */
export type Plan = ReadonlyMap<string, readonly PlacedEdit[]>;

/** Where an edit stands among the rows of a pass. */
export type Placement = Omit<PlacedEdit, "edit">;

const everyRow = ({ rows }: Edit): Placement => ({
  valueRow: (b) => (!rows || rows.includes(b) ? b : undefined),
});

/**
 * Resolves the hook patterns of edits.
 * @param runs whether a hook is passed at all
 * @throws ModalscopeError for an unknown hook, one that does not run, a value or basis that does not fit, heads that
 * are not there, or a mask that is not at `attn.hook_attn_scores`
 */
export function planEdits(
  hooks: readonly Hook[],
  edits: Edits,
  runs: (hook: Hook) => boolean = () => true,
  place: (edit: Edit) => Placement = everyRow,
): Map<string, PlacedEdit[]> {
  const plan = new Map<string, PlacedEdit[]>();
  for (const [pattern, given] of Object.entries(edits)) {
    for (const hook of matchRunning(hooks, pattern, runs)) {
      const list = plan.get(hook.name) ?? [];
      for (const edit of Array.isArray(given) ? (given as readonly Edit[]) : [given as Edit]) {
        checkEdit(hook, edit);
        list.push({ edit, ...place(edit) });
      }
      plan.set(hook.name, list);
    }
  }
  return plan;
}

/**
 * Checks that a plan's edits hold somewhere, before anything is computed.
 * @param passOf how a hook's rows and columns are counted
 * @param generated tokens that follow the prompt
 * @throws ModalscopeError for a row, position or value that cannot be
 */
export function checkPlan(
  hooks: readonly Hook[],
  plan: Plan,
  passOf: (hook: Hook) => Pass,
  generated = 0,
): void {
  for (const point of hooks.filter(({ name }) => plan.has(name))) {
    const hook = point.name;
    const batch = passOf(point);
    // Pictures are looked at with the prompt, and never again.
    const decoded = isVisual(point) || point.local === "hook_deepstack" ? 0 : generated;
    const length = batch.time + decoded;
    for (const { edit } of plan.get(hook)!) {
      const row = edit.rows?.find((r) => !(Number.isInteger(r) && r >= 0 && r < batch.size));
      if (row !== undefined) {
        throw new ModalscopeError(
          `The edit at "${hook}" names row ${row}.`,
          `The batch has ${batch.size} rows.`,
          "Rows count from 0.",
        );
      }
      if (edit.phase === "decoding" && decoded === 0) {
        throw new ModalscopeError(
          `The edit at "${hook}" holds while tokens are generated.`,
          generated > 0
            ? "Pictures are looked at while the prompt is read, and never again."
            : "Here a prompt is read, and nothing more.",
          generated > 0 ? "Leave the phase out." : "Leave the phase out, or use generate.",
        );
      }
      checkPositions(hook, edit.positions, batch, length);
      if (edit.kind === "mask") checkPositions(hook, edit.to, batch, length);
      const value = "value" in edit ? edit.value : "factor" in edit ? edit.factor : undefined;
      if (typeof value === "object" && sizeOf(value.shape) !== value.data.length) {
        throw new ModalscopeError(
          `The edit at "${hook}" has ${value.data.length} values of shape (${value.shape.join(", ")}).`,
          `That shape holds ${sizeOf(value.shape)}.`,
        );
      }
    }
  }
}

function checkPositions(
  hook: string,
  positions: Positions | undefined,
  { size, last, columns }: Pass,
  length: number,
): void {
  if (positions === undefined || typeof positions === "string") return;
  const lists = positions as readonly (number | readonly number[])[];
  const perRow = Array.isArray(lists[0]);
  if (perRow && lists.length !== size) {
    throw new ModalscopeError(
      `The edit at "${hook}" has positions for ${lists.length} rows.`,
      `The batch has ${size}.`,
      "Give one list for all rows, or one for each.",
    );
  }
  for (let b = 0; b < size; b++) {
    for (const p of (perRow ? lists[b] : lists) as readonly number[]) {
      const column = p < 0 ? last[b] + 1 + p : p;
      const first = p < 0 ? columns[b][0] : 0;
      if (!(Number.isInteger(column) && column >= first && column < length)) {
        throw new ModalscopeError(
          `The edit at "${hook}" names position ${p}, which row ${b} does not have.`,
          `It has ${columns[b].length} tokens, and there are ${length} columns.`,
          "Positions are columns of the batch from 0; negative ones count back from a row's last token.",
        );
      }
    }
  }
}

/** Several plans as one; edits of the same hook follow each other. */
export function joinPlans(plans: Iterable<Plan>): Map<string, PlacedEdit[]> {
  const joined = new Map<string, PlacedEdit[]>();
  for (const plan of plans)
    for (const [name, edits] of plan) joined.set(name, [...(joined.get(name) ?? []), ...edits]);
  return joined;
}

function checkEdit(hook: Hook, edit: Edit): void {
  if (hook.local === EXPERT_INDICES) {
    throw new ModalscopeError(
      `"${hook.name}" cannot be edited.`,
      "It says which experts a token goes to; their weights decide it.",
      "Edit mlp.hook_expert_weights: an expert runs where its weight is not zero.",
    );
  }
  if (edit.kind === "mask" && hook.local !== "attn.hook_attn_scores") {
    throw new ModalscopeError(
      `"${hook.name}" cannot be masked.`,
      "A mask hides keys from queries.",
      "Put it at attn.hook_attn_scores.",
    );
  }
  const { head } = axesOf(hook);
  if (edit.heads && head === undefined) {
    throw new ModalscopeError(`"${hook.name}" has no heads.`, "An edit asks for some.");
  }
  const missing = edit.heads?.find(
    (h) => !(Number.isInteger(h) && h >= 0 && h < (hook.shape[head!] as number)),
  );
  if (missing !== undefined) {
    throw new ModalscopeError(`"${hook.name}" has no head ${missing}.`, `It has ${hook.shape[head!]}.`);
  }
  const width = hook.shape[hook.shape.length - 1];
  if (typeof width === "number") checkWidth(edit, width);
}

/** The cells of a hook's tensor that an edit holds at in this pass. */
export function cellsOf(hook: Hook, shape: readonly number[], placed: PlacedEdit, pass: Pass): Cell[] {
  const { edit, valueRow } = placed;
  if (edit.phase !== undefined && edit.phase !== "both" && edit.phase !== pass.phase) return [];
  const { time, head } = axesOf(hook);
  const width = shape[shape.length - 1];
  const heads = head === undefined ? [0] : (edit.heads ?? Array.from({ length: shape[head] }, (_, h) => h));
  const columns = columnsOf(placed, pass);
  const cells: Cell[] = [];
  for (let row = 0; row < pass.size; row++) {
    if (valueRow(row) === undefined) continue;
    for (const column of columns[row]) {
      const local = column - pass.start;
      for (const h of heads) {
        if (head === undefined) {
          cells.push({
            row,
            column,
            head: 0,
            lead: [row, column],
            offset: (row * shape[time] + local) * width,
          });
        } else if (head === 2) {
          const offset = ((row * shape[1] + local) * shape[2] + h) * width;
          cells.push({ row, column, head: h, lead: [row, column, h], offset });
        } else {
          const offset = ((row * shape[1] + h) * shape[2] + local) * width;
          cells.push({ row, column, head: h, lead: [row, h, column], offset });
        }
      }
    }
  }
  return cells;
}

/** Absolute columns of this pass at which an edit holds, by row: tokens only. */
function columnsOf({ edit, valueRow }: PlacedEdit, pass: Pass): number[][] {
  return named(edit.positions, valueRow, pass).map((row, b) => {
    if (row === "all") return [...pass.columns[b]];
    const tokens = new Set(pass.columns[b]);
    return row.filter((c) => tokens.has(c));
  });
}

/** The columns that positions name in each row of a pass; a list for each row goes by the edit's own rows. */
export function named(
  positions: Positions | undefined,
  valueRow: PlacedEdit["valueRow"],
  pass: Pick<Pass, "size" | "last">,
): (number[] | "all")[] {
  if (positions === undefined || positions === "all") return new Array(pass.size).fill("all");
  if (positions === "last") return pass.last.map((c) => [c]);
  const lists = positions as readonly (number | readonly number[])[];
  return Array.from({ length: pass.size }, (_, b) => {
    const row = valueRow(b);
    if (row === undefined) return [];
    const own = Array.isArray(lists[0]) ? lists[row] : lists;
    return (own as readonly number[]).map((p) => (p < 0 ? pass.last[b] + 1 + p : p));
  });
}

/** `x` after the edits; `x` itself is left as it is. */
export function edited(x: Tensor, hook: Hook, edits: readonly PlacedEdit[] | undefined, pass: Pass): Tensor {
  if (!edits?.length) return x;
  let out: Tensor = { data: x.data.slice(), shape: x.shape };
  const width = x.shape[x.shape.length - 1];
  for (const placed of edits) {
    if (placed.edit.kind === "apply") {
      out = changed(out, hook, placed, pass);
      continue;
    }
    const cells = cellsOf(hook, x.shape, placed, pass);
    const affine = affineOf(placed, width);
    if (!affine) {
      transform(out, cells, placed, width);
      continue;
    }
    for (const cell of cells) {
      multiplyCell(affine, cell, out.data, width);
      affine.shift?.(cell, out.data);
    }
  }
  atPaddedKeys(hook, pass, x.shape, (i) => {
    out.data[i] = x.data[i];
  });
  return out;
}

/** Cotangents (targets, …the hook's shape), zero at keys that are padding. */
export function withoutPaddedKeys(g: Tensor, hook: Hook, pass: Pass): Tensor {
  const [targets, ...shape] = g.shape;
  const size = sizeOf(shape);
  atPaddedKeys(hook, pass, shape, (i) => {
    for (let m = 0; m < targets; m++) g.data[m * size + i] = 0;
  });
  return g;
}

/** Calls `take` with each element of scores or a pattern whose key is padding: what an edit must leave as it is. */
function atPaddedKeys(
  hook: Hook,
  { keyMask }: Pass,
  shape: readonly number[],
  take: (index: number) => void,
): void {
  if (!overKeys(hook) || !keyMask.includes(0)) return;
  const [size, heads, time, keys] = shape;
  for (let b = 0; b < size; b++) {
    for (let k = 0; k < keys; k++) {
      if (keyMask[b * keys + k]) continue;
      for (let q = 0; q < heads * time; q++) take((b * heads * time + q) * keys + k);
    }
  }
}

/** What a closure makes of the rows of `x` that belong to its batch, at the cells where the edit holds. */
function changed(x: Tensor, hook: Hook, placed: PlacedEdit, pass: Pass): Tensor {
  const { change } = placed.edit as Extract<Edit, { kind: "apply" }>;
  const { from, to } = placed.own ?? { from: 0, to: x.shape[0] };
  const perRow = x.data.length / x.shape[0];
  const shape = [to - from, ...x.shape.slice(1)];
  const data = x.data.slice();
  fillPadding(data, x.shape, axesOf(hook).time, pass, 0);
  const result = change({ data: data.slice(from * perRow, to * perRow), shape });
  if (result?.data?.length !== sizeOf(shape) || sizeOf(result.shape) !== sizeOf(shape)) {
    throw new ModalscopeError(
      `The function at "${hook.name}" returned the shape (${result?.shape?.join(", ")}).`,
      `It was given (${shape.join(", ")}) and must return that.`,
    );
  }
  const width = x.shape[x.shape.length - 1];
  data.set(x.data);
  for (const { offset } of cellsOf(hook, x.shape, placed, pass)) {
    const own = offset - from * perRow;
    data.set(result.data.subarray(own, own + width), offset);
  }
  return { data, shape: x.shape };
}

/**
 * The cotangent (targets, …the hook's shape) of a hook's value before its edits, from that after them. Nothing passes
 * `apply` and `resample`.
 */
export function pulledBack(g: Tensor, hook: Hook, edits: readonly PlacedEdit[], pass: Pass): Tensor {
  const [targets, ...shape] = g.shape;
  const size = sizeOf(shape);
  const width = shape[shape.length - 1];
  const data = g.data.slice();
  for (let m = 0; m < targets; m++) {
    const own = data.subarray(m * size, (m + 1) * size);
    for (const placed of [...edits].reverse()) {
      if (placed.edit.kind === "mask") continue;
      const cells = cellsOf(hook, shape, placed, pass);
      const linear = linearPart(placed);
      // A mean and a projection are their own transposes.
      if (!linear)
        transform({ data: own, shape }, cells, { ...placed, edit: withoutShift(placed.edit) }, width);
      else for (const cell of cells) multiplyCell(linear(width), cell, own, width);
    }
    atPaddedKeys(hook, pass, shape, (i) => {
      own[i] = g.data[m * size + i];
    });
  }
  return { data, shape: g.shape };
}

/** An edit's derivative by x where that is a factor for each element. */
function linearPart(placed: PlacedEdit): ((width: number) => Affine) | undefined {
  const { kind } = placed.edit;
  if (kind === "mean" || kind === "project") return undefined;
  return (width) => ({ factor: affineOf(placed, width)?.factor ?? 0 });
}

function withoutShift(edit: Edit): Edit {
  return edit.kind === "project" ? { ...edit, plus: undefined } : edit;
}

/** Whether edits can be given to the graph without a look at the value. */
export function isAffine(edits: readonly PlacedEdit[]): boolean {
  return edits.every(({ edit }) => ["replace", "add", "scale", "noise", "mask"].includes(edit.kind));
}

/** Whether a hook's edits read or change several queries at once, or keys that a part of the queries would not reach. */
export function needsAllQueries(hook: Hook, plan: Plan): boolean {
  const edits = hook.inside ? (plan.get(hook.name) ?? []) : [];
  return edits.some(
    ({ edit: { kind } }) => kind !== "mask" && (overKeys(hook) || kind === "mean" || kind === "apply"),
  );
}

/** Affine edits of one hook as the inputs x · scale + shift of its graph. */
export function asInputs(
  hook: Hook,
  shape: readonly number[],
  edits: readonly PlacedEdit[],
  pass: Pass,
  zeros: (n: number) => Float32Array,
): { scale: Tensor; shift: Tensor } {
  const n = sizeOf(shape);
  const width = shape[shape.length - 1];
  const scale = zeros(n).fill(1);
  const shift = zeros(n);
  for (const placed of edits) {
    const affine = affineOf(placed, width)!;
    for (const cell of cellsOf(hook, shape, placed, pass)) {
      multiplyCell(affine, cell, scale, width);
      multiplyCell(affine, cell, shift, width);
      affine.shift?.(cell, shift);
    }
  }
  atPaddedKeys(hook, pass, shape, (i) => {
    scale[i] = 1;
    shift[i] = 0;
  });
  return { scale: { data: scale, shape }, shift: { data: shift, shape } };
}

/** A value that takes a hook's place whatever is computed there. */
export function asReplacement(x: Tensor): { scale: Tensor; shift: Tensor } {
  const scale = { data: zerosLike(x.data, 1), shape: x.shape.map(() => 1) };
  return { scale, shift: x };
}

/** Queries and keys that the mask edits of a pass hide from each other, in the pass's own columns. */
export function hiddenPairs(
  edits: readonly PlacedEdit[],
  pass: Pass,
): { row: number; head: number | "all"; query: number; key: number }[] {
  const pairs: { row: number; head: number | "all"; query: number; key: number }[] = [];
  const keys = pass.start + pass.time;
  for (const placed of edits) {
    const { edit, valueRow } = placed;
    if (edit.kind !== "mask") continue;
    if (edit.phase !== undefined && edit.phase !== "both" && edit.phase !== pass.phase) continue;
    const queries = columnsOf(placed, pass);
    const everything = allColumns(pass);
    const hidden = named(edit.to, valueRow, pass).map((row, b) => (row === "all" ? everything[b] : row));
    for (let row = 0; row < pass.size; row++) {
      if (valueRow(row) === undefined) continue;
      for (const column of queries[row]) {
        for (const key of hidden[row]) {
          if (key >= keys) continue;
          for (const head of edit.heads ?? (["all"] as const)) {
            pairs.push({ row, head, query: column - pass.start, key });
          }
        }
      }
    }
  }
  return pairs;
}

function allColumns({ size, start, time, keyMask }: Pass): number[][] {
  const keys = start + time;
  return Array.from({ length: size }, (_, b) =>
    Array.from({ length: keys }, (_, k) => k).filter((k) => keyMask[b * keys + k] === 1),
  );
}
