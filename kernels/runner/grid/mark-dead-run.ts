import { existsSync, statSync } from "node:fs";
import { type Cell, type Notebook, readNotebook } from "../../../lib/notebook/index.js";
import {
  addBanner,
  endCell,
  endRecord,
  isBanner,
  type NotebookRecord,
  recordOf,
  recordOfCell,
} from "../notebook/record.js";
import { openOutput } from "../output/output-file.js";
import type { RunStatus } from "../run.js";

/** Writes into a notebook why its run ended, when the run itself could not. */
export function markDeadRun(output: string, evalue: string): void {
  markEnd(output, { status: "died", message: evalue });
}

/**
 * The same for any end. A run that was told to stop knows only that: whoever told it knows why, and that counts.
 * A run that ended otherwise stays as it is.
 */
export function markEnd(output: string, { status, message }: { status: RunStatus; message: string }): void {
  if (!existsSync(output)) return;
  const notebook = readNotebook(output);
  const record = recordOf(notebook);
  const stopped = record?.status === "interrupted" && status !== "died";
  if (record?.status !== "running" && !stopped) return;
  const ename = status === "died" ? "RunnerDied" : status === "timeout" ? "TimeLimit" : "KeyboardInterrupt";
  const error = { ename, evalue: message, traceback: [`${ename}: ${message}`] };
  notebook.cells = notebook.cells.filter((cell) => !isBanner(cell));
  const cell = stopped
    ? notebook.cells.find(({ id }) => id === record.error?.cell_id)
    : // The last save may be that of the cell before: it ended in the next one.
      (cellOf(notebook, "running") ?? cellOf(notebook, "pending"));
  if (!stopped) {
    cell?.outputs?.push({ output_type: "error", ...error });
    // It ended after its last save, and nobody knows how long after.
    const end = statSync(output).mtime;
    if (cell !== undefined) endCell(cell, { threw: true, failed: true }, end);
    endRecord(record as NotebookRecord, status, end);
  }
  record.status = status;
  record.error = { ename, evalue: message, ...(cell === undefined ? {} : { cell_id: cell.id }) };
  addBanner(notebook, { status, error, cell });
  const file = openOutput(output);
  try {
    file.finish(notebook);
  } finally {
    file.release();
  }
}

function cellOf(notebook: Notebook, status: string): Cell | undefined {
  return notebook.cells.find((cell) => recordOfCell(cell)?.status === status);
}
