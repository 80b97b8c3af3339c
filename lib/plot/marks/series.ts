/** Reads what the marks over an x axis draw: named rows of values, with intervals or with samples. */
import { ModalscopeError } from "../../errors.js";
import {
  extent,
  isNumbers,
  type Matrix,
  numbersOf,
  rank,
  requireLength,
  rowsOf,
  type Values,
} from "../values.js";
import { type Band, bands } from "./intervals.js";

/** One line, or one colour of bars. */
export interface Series {
  /** Entry in the legend. */
  readonly name?: string;
  /** One value per position, `(positions)`; or samples, `(positions, samples)`, which `band` summarises. */
  readonly y: Values | Matrix;
  /** Positions; 0, 1, 2 … when left out. */
  readonly x?: Values | readonly string[];
  /** Lower ends of the intervals around the values, `(positions)`. */
  readonly low?: Values;
  /** Upper ends, `(positions)`. */
  readonly high?: Values;
  /** A CSS hex colour; the palette's next one when left out. */
  readonly color?: string;
  /** Stroke of a line; solid for the first colours when left out. */
  readonly dash?: "solid" | "dash" | "dot";
}

/** One row of values, one series, several, or several by their names. */
export type SeriesInput =
  | Values
  | Matrix
  | Series
  | readonly Series[]
  | Readonly<Record<string, Values | Matrix>>;

/** A series that is ready to draw: equal lengths, checked. */
export interface Curve {
  readonly name: string;
  readonly x: readonly (number | string)[];
  readonly y: readonly number[];
  readonly interval?: { readonly low: readonly number[]; readonly high: readonly number[] };
  /** Finite samples behind each value, when it was given as samples. */
  readonly counts?: readonly number[];
  readonly color?: string;
  readonly dash?: "solid" | "dash" | "dot";
}

/**
 * The curves of `input`.
 * @param mark the caller's name, for messages
 * @param band how samples become a value and its interval
 * @throws when lengths disagree, a series holds no finite number, or there is nothing to draw
 */
export function curvesOf(input: SeriesInput, mark: string, band?: Band): Curve[] {
  const list = seriesOf(input);
  if (list.length === 0)
    throw new ModalscopeError(`${mark}: no series were given.`, "There is nothing to draw.");
  const curves = list.map((series, i) => curveOf(series, `${mark}: series "${series.name ?? i}"`, band));
  if (band !== undefined && curves.every((curve) => curve.counts === undefined))
    throw new ModalscopeError(
      `${mark}: the band "${band}" needs samples,`,
      "but every series has one value per position.",
      "Pass values of the shape (positions, samples), or `low` and `high`.",
    );
  return curves;
}

/** "mean and 95% bootstrap interval, n = 50": what the values and bands of `curves` are. */
export function bandNote(curves: readonly Curve[], band?: Band): string | undefined {
  const [least, most] = extent(curves.flatMap((curve) => curve.counts ?? []));
  if (least > most) return undefined;
  return `${bands[band ?? "none"].note}, n = ${least === most ? least : `${least} to ${most}`}`;
}

function seriesOf(input: SeriesInput): readonly Series[] {
  if (isSeriesList(input)) return input;
  if (isNumbers(input)) return [{ y: input }];
  return isSeries(input) ? [input] : Object.entries(input).map(([name, y]) => ({ name, y }));
}

const isSeries = (input: unknown): input is Series =>
  typeof input === "object" && input !== null && "y" in input;

const isSeriesList = (input: SeriesInput): input is readonly Series[] =>
  Array.isArray(input) && (input.length === 0 || isSeries(input[0]));

function curveOf(series: Series, what: string, band?: Band): Curve {
  const values = valuesOf(series, what, band);
  const { y } = values;
  const x = series.x === undefined ? y.map((_, i) => i) : positionsOf(series.x, `${what}, x`);
  requireLength(x.length, y.length, `${what}, x`, "y");
  return { name: series.name ?? "", x, ...values, color: series.color, dash: series.dash };
}

function valuesOf(series: Series, what: string, band?: Band): Pick<Curve, "y" | "counts" | "interval"> {
  if (rank(series.y) === 2) {
    const rows = rowsOf(series.y, what);
    const summaries = bands[band ?? "none"].of(rows);
    const counts = rows.map((row) => row.filter(Number.isFinite).length);
    const interval = { low: summaries.map((s) => s.low), high: summaries.map((s) => s.high) };
    return { y: summaries.map((s) => s.value), counts, ...(band && band !== "none" ? { interval } : {}) };
  }
  const y = numbersOf(series.y, what);
  if ((series.low === undefined) !== (series.high === undefined))
    throw new ModalscopeError(`${what} has only one end of its interval.`, "", "Give both `low` and `high`.");
  if (series.low === undefined || series.high === undefined) return { y };
  const low = numbersOf(series.low, `${what}, low`);
  const high = numbersOf(series.high, `${what}, high`);
  requireLength(low.length, y.length, `${what}, low`, "y");
  requireLength(high.length, y.length, `${what}, high`, "y");
  const crossed = low.findIndex((value, i) => value > high[i]);
  if (crossed >= 0)
    throw new ModalscopeError(
      `${what}: at position ${crossed} the interval's low end ${low[crossed]} is above its high end ${high[crossed]}.`,
      "",
      "`low` and `high` are values on the y axis, not distances from y.",
    );
  return { y, interval: { low, high } };
}

function positionsOf(x: Values | readonly string[], what: string): readonly (number | string)[] {
  return areNames(x) ? x : numbersOf(x, what);
}

const areNames = (x: Values | readonly string[]): x is readonly string[] =>
  Array.isArray(x) && typeof x[0] === "string";
