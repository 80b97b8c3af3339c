/** Notebook files (nbformat 4), read for a report. */
import { ModalscopeError } from "../../errors.js";

export type Multiline = string | readonly string[];

export type Output =
  | { readonly output_type: "stream"; readonly name: "stdout" | "stderr"; readonly text: Multiline }
  | {
      readonly output_type: "display_data" | "execute_result";
      readonly data: Readonly<Record<string, unknown>>;
      readonly metadata?: Readonly<Record<string, unknown>>;
    }
  | {
      readonly output_type: "error";
      readonly ename: string;
      readonly evalue: string;
      readonly traceback: readonly string[];
    };

export interface Cell {
  readonly cell_type: "code" | "markdown" | "raw";
  readonly source: Multiline;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly outputs?: readonly Output[];
  readonly execution_count?: number | null;
  readonly attachments?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface Notebook {
  readonly cells: readonly Cell[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

export type Status = "passed" | "failed" | "incomplete";

/**
 * The notebook in `text`.
 * @param name for messages
 * @throws when it is not JSON or not a notebook of format 4
 */
export function parseNotebook(text: string, name: string): Notebook {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new ModalscopeError(`${name} is not a notebook.`, "It is not JSON.", "", { cause });
  }
  const { nbformat, cells, metadata } = (parsed ?? {}) as {
    nbformat?: number;
    cells?: Cell[];
    metadata?: object;
  };
  if (nbformat !== 4 || !Array.isArray(cells))
    throw new ModalscopeError(
      `${name} is not a notebook that can be reported.`,
      nbformat === undefined ? "It has no nbformat." : `Its format is ${nbformat}; format 4 is known.`,
      "Open it in JupyterLab and save it, which brings it to format 4.",
    );
  return {
    cells: cells.map((cell) => ({ ...cell, metadata: cell.metadata ?? {} })),
    metadata: (metadata ?? {}) as Record<string, unknown>,
  };
}

export function joined(text: Multiline | undefined): string {
  return typeof text === "string" ? text : (text ?? []).join("");
}

/** How its run went: failed with an error output, incomplete when a cell with code was not run. */
export function statusOf(notebook: Notebook): Status {
  const code = notebook.cells.filter(
    (cell) =>
      cell.cell_type === "code" &&
      joined(cell.source).trim() !== "" &&
      !tagsOf(cell).includes("skip-execution"),
  );
  if (code.some(hasFailed)) return "failed";
  return code.every((cell) => cell.execution_count) ? "passed" : "incomplete";
}

/** A cell that is there to show an error has not failed by it. */
export function hasFailed(cell: Cell): boolean {
  if (tagsOf(cell).includes("raises-exception")) return false;
  return (cell.outputs ?? []).some((output) => output.output_type === "error");
}

/** Whether the cell's code is not to be shown, as after a run in report mode. */
export function isHidden(cell: Cell): boolean {
  const { jupyter } = cell.metadata as { jupyter?: { source_hidden?: unknown } };
  return jupyter?.source_hidden === true;
}

export function tagsOf(cell: Cell): readonly string[] {
  return Array.isArray(cell.metadata.tags) ? (cell.metadata.tags as string[]) : [];
}

/** Seconds that a cell ran: from papermill's metadata, or from the times that clients note. */
export function secondsOf(cell: Cell): number | undefined {
  const { duration } = (cell.metadata.papermill ?? {}) as { duration?: number };
  if (typeof duration === "number") return duration;
  const execution = (cell.metadata.execution ?? {}) as Record<string, string>;
  const start = Date.parse(execution["iopub.execute_input"] ?? execution["iopub.status.busy"] ?? "");
  const end = Date.parse(execution["shell.execute_reply"] ?? execution["iopub.status.idle"] ?? "");
  return Number.isFinite(end - start) ? (end - start) / 1000 : undefined;
}

/** How a run ended that did not come to its last cell. */
function endOf(record: Record<string, unknown> | undefined): string | undefined {
  const { status, error } = (record ?? {}) as { status?: string; error?: { ename: string; evalue: string } };
  if (status === undefined || status === "completed") return undefined;
  return error === undefined ? status : `${status}: ${error.ename}: ${error.evalue}`;
}

/** What is known of the run: when, how long, on what, with which parameters; as names and texts. */
export function provenanceOf(notebook: Notebook): [string, string][] {
  const { kernelspec, papermill, modalscope } = notebook.metadata as Record<
    string,
    Record<string, unknown> | undefined
  >;
  const seconds = notebook.cells.map(secondsOf).filter((s) => s !== undefined);
  const entries: [string, unknown][] = [
    ["started", papermill?.start_time],
    ["seconds", papermill?.duration ?? (seconds.length > 0 ? seconds.reduce((a, b) => a + b, 0) : undefined)],
    ["ended", endOf(papermill)],
    ["kernel", kernelspec?.display_name ?? kernelspec?.name],
    ...Object.entries((papermill?.parameters ?? {}) as object).map(([k, v]): [string, unknown] => [
      `parameter ${k}`,
      v,
    ]),
    ...flat(modalscope ?? {}),
  ];
  return entries.flatMap(([name, value]) => {
    if (value === undefined || value === null || value === "") return [];
    return [
      [
        name,
        typeof value === "string"
          ? value
          : typeof value === "number"
            ? shortNumber(value)
            : JSON.stringify(value),
      ],
    ];
  });
}

function flat(value: object, prefix = ""): [string, unknown][] {
  return Object.entries(value).flatMap(([key, inner]): [string, unknown][] =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? flat(inner, `${prefix}${key}.`)
      : [[prefix + key, inner]],
  );
}

const shortNumber = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
