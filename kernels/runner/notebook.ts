import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { ModalscopeError } from "../../lib/errors.js";

/** A notebook in nbformat 4.5, as it lies in its file. */
export interface Notebook {
  nbformat: 4;
  nbformat_minor: number;
  metadata: Record<string, unknown> & { kernelspec?: Kernelspec; language_info?: Record<string, unknown> };
  cells: Cell[];
}

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
  return cell.metadata.tags?.includes(tag) ?? false;
}

export function newCell(type: Cell["cell_type"], source: string, tags: string[]): Cell {
  const cell: Cell = { id: newId(), cell_type: type, metadata: { tags }, source };
  if (type === "code") Object.assign(cell, { outputs: [], execution_count: null });
  return cell;
}

/** @throws ModalscopeError when there is no such file, or it is no notebook that can be run. */
export function readNotebook(path: string): Notebook {
  return parseNotebook(readText(path), path);
}

/** @param path what the notebook is called in errors. */
export function parseNotebook(text: string, path: string): Notebook {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ModalscopeError(
      `${path} is not a notebook.`,
      `It is no valid JSON: ${(error as Error).message}.`,
      "Give a .ipynb file.",
      { cause: error },
    );
  }
  const { nbformat, cells, metadata } = (parsed ?? {}) as Partial<Notebook>;
  if (typeof nbformat === "number" && nbformat < 4) {
    throw new ModalscopeError(
      `${path} is in the old notebook format ${nbformat}.`,
      "Only format 4 can be run.",
      "Open and save it in Jupyter, or run `jupyter nbconvert --to notebook` on it.",
    );
  }
  if (nbformat !== 4 || !Array.isArray(cells) || typeof metadata !== "object") {
    throw new ModalscopeError(
      `${path} is not a notebook.`,
      "It has not the fields nbformat (4), metadata and cells.",
      "Give a .ipynb file.",
    );
  }
  return withIds(parsed as Notebook);
}

function readText(path: string): string {
  const text = path === "-" ? 0 : path;
  try {
    return readFileSync(text, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "There is no such file." : message;
    throw new ModalscopeError(`Cannot read ${path}.`, why, "", { cause: error });
  }
}

/** Brings an older notebook of format 4 to 4.5, whose cells have ids. */
function withIds(notebook: Notebook): Notebook {
  const taken = new Set<string>();
  for (const cell of notebook.cells) {
    if (typeof cell.id !== "string" || taken.has(cell.id)) cell.id = newId();
    taken.add(cell.id);
    cell.metadata ??= {};
    if (cell.cell_type !== "code") continue;
    cell.outputs ??= [];
    cell.execution_count ??= null;
  }
  notebook.nbformat_minor = Math.max(5, notebook.nbformat_minor);
  return notebook;
}

function newId(): string {
  return randomBytes(4).toString("hex");
}

/**
 * Writes a notebook so that its file is whole at every moment: the old one or the new one, also after a kill or a
 * power cut. Text is written as lists of lines, as Jupyter does, for readable diffs.
 */
export function saveNotebook(notebook: Notebook, path: string): void {
  const cells = notebook.cells.map((cell) => ({
    ...cell,
    source: lines(joined(cell.source)),
    ...(cell.outputs === undefined ? {} : { outputs: cell.outputs.map(fileOutput) }),
  }));
  const text = `${JSON.stringify({ ...notebook, cells }, null, 1)}\n`;
  if (path === "-") {
    writeAll(1, text);
    return;
  }
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    const file = openSync(temporary, "w");
    try {
      writeAll(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; ) from += writeSync(file, bytes, from);
}

function fileOutput(output: CellOutput): CellOutput {
  if (output.output_type === "stream") return { ...output, text: lines(joined(output.text as string)) };
  const data = output.data as Record<string, unknown> | undefined;
  if (data === undefined) return output;
  const split = Object.entries(data).map(([type, value]) => [
    type,
    typeof value === "string" && !type.startsWith("image/") ? lines(value) : value,
  ]);
  return { ...output, data: Object.fromEntries(split) };
}

function lines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}

/** Makes the output's folder and sees that it can be written to, before any work is done. */
export function prepareOutput(path: string): void {
  if (path === "-") return;
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true });
    const probe = join(folder, `.${basename(path)}.${process.pid}.probe`);
    closeSync(openSync(probe, "w"));
    rmSync(probe);
    if (existsSync(path)) closeSync(openSync(path, "r+"));
  } catch (error) {
    throw new ModalscopeError(
      `Cannot write ${path}.`,
      `${(error as Error).message}.`,
      "Choose an output path that you may write to.",
      { cause: error },
    );
  }
}
