/** Facts that an executed notebook records about its run. A file may hold anything in these places. */
import {
  type Cell,
  hasTag,
  isObject,
  isUnreadable,
  joined,
  type ReadableCell,
  type ReadableNotebook,
} from "../../notebook/index.js";

export type Status = "passed" | "failed" | "incomplete";

/** Status of its run: failed with an error output, incomplete when a cell with code was not run. */
export function statusOf({ cells }: ReadableNotebook): Status {
  const code = readableCells(cells).filter(
    (cell) =>
      cell.cell_type === "code" && joined(cell.source).trim() !== "" && !hasTag(cell, "skip-execution"),
  );
  if (code.some(hasFailed)) return "failed";
  return code.every((cell) => cell.execution_count) ? "passed" : "incomplete";
}

/** A cell that is there to show an error has not failed by it. */
export function hasFailed(cell: ReadableCell): boolean {
  if (hasTag(cell, "raises-exception")) return false;
  return (cell.outputs ?? []).some((output) => !isUnreadable(output) && output.output_type === "error");
}

/** Whether the cell's code is not to be shown, as after a run in report mode. */
export function isHidden({ metadata: { jupyter } }: ReadableCell): boolean {
  return isObject(jupyter) && jupyter.source_hidden === true;
}

/** Seconds that a cell ran: from papermill's metadata, or from the times that clients note. */
export function secondsOf({
  metadata: { papermill, execution },
}: Pick<Cell, "metadata">): number | undefined {
  if (isObject(papermill) && typeof papermill.duration === "number") return papermill.duration;
  const times = isObject(execution) ? execution : {};
  const start = timeOf(times["iopub.execute_input"] ?? times["iopub.status.busy"]);
  const end = timeOf(times["shell.execute_reply"] ?? times["iopub.status.idle"]);
  return Number.isFinite(end - start) ? (end - start) / 1000 : undefined;
}

function timeOf(value: unknown): number {
  return typeof value === "string" ? Date.parse(value) : Number.NaN;
}

/** Seconds that a notebook's cells ran; undefined when none of them says. */
export function totalSeconds({ cells }: ReadableNotebook): number | undefined {
  const seconds = readableCells(cells)
    .map(secondsOf)
    .filter((s) => s !== undefined);
  return seconds.length > 0 ? seconds.reduce((a, b) => a + b, 0) : undefined;
}

export function readableCells(cells: ReadableNotebook["cells"]): ReadableCell[] {
  return cells.filter((cell) => !isUnreadable(cell)) as ReadableCell[];
}

/** End of a run that did not reach its last cell; undefined for one that did. */
function endOf({ status, error }: Record<string, unknown>): string | undefined {
  if (typeof status !== "string" || status === "completed") return undefined;
  return isObject(error) ? `${status}: ${String(error.ename)}: ${String(error.evalue)}` : status;
}

/** Known facts about the run: when, how long, on what, with which parameters; as names and texts. */
export function provenanceOf(notebook: ReadableNotebook): [string, string][] {
  const { kernelspec, papermill, modalscope } = notebook.metadata as Record<string, unknown>;
  const record = isObject(papermill) ? papermill : {};
  const kernel = isObject(kernelspec) ? (kernelspec.display_name ?? kernelspec.name) : undefined;
  const entries: [string, unknown][] = [
    ["started", record.start_time],
    ["seconds", record.duration ?? totalSeconds(notebook)],
    ["ended", endOf(record)],
    ["kernel", kernel],
    ...Object.entries(isObject(record.parameters) ? record.parameters : {}).map(
      ([name, value]): [string, unknown] => [`parameter ${name}`, value],
    ),
    ...flat(isObject(modalscope) ? modalscope : {}),
  ];
  return entries
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => [name, valueText(value)]);
}

function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" ? shortNumber(value) : JSON.stringify(value);
}

const deepestEntry = 5;

/** Entries of nested objects under dotted names; what lies deeper stays in one piece. */
function flat(value: object, prefix = "", depth = 0): [string, unknown][] {
  return Object.entries(value).flatMap(([key, inner]): [string, unknown][] =>
    isObject(inner) && depth < deepestEntry
      ? flat(inner, `${prefix}${key}.`, depth + 1)
      : [[prefix + key, inner]],
  );
}

const shortNumber = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
