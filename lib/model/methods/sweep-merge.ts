/** Sweeps that are shared out among jobs: each job's file, and the whole sweep from all of them. */
import { isDeepStrictEqual } from "node:util";
import { ModalscopeError } from "../../errors.js";
import { isRemote, localCopy, shownPath, writeObject } from "../../storage/index.js";
import { sizeOf } from "../../tensor.js";
import { writeWhole } from "../../write-file.js";
import { readJsonObject } from "../checkpoint/index.js";
import type { SweepResult } from "./sweep.js";
import { isIn, isPart, WHOLE } from "./sweep-part.js";

/** Clean runs of one model on two machines differ by rounding; those of two prompts or two models by more. */
const CLEAN_TOLERANCE = 1e-3;

/**
 * One sweep from all its parts, in any order.
 *
 * ```ts
 * await saveSweep(`part-${i}.json`, await sweep(model, batch, { over, edit, metric, part: [i, 8] })); // in job i
 * const { values } = mergeSweeps(await Promise.all(files.map(readSweep)));                           // afterwards
 * ```
 * @throws ModalscopeError when a part is missing or there twice, or they are not of one sweep
 */
export function mergeSweeps(results: readonly SweepResult[]): SweepResult {
  const first = results[0];
  if (first === undefined) throw new ModalscopeError("There are no sweeps to merge.", "The list is empty.");
  const count = first.part[1];
  for (const result of results) checkSame(first, result);
  const indexes = results.map(({ part }) => part[0]);
  const missing = Array.from({ length: count }, (_, i) => i).filter((i) => !indexes.includes(i));
  if (missing.length > 0) {
    throw new ModalscopeError(
      `${missing.length} of the ${count} parts of the sweep are missing:`,
      `${missing.join(", ")}.`,
      `Run sweep with part: [${missing[0]}, ${count}] and so on, and merge all of them.`,
    );
  }
  const twice = indexes.find((index, i) => indexes.indexOf(index) !== i);
  if (twice !== undefined) throw new ModalscopeError(`Part ${twice} of the sweep is there twice.`);
  const { shape } = first.values;
  const rows = shape[shape.length - 1];
  const values = new Float64Array(sizeOf(shape));
  for (const { part, values: own } of results)
    for (let i = 0; i < values.length; i++) if (isIn(part, Math.floor(i / rows))) values[i] = own.data[i];
  return { values: { data: values, shape }, axes: first.axes, clean: first.clean, part: WHOLE };
}

function checkSame(first: SweepResult, other: SweepResult): void {
  const [index, count] = other.part;
  const differs = (what: string, reason: string): never => {
    throw new ModalscopeError(
      `Part ${index} of the sweep differs from part ${first.part[0]} ${what}:`,
      reason,
    );
  };
  if (count !== first.part[1]) differs("in their number", `${count} parts, and ${first.part[1]}.`);
  if (
    !isDeepStrictEqual(other.axes, first.axes) ||
    !isDeepStrictEqual(other.values.shape, first.values.shape)
  )
    differs("in its grid", "the axes are not the same.");
  const apart = first.clean.findIndex(
    (value, b) => !(Math.abs(other.clean[b] - value) <= CLEAN_TOLERANCE * Math.max(1, Math.abs(value))),
  );
  if (apart >= 0)
    differs("without any edit", `${other.clean[apart]}, and ${first.clean[apart]} for row ${apart}.`);
}

interface SavedSweep {
  readonly axes: SweepResult["axes"];
  readonly part: readonly number[];
  readonly shape: readonly number[];
  readonly values: readonly SavedNumber[];
  readonly clean: readonly SavedNumber[];
}

/** JSON has no numbers that are not finite: "Infinity", "-Infinity", and null for NaN. */
type SavedNumber = number | string | null;

const saved = (value: number): SavedNumber =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? null : String(value);

/**
 * Writes a sweep, or a part of one, to a JSON file or an `s3://` or `https://` URL.
 * @throws ModalscopeError when the grid's points are not plain JSON, or the file cannot be written
 */
export async function saveSweep(path: string, { values, axes, clean, part }: SweepResult): Promise<void> {
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(axes)), axes)) {
    throw new ModalscopeError(
      `The sweep cannot be written to ${shownPath(path)}:`,
      "the points of its grid are not plain JSON.",
      "Sweep over numbers, strings, or objects of them.",
    );
  }
  const file: SavedSweep = {
    axes,
    part,
    shape: values.shape,
    values: Array.from(values.data, saved),
    clean: Array.from(clean, saved),
  };
  const json = JSON.stringify(file);
  if (isRemote(path)) await writeObject(path, Buffer.from(json));
  else writeWhole(path, json);
}

/**
 * Reads what `saveSweep` wrote.
 * @throws ModalscopeError when there is no such file, or it is not a sweep's
 */
export async function readSweep(path: string): Promise<SweepResult> {
  const file = readJsonObject(await localCopy(path));
  if (!isSavedSweep(file)) {
    throw new ModalscopeError(
      `${shownPath(path)} is not a sweep:`,
      "its axes, part, shape or values are not those of one.",
    );
  }
  const numbers = (list: readonly SavedNumber[]): Float64Array =>
    Float64Array.from(list, (value) => Number(value ?? Number.NaN));
  return {
    values: { data: numbers(file.values), shape: [...file.shape] },
    axes: file.axes,
    clean: numbers(file.clean),
    part: [file.part[0], file.part[1]],
  };
}

function isSavedSweep(value: object): value is SavedSweep {
  const { axes, part, shape, values, clean } = value as Partial<Record<keyof SavedSweep, unknown>>;
  if (!isPart(part) || !areNumbers(values) || !areNumbers(clean)) return false;
  if (!Array.isArray(axes) || !axes.every(isAxis)) return false;
  const grid = [...axes.map((axis) => axis.values.length), clean.length];
  return isDeepStrictEqual(grid, shape) && values.length === sizeOf(grid);
}

function isAxis(value: unknown): value is SweepResult["axes"][number] {
  const { name, values } = (value ?? {}) as { name?: unknown; values?: unknown };
  return typeof name === "string" && Array.isArray(values);
}

function areNumbers(value: unknown): value is SavedNumber[] {
  const names = ["Infinity", "-Infinity", null];
  return Array.isArray(value) && value.every((one) => typeof one === "number" || names.includes(one));
}
