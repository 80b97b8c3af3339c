/** Notebooks in nbformat 4.5, as they lie in their files. */
import { randomBytes } from "node:crypto";

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
  source: Multiline;
  /** Code cells only. */
  outputs?: CellOutput[];
  /** Code cells only. */
  execution_count?: number | null;
  /** Markdown and raw cells only: files by name, each in one or more MIME types. */
  attachments?: Record<string, MimeBundle>;
}

export type CellMetadata = Record<string, unknown> & { tags?: string[]; papermill?: Record<string, unknown> };

/** Text that a file may hold as a list of pieces. */
export type Multiline = string | string[];

/** A result in several forms, by MIME type. */
export type MimeBundle = Record<string, unknown>;

/** A cell's output in a notebook file. */
export type CellOutput =
  | { output_type: "stream"; name: string; text: Multiline }
  | { output_type: "display_data"; data: MimeBundle; metadata: Record<string, unknown> }
  | {
      output_type: "execute_result";
      data: MimeBundle;
      metadata: Record<string, unknown>;
      execution_count: number | null;
    }
  | { output_type: "error"; ename: string; evalue: string; traceback: string[] };

export function joined(text: Multiline): string {
  return Array.isArray(text) ? text.join("") : text;
}

/** The tags of a cell, without what a file may hold among them that is no text. */
export function tagsOf({ metadata }: Pick<Cell, "metadata">): string[] {
  const tags: unknown = metadata.tags;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

export function hasTag(cell: Pick<Cell, "metadata">, tag: string): boolean {
  return tagsOf(cell).includes(tag);
}

export function newCell(type: Cell["cell_type"], source: string, tags: string[]): Cell {
  const cell: Cell = { id: newId(), cell_type: type, metadata: { tags }, source };
  if (type === "code") Object.assign(cell, { outputs: [], execution_count: null });
  return cell;
}

/** A random id for a cell. */
export function newId(): string {
  return randomBytes(4).toString("hex");
}
