/** The metadata and the error banner that papermill leaves in a notebook, so that its readers go on working. */
import { escapeHtml } from "../../../lib/escape.js";
import { type Cell, hasTag, type Notebook, newCell } from "../../../lib/notebook/index.js";
import type { ErrorContent } from "../../protocol/index.js";

export type CellStatus = "pending" | "running" | "completed" | "failed" | "skipped";

/** Status of a run: its kind of end, or "running" before that. */
export type RecordedStatus =
  | "running"
  | "completed"
  | "exited"
  | "failed"
  | "timeout"
  | "died"
  | "interrupted";

interface Timed {
  start_time: string | null;
  end_time: string | null;
  duration: number | null;
  exception: boolean | null;
}

/** A run, in `metadata.papermill`. `status` and `error` are ours, the rest is papermill's. */
export interface NotebookRecord extends Timed {
  input_path: string;
  output_path: string;
  parameters: Record<string, unknown>;
  default_parameters: Record<string, unknown>;
  environment_variables: Record<string, unknown>;
  version: string;
  status: RecordedStatus;
  /** Error that ended a run that was not completed, and the id of the cell that it ended at. */
  error?: { ename: string; evalue: string; cell_id?: string };
}

export type RecordedCell = Timed & { status: CellStatus };

const bannerTag = "papermill-error-cell-tag";

export function isBanner(cell: Cell): boolean {
  return hasTag(cell, bannerTag);
}

/** Record in a notebook of the run that made it; undefined when none has. */
export function recordOf(notebook: Notebook): Partial<NotebookRecord> | undefined {
  return notebook.metadata.papermill as Partial<NotebookRecord> | undefined;
}

export function recordOfCell(cell: Cell): Partial<RecordedCell> | undefined {
  return cell.metadata.papermill as Partial<RecordedCell> | undefined;
}

/** Records the facts known before a run, in papermill's words; all that `--prepare-only` leaves. */
export function describeRun(
  notebook: Notebook,
  run: Pick<NotebookRecord, "input_path" | "output_path" | "parameters" | "version">,
): void {
  notebook.cells = notebook.cells.filter((cell) => !isBanner(cell));
  for (const cell of notebook.cells) delete cell.metadata.papermill;
  notebook.metadata.papermill = { default_parameters: {}, environment_variables: {}, ...run };
}

/**
 * Forgets an earlier run: its outputs and its times.
 * @param kept cells that are not run again, and keep theirs
 */
export function startRecord(notebook: Notebook, kept: ReadonlyMap<Cell, Cell>): NotebookRecord {
  for (const cell of notebook.cells) {
    const earlier = kept.get(cell);
    cell.metadata.papermill = earlier?.metadata.papermill ?? { ...unset(), status: "pending" };
    if (cell.cell_type !== "code") continue;
    cell.outputs = earlier?.outputs ?? [];
    cell.execution_count = earlier?.execution_count ?? null;
  }
  const full = {
    ...notebook.metadata.papermill,
    ...unset(),
    start_time: new Date().toISOString(),
    status: "running",
  } as NotebookRecord;
  notebook.metadata.papermill = full as unknown as Record<string, unknown>;
  return full;
}

export function startCell(cell: Cell): void {
  const running: RecordedCell = {
    ...unset(),
    start_time: new Date().toISOString(),
    exception: false,
    status: "running",
  };
  cell.metadata.papermill = { ...running };
}

/** A cell that threw has not failed when it was expected to throw. */
export function endCell(
  cell: Cell,
  { threw, failed }: { threw: boolean; failed: boolean } = { threw: false, failed: false },
  end: Date = new Date(),
): void {
  const record = cell.metadata.papermill as unknown as RecordedCell;
  endTime(record, end);
  record.exception = threw;
  record.status = failed ? "failed" : "completed";
}

/** A cell that its tag keeps from being run. */
export function skipCell(cell: Cell): void {
  cell.metadata.papermill = { ...unset(), status: "skipped" };
}

export function endRecord(record: NotebookRecord, status: RecordedStatus, end: Date = new Date()): void {
  endTime(record, end);
  record.status = status;
  // As papermill has it, null when all went well.
  record.exception = status === "completed" ? null : true;
}

function endTime(record: Timed, end: Date): void {
  record.end_time = end.toISOString();
  record.duration =
    record.start_time === null ? null : (end.getTime() - Date.parse(record.start_time)) / 1000;
}

const style = 'style="color:red; font-family:Helvetica Neue, Helvetica, Arial, sans-serif; font-size:2em;"';

/**
 * Points from the top of the notebook to the cell where the run ended: in papermill's words for one that failed,
 * with the cause for one that was stopped.
 */
export function addBanner(
  notebook: Notebook,
  { status, error, cell }: { status: RecordedStatus; error: ErrorContent; cell?: Cell },
): void {
  const cause = escaped(`${error.ename}: ${error.evalue}`);
  if (cell === undefined) {
    notebook.cells.unshift(banner(`The run ended before its first cell: ${cause}`));
    return;
  }
  const place = cell.execution_count == null ? "this cell" : `In [${cell.execution_count}]`;
  const link = `<a href="#papermill-error-cell">${place}</a>`;
  const [top, before] =
    status === "failed"
      ? [
          `An Exception was encountered at '${link}'.`,
          "Execution using papermill encountered an exception here and stopped:",
        ]
      : [`The run ended at '${link}': ${cause}`, "The run ended here:"];
  notebook.cells.splice(notebook.cells.indexOf(cell), 0, banner(before, 'id="papermill-error-cell" '));
  notebook.cells.unshift(banner(top));
}

function banner(html: string, attributes = ""): Cell {
  return newCell("markdown", `<span ${attributes}${style}>${html}</span>`, [bannerTag]);
}

/** Text in a Markdown cell: without line ends, and with Markdown's own signs escaped, too. */
function escaped(text: string): string {
  const html = escapeHtml(text.slice(0, longestCause).replace(/\s+/g, " "));
  return html.replace(/[`*_[\]\\$]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** The whole message is in the cell's output. */
const longestCause = 2000;

function unset(): Timed {
  return { start_time: null, end_time: null, duration: null, exception: null };
}

/** Hides the cells' code, where readers can open it again; papermill's `--report-mode`. */
export function hideInputs(notebook: Notebook): void {
  for (const cell of notebook.cells) {
    if (cell.cell_type !== "code") continue;
    cell.metadata.jupyter = { ...(cell.metadata.jupyter as object | undefined), source_hidden: true };
  }
}
