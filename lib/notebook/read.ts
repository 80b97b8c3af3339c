import { readFileSync, readSync } from "node:fs";
import { ModalscopeError } from "../errors.js";
import { describeFileError } from "../file-errors.js";
import { waitForPipe } from "../pipe.js";
import { cellProblem, isObject, outputProblem } from "./check.js";
import { type Cell, type CellOutput, type Notebook, type NotebookMetadata, newId } from "./types.js";

/**
 * Reads a notebook, and brings one of an older format 4 to 4.5, whose cells have ids.
 * @param path a file, or `-` for standard input
 * @throws ModalscopeError when there is no such file, or it is not a notebook that can be run.
 */
export function readNotebook(path: string): Notebook {
  return parseNotebook(readText(path), path === "-" ? "Standard input" : path);
}

/**
 * Parses a notebook whose cells are all in order.
 * @param name of the notebook, for errors
 * @throws ModalscopeError when it is not JSON, not in format 4, or has a cell that is not one.
 */
export function parseNotebook(text: string, name: string): Notebook {
  const file = parseFile(text, name);
  if (!isObject(file.metadata)) throw notNotebook(name, "It lacks the field metadata.");
  for (const [i, cell] of file.cells.entries()) {
    const problem = cellProblem(cell);
    if (problem !== undefined)
      throw new ModalscopeError(`${name} is not a valid notebook.`, `Its cell ${i + 1} ${problem}.`);
  }
  return upgraded(file as unknown as Notebook);
}

/** A place of a notebook that is not what belongs there, and why; `reason` reads on after "The cell …". */
export interface Unreadable {
  readonly reason: string;
}

export type ReadableCell = Omit<Cell, "outputs"> & { outputs?: (CellOutput | Unreadable)[] };

/** A notebook as far as it can be read. */
export interface ReadableNotebook {
  readonly metadata: NotebookMetadata;
  readonly cells: readonly (ReadableCell | Unreadable)[];
}

export function isUnreadable(value: object): value is Unreadable {
  return !("cell_type" in value || "output_type" in value);
}

/**
 * Parses a notebook for looking at it: a cell or an output that is not one costs no other its place.
 * @param name of the notebook, for errors
 * @throws ModalscopeError when it is not JSON or not in format 4.
 */
export function parseReadable(text: string, name: string): ReadableNotebook {
  const { metadata, cells } = parseFile(text, name);
  return {
    metadata: (isObject(metadata) ? metadata : {}) as NotebookMetadata,
    cells: cells.map(readableCell),
  };
}

function readableCell(value: unknown): ReadableCell | Unreadable {
  const reason = cellProblem(value);
  if (reason !== undefined) return { reason };
  const cell = value as Cell;
  const outputs = cell.outputs?.map((output) => {
    const problem = outputProblem(output);
    return problem === undefined ? output : { reason: problem };
  });
  return { ...cell, metadata: cell.metadata ?? {}, outputs };
}

interface NotebookFile {
  nbformat: 4;
  nbformat_minor: number;
  metadata: unknown;
  cells: unknown[];
}

/** @throws ModalscopeError when the text is not JSON with the fields of format 4. */
function parseFile(text: string, name: string): NotebookFile {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (/^<{7} /m.test(text)) {
      throw new ModalscopeError(
        `${name} is not a notebook:`,
        "a merge has left both versions in it, between <<<<<<< and >>>>>>>.",
        "Take one with git checkout --ours or --theirs, or merge them with nbdime.",
        { cause: error },
      );
    }
    const reason = text.trim() === "" ? "It is empty." : `It is not valid JSON: ${(error as Error).message}.`;
    throw notNotebook(name, reason, error);
  }
  const { nbformat, nbformat_minor, cells } = isObject(parsed) ? parsed : {};
  if (typeof nbformat === "number" && nbformat !== 4) {
    throw new ModalscopeError(
      `${name} is in the notebook format ${nbformat}.`,
      "Only format 4 can be read.",
      nbformat < 4
        ? "Open and save it in Jupyter, or run `jupyter nbconvert --to notebook` on it."
        : "Save it in format 4.",
    );
  }
  if (nbformat !== 4 || !Array.isArray(cells))
    throw notNotebook(name, "It lacks the field nbformat (4) or cells.");
  const minor = typeof nbformat_minor === "number" && nbformat_minor > 5 ? nbformat_minor : 5;
  return { ...(parsed as NotebookFile), nbformat_minor: minor };
}

function notNotebook(name: string, reason: string, cause?: unknown): ModalscopeError {
  return new ModalscopeError(`${name} is not a notebook.`, reason, "Give a .ipynb file.", { cause });
}

function upgraded(notebook: Notebook): Notebook {
  const taken = new Set<string>();
  for (const cell of notebook.cells) {
    if (!isId(cell.id) || taken.has(cell.id)) cell.id = newId();
    taken.add(cell.id);
    cell.metadata ??= {};
    completeCell(cell);
  }
  const { kernelspec } = notebook.metadata;
  if (!isObject(kernelspec)) delete notebook.metadata.kernelspec;
  // Format 4.5 asks for it, and notebooks written by hand leave it out.
  else kernelspec.display_name ??= kernelspec.name;
  return notebook;
}

/** Gives a cell the fields of its type, and takes those of others from it. */
function completeCell(cell: Cell): void {
  if (cell.cell_type === "code") {
    cell.outputs ??= [];
    cell.execution_count ??= null;
    delete cell.attachments;
  } else {
    delete cell.outputs;
    delete cell.execution_count;
  }
}

function isId(id: unknown): id is string {
  return typeof id === "string" && /^[a-zA-Z0-9-_]{1,64}$/.test(id);
}

function readText(path: string): string {
  try {
    return path === "-" ? readStandardInput() : readFileSync(path, "utf8");
  } catch (error) {
    throw new ModalscopeError(`Cannot read ${path}.`, describeFileError(error), "", { cause: error });
  }
}

function readStandardInput(): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(1 << 16);
    const length = waitForPipe(() => readSync(0, chunk));
    if (length === 0) return Buffer.concat(chunks).toString("utf8");
    chunks.push(chunk.subarray(0, length));
  }
}
