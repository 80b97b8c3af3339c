import { dirname, relative, resolve } from "node:path";
import { isRemote, shownPath } from "../../../lib/storage/index.js";
import { displayValue, type Parameters } from "../parameters/values.js";
import type { RunStatus } from "../run.js";
import type { GridError } from "./start.js";

/** One run of a grid. */
export interface GridRow {
  parameters: Parameters;
  output: string;
  status: RunStatus | "running" | "not run";
  /** Whether an earlier call has done it. */
  reused: boolean;
  seconds?: number;
  error?: GridError;
}

/**
 * A row for each run: its parameters, how it went and where its notebook is.
 * @param path of the table, which notebooks are given relative to
 */
export function summaryCsv(path: string, rows: readonly GridRow[]): string {
  const names = parameterNames(rows);
  const head = [...names.map(columnName), ...ownColumns];
  const lines = rows.map((row) => [
    ...names.map((name) => value(row.parameters, name)),
    row.status,
    row.seconds === undefined ? "" : row.seconds.toFixed(3),
    row.error?.cell ?? "",
    row.error?.message ?? "",
    fromTable(path, row.output),
  ]);
  return [head, ...lines].map((line) => `${line.map(csvField).join(",")}\n`).join("");
}

/** Path of a notebook from the folder of a table. */
export function fromTable(table: string, output: string): string {
  if (!isRemote(table) && !isRemote(output)) return relative(dirname(resolve(table)), resolve(output));
  const folder = table.slice(0, table.lastIndexOf("/") + 1);
  return isRemote(table) && output.startsWith(folder) ? output.slice(folder.length) : shownPath(output);
}

/** The same for a terminal, without errors and paths. */
export function summaryTable(rows: readonly GridRow[], names: readonly string[]): string {
  const head = [...names.map(columnName), "status", "seconds"];
  const lines = rows.map((row) => [
    ...names.map((name) => onLine(value(row.parameters, name))),
    row.reused ? `${row.status} (reused)` : row.status,
    row.seconds === undefined ? "" : row.seconds.toFixed(1),
  ]);
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column].length)));
  return all
    .map(
      (line) =>
        `${line
          .map((field, i) => field.padEnd(widths[i]))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

const longestField = 40;

/** A value as a field of a line. */
function onLine(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > longestField ? `${line.slice(0, longestField - 1)}…` : line;
}

/** The table's columns beside the parameters. */
const ownColumns: readonly string[] = ["status", "seconds", "cell", "error", "output"];

/** A parameter's column has its name, with "parameters." before it where the table has a column of that name. */
export function columnName(name: string): string {
  return ownColumns.includes(name) ? `parameters.${name}` : name;
}

export function parameterNames(rows: readonly GridRow[]): string[] {
  return [...new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)))];
}

function value(parameters: Parameters, name: string): string {
  if (!Object.hasOwn(parameters, name)) return "";
  const one = parameters[name];
  return typeof one === "string" ? one : displayValue(one);
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
