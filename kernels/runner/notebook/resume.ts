import { type Cell, hasTag, joined, type Notebook } from "../../../lib/notebook/index.js";
import { forgetInjected, injectedCell } from "../parameters/injected.js";
import { openNotebookIfThere } from "./open.js";
import { isBanner, recordOf, recordOfCell } from "./record.js";

/** The tag of a cell whose work lies in files: when it is done, later cells need nothing of it but those. */
export const cachedTag = "cached";

/** Work that an earlier run to the same output has done already. */
export interface Resumption {
  /** Whether it has done everything, so that nothing needs to be run. */
  complete: boolean;
  /** Cells that need not be run again, each with the one whose outputs stand for it. */
  kept: ReadonlyMap<Cell, Cell>;
}

export const NO_RESUME: Resumption = { complete: false, kept: new Map() };

/** The notebook of an earlier run; undefined when there is none. */
export async function readPreviousRun(output: string): Promise<Notebook | undefined> {
  const earlier = await openNotebookIfThere(output);
  if (earlier === undefined) return undefined;
  earlier.cells = earlier.cells.filter((cell) => !isBanner(cell));
  return earlier;
}

/** Gives a notebook the parameters that an earlier run had. */
export function restoreParameters(notebook: Notebook, earlier: Notebook): void {
  const injected = injectedCell(earlier);
  if (injected === undefined) return;
  forgetInjected(notebook);
  const at = notebook.cells.findIndex((cell) => hasTag(cell, "parameters"));
  notebook.cells.splice(at + 1, 0, { ...injected, outputs: [], execution_count: null });
}

/**
 * Compares a notebook, its parameters in it, with what an earlier run of it has left. A completed cell that is
 * tagged `cached` is kept, if neither it nor any code before it has changed.
 */
export function planResume(notebook: Notebook, earlier: Notebook): Resumption {
  const record = recordOf(earlier);
  const ended = record?.end_time != null && record.exception !== true;
  const complete = ended && !earlier.cells.some(isOpen) && sameCells(notebook.cells, earlier.cells);
  const kept = new Map<Cell, Cell>();
  const [now, then] = [notebook, earlier].map(({ cells }) => cells.filter((c) => c.cell_type === "code"));
  for (const [i, cell] of now.entries()) {
    const old = then.at(i);
    if (old === undefined || !sameSource(cell, old)) break;
    const completed = recordOfCell(old)?.status === "completed";
    if (hasTag(cell, cachedTag) && completed) kept.set(cell, old);
  }
  return { complete, kept };
}

function isOpen(cell: Cell): boolean {
  const status = recordOfCell(cell)?.status;
  return status !== "completed" && status !== "skipped";
}

function sameCells(a: readonly Cell[], b: readonly Cell[]): boolean {
  return a.length === b.length && a.every((cell, i) => sameSource(cell, b[i]));
}

function sameSource(a: Cell, b: Cell): boolean {
  return a.cell_type === b.cell_type && joined(a.source) === joined(b.source);
}
