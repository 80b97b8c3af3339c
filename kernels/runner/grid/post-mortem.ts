import { existsSync } from "node:fs";
import type { Notebook } from "../../../lib/notebook/index.js";
import { readNotebook } from "../../../lib/notebook/index.js";
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

/** Writes into a notebook why its run ended, when the run itself could not. */
export function recordEnd(output: string, evalue: string): void {
  if (!existsSync(output)) return;
  const notebook: Notebook = readNotebook(output);
  const record = recordOf(notebook);
  if (record?.status !== "running") return;
  const error = { ename: "RunnerDied", evalue, traceback: [`RunnerDied: ${evalue}`] };
  notebook.cells = notebook.cells.filter((cell) => !isBanner(cell));
  const cell = notebook.cells.find((one) => recordOfCell(one)?.status === "running");
  if (cell !== undefined) {
    cell.outputs?.push({ output_type: "error", ...error });
    endCell(cell, { threw: true, failed: true });
  }
  endRecord(record as NotebookRecord, "died");
  record.error = { ename: error.ename, evalue, ...(cell === undefined ? {} : { cell_id: cell.id }) };
  addBanner(notebook, { status: "died", error, cell });
  const file = openOutput(output);
  try {
    file.finish(notebook);
  } finally {
    file.release();
  }
}
