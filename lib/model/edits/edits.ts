import { ModalscopeError } from "../../errors.js";
import { seeded } from "../../random.js";
import { type Tensor, zerosLike } from "../../tensor.js";
import type { Positions } from "../batch/batch.js";

/** Where an edit holds: at all rows, tokens and heads unless it says otherwise. */
export interface Where {
  readonly rows?: readonly number[];
  /** Columns of the batch, counted from the row's start; generated tokens go on from there. */
  readonly positions?: Positions;
  /** Heads (key-value heads at keys and values). */
  readonly heads?: readonly number[];
  /** While the prompt is read, while tokens are generated, or both (default). */
  readonly phase?: "prompt" | "decoding" | "both";
}

/** A number, or a tensor that broadcasts to the hook's shape: (width), (time, width), (batch, time, width) … */
export type EditValue = number | Tensor;

/** One change of one hook's value, as data. */
export type Edit = Where &
  (
    | { readonly kind: "replace"; readonly value: EditValue }
    | { readonly kind: "add"; readonly value: EditValue }
    | { readonly kind: "scale"; readonly factor: EditValue }
    | { readonly kind: "noise"; readonly std: number; readonly seed: number }
    | { readonly kind: "mean" }
    | { readonly kind: "resample"; readonly seed: number }
    | {
        readonly kind: "project";
        readonly basis: Tensor;
        readonly keep: "subspace" | "complement";
        readonly plus?: EditValue;
      }
    | { readonly kind: "mask"; readonly to: Positions }
    | { readonly kind: "apply"; readonly change: (x: Tensor) => Tensor }
  );

/** Hook name or pattern → what to do there, in order. */
export type Edits = Readonly<Record<string, Edit | readonly Edit[]>>;

/** x ← value; `fill("mean")` is `mean()`. */
export const fill = (value: EditValue | "mean"): Edit =>
  value === "mean" ? mean() : { kind: "replace", value };
/** x ← 0 */
export const zero = (): Edit => ({ kind: "replace", value: 0 });
/** x ← x + value */
export const add = (value: EditValue): Edit => ({ kind: "add", value });
/** x ← factor · x, element by element */
export const scale = (factor: EditValue): Edit => ({ kind: "scale", factor });
/** x ← its mean over the chosen tokens of the row, in this run */
export const mean = (): Edit => ({ kind: "mean" });
/** x ← x + std · ε, ε standard normal */
export const noise = (std: number, seed = 0): Edit => ({ kind: "noise", std, seed });
/** x ← the same position of another row of the batch, rows permuted without fixed points */
export const resample = (seed = 0): Edit => ({ kind: "resample", seed });
/** x ← x P (+ plus), P onto the span of the orthonormal rows of `basis` (k, width) */
export const keep = (basis: Tensor, plus?: EditValue): Edit => ({
  kind: "project",
  basis,
  keep: "subspace",
  plus,
});
/** x ← x (1 − P) (+ plus): the span is taken out */
export const remove = (basis: Tensor, plus?: EditValue): Edit => ({
  kind: "project",
  basis,
  keep: "complement",
  plus,
});
/** At `attn.hook_attn_scores`: the chosen queries no longer see the keys at `to`. */
export const hide = (to: Positions): Edit => ({ kind: "mask", to });
/**
 * x ← change(x), the escape hatch: the block runs again with what comes back. `change` is given the hook's whole
 * tensor of the batch, zero at padding, whatever rows, positions and heads the edit is limited to; while tokens are
 * generated, that of the newest column. In a sweep it is called for each point with that point's own batch.
 */
export const apply = (change: (x: Tensor) => Tensor): Edit => ({ kind: "apply", change });

/** `edit` at some positions only. */
export const at = (positions: Positions, edit: Edit): Edit => ({ ...edit, positions });
/** `edit` at some heads only. */
export const onHeads = (heads: readonly number[], edit: Edit): Edit => ({ ...edit, heads });
/** `edit` in some rows only. */
export const onRows = (rows: readonly number[], edit: Edit): Edit => ({ ...edit, rows });
/** `edit` in one phase of generation only. */
export const during = (phase: "prompt" | "decoding", edit: Edit): Edit => ({ ...edit, phase });

/** An edit as one line of text. */
export function showEdit(edit: Edit): string {
  const value = (v: EditValue | undefined): string =>
    typeof v === "number" ? String(v) : v ? `tensor(${v.shape.join(", ")})` : "";
  const what: Record<Edit["kind"], () => string> = {
    replace: () => `x ← ${value((edit as { value: EditValue }).value)}`,
    add: () => `x ← x + ${value((edit as { value: EditValue }).value)}`,
    scale: () => `x ← ${value((edit as { factor: EditValue }).factor)}·x`,
    noise: () => `x ← x + ${(edit as { std: number }).std}·ε (seed ${(edit as { seed: number }).seed})`,
    mean: () => "x ← mean over the positions",
    resample: () => `x ← another row (seed ${(edit as { seed: number }).seed})`,
    project: () => {
      const { basis, keep: kept, plus } = edit as Extract<Edit, { kind: "project" }>;
      return `x ← ${kept === "subspace" ? "P" : "(1−P)"}x${plus === undefined ? "" : ` + ${value(plus)}`}, P of rank ${basis.shape[0]}`;
    },
    mask: () => `queries do not see ${JSON.stringify((edit as { to: Positions }).to)}`,
    apply: () => "x ← f(x)",
  };
  const { rows, positions, heads, phase } = edit;
  const where = Object.entries({ rows, positions, heads, phase })
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k} ${typeof v === "string" ? v : JSON.stringify(v)}`);
  return what[edit.kind]() + (where.length > 0 ? ` at ${where.join(", ")}` : "");
}

/** An edit in one pass, whose rows may be those of several batches: which rows it concerns. */
export interface PlacedEdit {
  readonly edit: Edit;
  /** Row of the edit's own values for row `b` of the pass; undefined where the edit does not hold. */
  readonly valueRow: (b: number) => number | undefined;
  /** The rows of the pass that make up the edit's batch; all of them unless it says otherwise. */
  readonly own?: { readonly from: number; readonly to: number };
}

/** One vector of a hook's value: its row, absolute column and head, and where its elements lie. */
export interface Cell {
  readonly row: number;
  readonly column: number;
  readonly head: number;
  /** Row, column and head in the order of the hook's axes. */
  readonly lead: readonly number[];
  readonly offset: number;
}

/** Adds a cell's own vector to `into`, at the cell's offset. */
type AddCell = (cell: Cell, into: Float32Array) => void;

/** An edit that needs no look at x: x ← factor · x + shift at each cell. */
export interface Affine {
  readonly factor: number | AddCell;
  readonly shift?: AddCell;
}

/** The affine form of an edit, or undefined where the edit depends on x. */
export function affineOf({ edit, valueRow }: PlacedEdit, width: number): Affine | undefined {
  switch (edit.kind) {
    case "replace":
      return { factor: 0, shift: shifter(edit.value, valueRow, width) };
    case "add":
      return { factor: 1, shift: shifter(edit.value, valueRow, width) };
    case "scale":
      return {
        factor: typeof edit.factor === "number" ? edit.factor : shifter(edit.factor, valueRow, width),
      };
    case "noise":
      return { factor: 1, shift: noiseShift(edit.std, edit.seed, valueRow, width) };
    default:
      return undefined;
  }
}

/** Changes the cells of `x` in place by an edit that depends on x; `apply` is not among these. */
export function transform(
  x: Tensor,
  cells: readonly Cell[],
  { edit, valueRow }: PlacedEdit,
  width: number,
): void {
  const data = x.data;
  // A pass may hold none of the edit's tokens, such as one that only decodes.
  if (cells.length === 0) return;
  if (edit.kind === "mean") replaceByMean(data, cells, width);
  else if (edit.kind === "resample") replaceByOtherRow(data, cells, edit.seed, width);
  else if (edit.kind === "project") project(data, cells, edit, valueRow, width);
  else throw new TypeError(`"${edit.kind}" does not transform a tensor.`);
}

/** @throws ModalscopeError when an edit's value or basis does not fit vectors of `width` */
export function checkWidth(edit: Edit, width: number): void {
  if (edit.kind === "project") checkBasis(edit.basis, width);
  const values =
    "value" in edit ? edit.value : "factor" in edit ? edit.factor : "plus" in edit ? edit.plus : 0;
  if (values !== undefined) shifter(values, (b) => b, width);
}

function project(
  data: Float32Array,
  cells: readonly Cell[],
  edit: Extract<Edit, { kind: "project" }>,
  valueRow: PlacedEdit["valueRow"],
  width: number,
): void {
  checkBasis(edit.basis, width);
  const plus = edit.plus === undefined ? undefined : shifter(edit.plus, valueRow, width);
  for (const cell of cells) {
    const vector = data.subarray(cell.offset, cell.offset + width);
    const within = projected(vector, edit.basis);
    for (let i = 0; i < width; i++) vector[i] = edit.keep === "subspace" ? within[i] : vector[i] - within[i];
    plus?.(cell, data);
  }
}

/** basisᵀ(basis · v) in double precision. */
function projected(v: Float32Array, basis: Tensor): Float64Array {
  const [k, width] = basis.shape;
  const out = new Float64Array(width);
  for (let r = 0; r < k; r++) {
    let dot = 0;
    for (let i = 0; i < width; i++) dot += basis.data[r * width + i] * v[i];
    for (let i = 0; i < width; i++) out[i] += dot * basis.data[r * width + i];
  }
  return out;
}

function checkBasis(basis: Tensor, width: number): void {
  const [k, d] = basis.shape;
  if (basis.shape.length !== 2 || d !== width) {
    throw new ModalscopeError(
      `A basis of shape (${basis.shape.join(", ")}) does not fit vectors of ${width}.`,
      "It must be (k, width).",
    );
  }
  for (let r = 0; r < k; r++) {
    for (let s = 0; s <= r; s++) {
      let dot = 0;
      for (let i = 0; i < d; i++) dot += basis.data[r * d + i] * basis.data[s * d + i];
      if (Math.abs(dot - (r === s ? 1 : 0)) > 1e-3) {
        throw new ModalscopeError(
          `Rows ${s} and ${r} of the basis have the product ${dot.toFixed(4)}.`,
          "A basis has orthonormal rows.",
        );
      }
    }
  }
}

function replaceByMean(data: Float32Array, cells: readonly Cell[], width: number): void {
  for (const group of grouped(cells, ({ row, head }) => `${row} ${head}`)) {
    const total = new Float64Array(width);
    for (const { offset } of group) for (let i = 0; i < width; i++) total[i] += data[offset + i];
    for (const { offset } of group)
      for (let i = 0; i < width; i++) data[offset + i] = total[i] / group.length;
  }
}

function replaceByOtherRow(data: Float32Array, cells: readonly Cell[], seed: number, width: number): void {
  const rows = [...new Set(cells.map((c) => c.row))];
  if (rows.length < 2)
    throw new ModalscopeError("Resampling needs at least two rows.", "The edit holds in fewer.");
  // A cyclic shift of a shuffled order leaves no row in its place.
  const order = seeded(seed).shuffle(rows);
  const source = new Map(order.map((row, i) => [row, order[(i + 1) % order.length]]));
  const before = data.slice();
  const offsets = new Map(cells.map((c) => [`${c.row} ${c.column} ${c.head}`, c.offset]));
  for (const cell of cells) {
    const from = offsets.get(`${source.get(cell.row)} ${cell.column} ${cell.head}`);
    if (from !== undefined) data.set(before.subarray(from, from + width), cell.offset);
  }
}

function grouped<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return [...groups.values()];
}

/** Multiplies a cell of `into` by an affine edit's factor. */
export function multiplyCell({ factor }: Affine, cell: Cell, into: Float32Array, width: number): void {
  if (factor === 1) return;
  const end = cell.offset + width;
  if (factor === 0) into.fill(0, cell.offset, end);
  else if (typeof factor === "number") for (let i = cell.offset; i < end; i++) into[i] *= factor;
  else {
    const own = zerosLike(into, width);
    factor({ ...cell, offset: 0 }, own);
    for (let i = 0; i < width; i++) into[cell.offset + i] *= own[i];
  }
}

function shifter(value: EditValue, valueRow: PlacedEdit["valueRow"], width: number): AddCell {
  if (typeof value === "number") {
    return ({ offset }, into) => {
      for (let i = 0; i < width; i++) into[offset + i] += value;
    };
  }
  const { shape, data } = value;
  const own = shape[shape.length - 1];
  if (own !== width && own !== 1) throw wrongShape(value, width);
  const lead = shape.slice(0, -1);
  return (cell, into) => {
    const coordinates = [valueRow(cell.row)!, ...cell.lead.slice(1)];
    const start = leadIndex(lead, coordinates, value) * own;
    for (let i = 0; i < width; i++) into[cell.offset + i] += data[start + (own === 1 ? 0 : i)];
  };
}

/** Index of a cell in a value's leading axes, which line up with the last of the hook's or are 1. */
function leadIndex(lead: readonly number[], coordinates: readonly number[], value: Tensor): number {
  if (lead.length > coordinates.length) throw outside(value, coordinates);
  const aligned = coordinates.slice(coordinates.length - lead.length);
  let index = 0;
  for (let i = 0; i < lead.length; i++) {
    const at = lead[i] === 1 ? 0 : aligned[i];
    if (at >= lead[i]) throw outside(value, coordinates);
    index = index * lead[i] + at;
  }
  return index;
}

function noiseShift(std: number, seed: number, valueRow: PlacedEdit["valueRow"], width: number): AddCell {
  return ({ row, column, head, offset }, into) => {
    // Each cell has a stream of its own, so that a cell's noise does not depend on which others are edited.
    const random = seeded(hashed(seed, valueRow(row)!, column, head));
    for (let i = 0; i < width; i++) into[offset + i] += std * random.normal();
  };
}

function hashed(...parts: number[]): number {
  return parts.reduce((h, part) => Math.imul(h ^ part, 0x9e3779b1) ^ (h >>> 15), 0x811c9dc5);
}

function wrongShape(value: Tensor, width: number): ModalscopeError {
  return new ModalscopeError(
    `An edit's value has the shape (${value.shape.join(", ")}).`,
    `The hook's vectors have ${width} elements.`,
    "Give a number, or a tensor that broadcasts: (width), (time, width), (batch, time, width).",
  );
}

function outside(value: Tensor, coordinates: readonly number[]): ModalscopeError {
  return new ModalscopeError(
    `An edit's value of shape (${value.shape.join(", ")}) has no element for position (${coordinates.join(", ")}).`,
    "The edit holds at a row, column or head that its value does not have.",
    "Limit the edit with positions or rows, or give a value that broadcasts.",
  );
}
