/** The metadata and the error banner that papermill leaves in a notebook, so that its readers go on working. */
import { type Cell, hasTag, type Notebook, newCell } from "./notebook.js";
import type { Parameters } from "./parameters.js";

export type CellStatus = "pending" | "running" | "completed" | "failed";

interface Timed {
  start_time: string | null;
  end_time: string | null;
  duration: number | null;
  exception: boolean | null;
}

export interface NotebookRecord extends Timed {
  input_path: string;
  output_path: string;
  parameters: Parameters;
  version: string;
  [key: string]: unknown;
}

const bannerTag = "papermill-error-cell-tag";

/** Forgets an earlier run: its outputs, its times, its error banners. */
export function startRecord(notebook: Notebook, record: Omit<NotebookRecord, keyof Timed>): NotebookRecord {
  notebook.cells = notebook.cells.filter((cell) => !hasTag(cell, bannerTag));
  for (const cell of notebook.cells) {
    cell.metadata.papermill = { ...unset(), status: "pending" };
    if (cell.cell_type !== "code") continue;
    cell.outputs = [];
    cell.execution_count = null;
  }
  const full = { ...record, ...unset(), start_time: new Date().toISOString() } as NotebookRecord;
  notebook.metadata.papermill = full;
  return full;
}

export function startCell(cell: Cell): void {
  cell.metadata.papermill = { ...unset(), start_time: new Date().toISOString(), status: "running" };
}

export function endCell(cell: Cell, failed: boolean): void {
  const papermill = cell.metadata.papermill as unknown as Timed & { status: CellStatus };
  end(papermill, failed);
  papermill.status = failed ? "failed" : "completed";
}

export function end(record: Timed, failed: boolean): void {
  const now = new Date();
  record.end_time = now.toISOString();
  record.duration =
    record.start_time === null ? null : (now.getTime() - Date.parse(record.start_time)) / 1000;
  record.exception = failed;
}

/** Points from the top of the notebook to the cell that failed. */
export function addBanner(notebook: Notebook, failed: Cell): void {
  const place = failed.execution_count == null ? "a cell" : `In [${failed.execution_count}]`;
  const top =
    '<span style="color:red; font-family:Helvetica Neue, Helvetica, Arial, sans-serif; font-size:2em;">' +
    `An Exception was encountered at '<a href="#papermill-error-cell">${place}</a>'.</span>`;
  const before =
    '<span id="papermill-error-cell" style="color:red; font-family:Helvetica Neue, Helvetica, Arial, sans-serif; ' +
    'font-size:2em;">Execution using papermill encountered an exception here and stopped:</span>';
  notebook.cells.splice(notebook.cells.indexOf(failed), 0, newCell("markdown", before, [bannerTag]));
  notebook.cells.unshift(newCell("markdown", top, [bannerTag]));
}

function unset(): Timed {
  return { start_time: null, end_time: null, duration: null, exception: null };
}
