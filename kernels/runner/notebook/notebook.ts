import { randomBytes } from "node:crypto";

/** A notebook in nbformat 4.5, as it lies in its file. */
export interface Notebook {
  nbformat: 4;
  nbformat_minor: number;
  metadata: NotebookMetadata;
  cells: Cell[];
}

export type NotebookMetadata = Record<string, unknown> & {
  kernelspec?: Kernelspec;
  language_info?: Record<string, unknown>;
  papermill?: Record<string, unknown>;
};

/** The kernel that a notebook names. */
export interface Kernelspec {
  name: string;
  display_name?: string;
  language?: string;
}

export interface Cell {
  id: string;
  cell_type: "code" | "markdown" | "raw";
  metadata: CellMetadata;
  source: string | string[];
  /** Code cells only. */
  outputs?: CellOutput[];
  /** Code cells only. */
  execution_count?: number | null;
  attachments?: unknown;
}

export type CellMetadata = Record<string, unknown> & { tags?: string[]; papermill?: Record<string, unknown> };

/** An output in a notebook file. */
export type CellOutput = { output_type: string } & Record<string, unknown>;

/** A piece of text that the file may hold as a list of lines. */
export function joined(text: string | string[]): string {
  return Array.isArray(text) ? text.join("") : text;
}

export function hasTag(cell: Cell, tag: string): boolean {
  const { tags } = cell.metadata;
  return Array.isArray(tags) && tags.includes(tag);
}

export function newCell(type: Cell["cell_type"], source: string, tags: string[]): Cell {
  const cell: Cell = { id: newId(), cell_type: type, metadata: { tags }, source };
  if (type === "code") Object.assign(cell, { outputs: [], execution_count: null });
  return cell;
}

/** An id for a cell. */
export function newId(): string {
  return randomBytes(4).toString("hex");
}

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
