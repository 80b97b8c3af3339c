/** The cell that holds the values of a run. */
import { type Cell, hasTag, type Notebook } from "../../../lib/notebook/index.js";

export const injectedTag = "injected-parameters";

/** The cell that an earlier run has added; undefined when none has. */
export function injectedCell(notebook: Notebook): Cell | undefined {
  return notebook.cells.find((cell) => hasTag(cell, injectedTag));
}

/** Removes the cell that an earlier run has added. */
export function forgetInjected(notebook: Notebook): void {
  notebook.cells = notebook.cells.filter((cell) => !hasTag(cell, injectedTag));
}
