/** Applies edits: to values, and as inputs of a block's graph. */
import { ModalscopeError } from "../../errors.js";
import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import { fillPadding, type Pass, type Positions } from "../batch/index.js";
import { axesOf, type Hook, overKeys } from "../hooks/index.js";
import type { Edit } from "./edit.js";
import { affineOf, type BoundEdit, type Cell, multiplyCell, transform } from "./values.js";

/** The cells of a hook's tensor that an edit holds at in this pass. */
export function cellsOf(hook: Hook, shape: readonly number[], placed: BoundEdit, pass: Pass): Cell[] {
  const { edit, valueRowOf } = placed;
  if (edit.phase !== undefined && edit.phase !== "both" && edit.phase !== pass.phase) return [];
  const { time, head } = axesOf(hook);
  const width = shape[shape.length - 1];
  const heads = head === undefined ? [0] : (edit.heads ?? Array.from({ length: shape[head] }, (_, h) => h));
  const columns = columnsOf(placed, pass);
  const cells: Cell[] = [];
  for (let row = 0; row < pass.size; row++) {
    if (valueRowOf(row) === undefined) continue;
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
export function columnsOf({ edit, valueRowOf }: BoundEdit, pass: Pass): number[][] {
  return resolveColumns(edit.positions, valueRowOf, pass).map((row, b) => {
    if (row === "all") return [...pass.tokenPositions[b]];
    const tokens = new Set(pass.tokenPositions[b]);
    return row.filter((c) => tokens.has(c));
  });
}

/** The columns that positions name in each row of a pass; a list for each row goes by the edit's own rows. */
export function resolveColumns(
  positions: Positions | undefined,
  valueRow: BoundEdit["valueRowOf"],
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
export function applyEdits(
  x: Tensor,
  hook: Hook,
  edits: readonly BoundEdit[] | undefined,
  pass: Pass,
): Tensor {
  if (!edits?.length) return x;
  let out: Tensor = { data: x.data.slice(), shape: x.shape };
  const width = x.shape[x.shape.length - 1];
  for (const placed of edits) {
    if (placed.edit.kind === "apply") {
      out = applyFunction(out, hook, placed, pass);
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

/**
 * Calls `take` with each element of scores or a pattern whose key is padding: what an edit must leave as it
 * is.
 */
export function atPaddedKeys(
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

/** Applies a function to the rows of `x` that belong to its batch; its result counts where the edit holds. */
function applyFunction(x: Tensor, hook: Hook, placed: BoundEdit, pass: Pass): Tensor {
  const { change } = placed.edit as Extract<Edit, { kind: "apply" }>;
  const { from, to } = placed.rowRange ?? { from: 0, to: x.shape[0] };
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

/** True for edits that the graph can apply itself, x · scale + shift, without the value. */
export function isAffine(edits: readonly BoundEdit[]): boolean {
  return edits.every(({ edit }) =>
    ["fill", "add", "scale", "noise", "features", "blockAttention"].includes(edit.kind),
  );
}

/** Affine edits of one hook as the inputs x · scale + shift of its graph. */
export function affineInputs(
  hook: Hook,
  shape: readonly number[],
  edits: readonly BoundEdit[],
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
export function replacementInputs(x: Tensor): { scale: Tensor; shift: Tensor } {
  const scale = { data: zerosLike(x.data, 1), shape: x.shape.map(() => 1) };
  return { scale, shift: x };
}
