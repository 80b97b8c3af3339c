import { type Cell, hasTag, type Notebook } from "../notebook.js";

/** The tag of the cell that holds the values of a run. */
export const injectedTag = "injected-parameters";

/** The cell that a run has put in, if one has. */
export function injectedCell(notebook: Notebook): Cell | undefined {
  return notebook.cells.find((cell) => hasTag(cell, injectedTag));
}

/** Takes away what an earlier run has put in. */
export function forgetInjected(notebook: Notebook): void {
  notebook.cells = notebook.cells.filter((cell) => !hasTag(cell, injectedTag));
}
