import { statSync } from "node:fs";
import type { Cell, Notebook } from "../../../lib/notebook/index.js";
import { isRemote } from "../../../lib/storage/index.js";
import { openNotebookIfThere } from "../notebook/open.js";
import {
  addBanner,
  endCell,
  endRecord,
  isBanner,
  type NotebookRecord,
  type RecordedStatus,
  recordOf,
  recordOfCell,
} from "../notebook/record.js";
import { openOutput } from "../output/output-file.js";
import type { RunStatus } from "../run.js";

interface End {
  status: RunStatus;
  message: string;
}

/** Writes into a notebook that its run died, when the run itself could not. */
export async function markDeadRun(output: string, message: string): Promise<void> {
  await mark(output, { status: "died", message }, ["running"]);
}

/**
 * The same for any end. A run that was told to stop knows only that, and may have been started again since: whoever
 * told it knows why, and that counts. A run that ended otherwise stays as it is.
 */
export async function markEnd(output: string, end: End): Promise<void> {
  await mark(output, end, ["running", "interrupted"]);
}

/** @param open states of a run that its notebook may be in, for the end to be news */
async function mark(
  output: string,
  { status, message }: End,
  open: readonly RecordedStatus[],
): Promise<void> {
  const notebook = await openNotebookIfThere(output);
  if (notebook === undefined) return;
  const record = recordOf(notebook);
  if (record?.status === undefined || !open.includes(record.status)) return;
  const stopped = record.status === "interrupted";
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
    const end = isRemote(output) ? new Date() : statSync(output).mtime;
    if (cell !== undefined) endCell(cell, { threw: true, failed: true }, end);
    endRecord(record as NotebookRecord, status, end);
  }
  record.status = status;
  record.error = { ename, evalue: message, ...(cell === undefined ? {} : { cell_id: cell.id }) };
  addBanner(notebook, { status, error, cell });
  const file = openOutput(output);
  try {
    await file.finish(notebook);
  } finally {
    file.release();
  }
}

function cellOf(notebook: Notebook, status: string): Cell | undefined {
  return notebook.cells.find((cell) => recordOfCell(cell)?.status === status);
}
