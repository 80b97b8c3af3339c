/** Values of edits: which numbers a bound edit puts into the cells of a tensor. */
import { ModalscopeError } from "../../errors.js";
import { seeded } from "../../random.js";
import { type Tensor, zerosLike } from "../../tensor.js";
import type { Edit, EditValue, FeatureChange } from "./edit.js";

/**
 * What was changed in a run: for the changes of an edit, each token's Δz (changes), by row and column.
 * Features that
 * write to several blocks are read in the first, and their change is added in each.
 */
export type FeatureMemory = Map<readonly FeatureChange[], Map<string, Float64Array>>;

/** An edit in one pass, whose rows may be those of several batches: which rows it concerns. */
export interface BoundEdit {
  readonly edit: Edit;
  /** Row of the edit's own values for row `b` of the pass; undefined where the edit does not hold. */
  readonly valueRowOf: (b: number) => number | undefined;
  /** The rows of the pass that make up the edit's batch; all of them unless it says otherwise. */
  readonly rowRange?: { readonly from: number; readonly to: number };
  /** Of an edit of features: what was changed in this run, by all of its edits. */
  readonly memory?: FeatureMemory;
  /** Of an edit of features: what it adds in this pass, in the layout of the hook's tensor. */
  readonly delta?: Float64Array;
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
export function affineOf({ edit, valueRowOf, delta }: BoundEdit, width: number): Affine | undefined {
  switch (edit.kind) {
    case "fill":
      return { factor: 0, shift: valueAdder(edit.value, valueRowOf, width) };
    case "add":
      return { factor: 1, shift: valueAdder(edit.value, valueRowOf, width) };
    case "scale":
      return {
        factor: typeof edit.factor === "number" ? edit.factor : valueAdder(edit.factor, valueRowOf, width),
      };
    case "noise":
      return { factor: 1, shift: noiseAdder(edit.std, edit.seed, valueRowOf, width) };
    case "features":
      return { factor: 1, shift: delta && deltaAdder(delta, width) };
    default:
      return undefined;
  }
}

/** Changes the cells of `x` in place by an edit that depends on x; `apply` is not among these. */
export function transform(
  x: Tensor,
  cells: readonly Cell[],
  { edit, valueRowOf }: BoundEdit,
  width: number,
): void {
  const data = x.data;
  // A pass may hold none of the edit's tokens, such as one that only decodes.
  if (cells.length === 0) return;
  if (edit.kind === "mean") replaceByMean(data, cells, width);
  else if (edit.kind === "resample") replaceByOtherRow(data, cells, edit.seed, width);
  else if (isProjection(edit)) project(data, cells, edit, valueRowOf, width);
  else throw new TypeError(`"${edit.kind}" does not transform a tensor.`);
}

export type ProjectionEdit = Extract<Edit, { kind: "projectOnto" | "ablate" }>;

export function isProjection(edit: Edit): edit is ProjectionEdit {
  return edit.kind === "projectOnto" || edit.kind === "ablate";
}

/** @throws ModalscopeError when an edit's value or basis does not fit vectors of `width` */
export function checkWidth(edit: Edit, width: number): void {
  if (isProjection(edit)) checkBasis(edit.basis, width);
  const values =
    "value" in edit ? edit.value : "factor" in edit ? edit.factor : "plus" in edit ? edit.plus : 0;
  if (values !== undefined) valueAdder(values, (b) => b, width);
}

function project(
  data: Float32Array,
  cells: readonly Cell[],
  edit: ProjectionEdit,
  valueRow: BoundEdit["valueRowOf"],
  width: number,
): void {
  checkBasis(edit.basis, width);
  const plus = edit.plus === undefined ? undefined : valueAdder(edit.plus, valueRow, width);
  const basis = Float64Array.from(edit.basis.data);
  const vector = new Float64Array(width);
  const within = new Float64Array(width);
  const keeps = edit.kind === "projectOnto";
  for (const cell of cells) {
    const { offset } = cell;
    for (let i = 0; i < width; i++) vector[i] = data[offset + i];
    projection(vector, basis, within);
    for (let i = 0; i < width; i++) data[offset + i] = keeps ? within[i] : vector[i] - within[i];
    plus?.(cell, data);
  }
}

/** basisᵀ(basis · v), with the rows of the basis one after the other. */
function projection(v: Float64Array, basis: Float64Array, out: Float64Array): void {
  const width = v.length;
  out.fill(0);
  for (let start = 0; start < basis.length; start += width) {
    let dot = 0;
    for (let i = 0; i < width; i++) dot += basis[start + i] * v[i];
    for (let i = 0; i < width; i++) out[i] += dot * basis[start + i];
  }
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

function valueAdder(value: EditValue, valueRow: BoundEdit["valueRowOf"], width: number): AddCell {
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

function deltaAdder(delta: Float64Array, width: number): AddCell {
  return ({ offset }, into) => {
    for (let i = offset; i < offset + width; i++) into[i] += delta[i];
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

function noiseAdder(std: number, seed: number, valueRow: BoundEdit["valueRowOf"], width: number): AddCell {
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
