/** Reads the numbers that callers hand to a mark, and says clearly what is wrong with them. */
import { ModalscopeError } from "../errors.js";
import type { Tensor, TypedArray } from "../tensor.js";

/** One row of numbers: a tensor of one axis, a typed array or an array. */
export type Values = Tensor<TypedArray> | ArrayLike<number>;

/** A table of numbers: a tensor of two axes, or an array of equally long rows. */
export type Matrix = Tensor<TypedArray> | ArrayLike<ArrayLike<number>>;

/** A number in a figure; `null` (plotly's gap) where the input was not finite. */
export type Cell = number | null;

/** Most numbers that one mark may hold: beyond it, the figure's JSON makes a notebook unusable. */
const LARGEST = 1_000_000;

/** One or several, as a list. */
export function listOf<T extends object>(input: T | readonly T[]): readonly T[] {
  const isList = (value: T | readonly T[]): value is readonly T[] => Array.isArray(value);
  return isList(input) ? input : [input];
}

/** True of tensors, typed arrays and arrays. */
export function isNumbers(value: unknown): value is Values | Matrix {
  return isTensor(value) || ArrayBuffer.isView(value) || Array.isArray(value);
}

/** True of values with a tensor's fields. */
export function isTensor(value: unknown): value is Tensor<TypedArray> {
  return typeof value === "object" && value !== null && "shape" in value && "data" in value;
}

/** Number of axes of `values`. */
export function rank(values: Values | Matrix): number {
  return shapeOf(values).length;
}

/**
 * `values` as plain numbers.
 * @throws when it has more than one axis, is empty or holds no finite number.
 */
export function numbersOf(values: Values | Matrix, what: string): number[] {
  const source = rowIn(values);
  if (source === undefined)
    throw new ModalscopeError(
      `${what} has the shape (${shapeOf(values).join(", ")}).`,
      "One row of numbers is wanted here.",
      "Reduce the other axes, or pass one row as one series.",
    );
  requireSize(source.length, what);
  const numbers = Array.from(source, Number);
  requireFinite(numbers, what);
  return numbers;
}

/** The numbers of `values` where it has one axis. */
function rowIn(values: Values | Matrix): ArrayLike<number | bigint> | undefined {
  if (isTensor(values)) return values.shape.length === 1 ? values.data : undefined;
  return isNested(values) ? undefined : values;
}

function isNested(
  values: ArrayLike<number> | ArrayLike<ArrayLike<number>>,
): values is ArrayLike<ArrayLike<number>> {
  return values.length > 0 && typeof values[0] === "object";
}

/**
 * `values` as rows of plain numbers.
 * @throws when it does not have two axes, its rows differ in length, or no number is finite.
 */
export function rowsOf(values: Values | Matrix, what: string): number[][] {
  const shape = shapeOf(values);
  const [height, width] = shape;
  if (shape.length === 2) requireSize(height * width, what);
  const rows = rowsIn(values);
  if (rows === undefined)
    throw new ModalscopeError(
      `${what} has the shape (${shape.join(", ")}).`,
      "Two axes (rows, columns) are wanted here.",
    );
  const ragged = rows.findIndex((row) => row.length !== width);
  if (ragged >= 0)
    throw new ModalscopeError(
      `${what} has rows of different lengths:`,
      `row 0 has ${width} numbers, row ${ragged} has ${rows[ragged].length}.`,
    );
  requireFinite(rows.flat(), what);
  return rows;
}

/** The rows of `values` where it has two axes. */
function rowsIn(values: Values | Matrix): number[][] | undefined {
  if (!isTensor(values))
    return isNested(values) ? Array.from(values, (row) => slice(row, 0, row.length)) : undefined;
  const [height, width] = values.shape;
  if (values.shape.length !== 2) return undefined;
  return Array.from({ length: height }, (_, i) => slice(values.data, i * width, width));
}

/** Shape of `values`, of rows as long as the first. */
export function shapeOf(values: Values | Matrix): readonly number[] {
  if (isTensor(values)) return values.shape;
  return isNested(values) ? [values.length, values[0].length] : [values.length];
}

/** @throws unless `length` is `expected`; `of` says what sets the expectation. */
export function requireLength(length: number, expected: number, what: string, of: string): void {
  if (length !== expected)
    throw new ModalscopeError(`${what} has ${length} entries,`, `but ${of} has ${expected}.`);
}

/** A number as figures store it: seven digits, which is what float32 holds, and a gap where not finite. */
export function cell(value: number): Cell {
  if (!Number.isFinite(value)) return null;
  return Number.isInteger(value) ? value : Number(value.toPrecision(7));
}

/** Smallest and largest finite number. */
export function extent(values: Iterable<number | null>): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function slice(source: ArrayLike<number | bigint>, start: number, length: number): number[] {
  return Array.from({ length }, (_, i) => Number(source[start + i]));
}

function requireSize(size: number, what: string): void {
  if (size === 0)
    throw new ModalscopeError(`${what} is empty.`, "There is nothing to draw.", "Pass at least one number.");
  if (size > LARGEST)
    throw new ModalscopeError(
      `${what} holds ${size.toLocaleString("en")} numbers.`,
      `A figure's data lie in the notebook, and beyond ${LARGEST.toLocaleString("en")} it can hardly be opened.`,
      "Pool or sample the data first.",
    );
}

function requireFinite(numbers: readonly number[], what: string): void {
  if (!numbers.some(Number.isFinite))
    throw new ModalscopeError(
      `${what} holds no finite number:`,
      `its first is ${numbers[0]}.`,
      "Check the step before: an empty mask, a division by zero or a log of zero gives this.",
    );
}
