import { readFileSync, readSync } from "node:fs";
import { ModalscopeError } from "../../../lib/errors.js";
import { describeFileError } from "../../../lib/file-errors.js";
import { type Cell, type Notebook, newId } from "./notebook.js";
import { waitForPipe } from "./pipe.js";

/**
 * Reads a notebook, and brings one of an older format 4 to 4.5, whose cells have ids.
 * @param path a file, or `-` for standard input
 * @throws ModalscopeError when there is no such file, or it is no notebook that can be run.
 */
export function readNotebook(path: string): Notebook {
  return parseNotebook(readText(path), path === "-" ? "Standard input" : path);
}

/** @param path what the notebook is called in errors. */
export function parseNotebook(text: string, path: string): Notebook {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new ModalscopeError(
      `${path} is not a notebook.`,
      text.trim() === "" ? "It is empty." : `It is no valid JSON: ${(error as Error).message}.`,
      "Give a .ipynb file.",
      { cause: error },
    );
  }
  const { nbformat, cells, metadata } = (parsed ?? {}) as Partial<Notebook> & { nbformat?: unknown };
  if (typeof nbformat === "number" && nbformat !== 4) {
    throw new ModalscopeError(
      `${path} is in the notebook format ${nbformat}.`,
      "Only format 4 can be run.",
      nbformat < 4
        ? "Open and save it in Jupyter, or run `jupyter nbconvert --to notebook` on it."
        : "Save it in format 4.",
    );
  }
  if (nbformat !== 4 || !Array.isArray(cells) || !isObject(metadata)) {
    throw new ModalscopeError(
      `${path} is not a notebook.`,
      "It has not the fields nbformat (4), metadata and cells.",
      "Give a .ipynb file.",
    );
  }
  for (const [i, cell] of (cells as unknown[]).entries()) {
    const wrong = wrongInCell(cell);
    if (wrong !== undefined) {
      throw new ModalscopeError(`${path} is no valid notebook.`, `Its cell ${i + 1} ${wrong}.`, "");
    }
  }
  return upgraded(parsed as Notebook);
}

const cellTypes: readonly unknown[] = ["code", "markdown", "raw"];

/** What keeps a cell from being run, in words after "cell n"; undefined when nothing does. */
function wrongInCell(cell: unknown): string | undefined {
  if (!isObject(cell)) return "is no object";
  const { cell_type, source, metadata, outputs } = cell;
  if (!cellTypes.includes(cell_type)) return `has the unknown type ${JSON.stringify(cell_type)}`;
  if (typeof source !== "string" && !isTextList(source)) return "has no source";
  if (metadata !== undefined && !isObject(metadata)) return "has metadata that are no object";
  if (outputs !== undefined && !Array.isArray(outputs)) return "has outputs that are no list";
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((line) => typeof line === "string");
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
  // Format 4.5 asks for it, and notebooks written by hand leave it out.
  if (kernelspec !== undefined) kernelspec.display_name ??= kernelspec.name;
  notebook.nbformat_minor = Math.max(5, notebook.nbformat_minor ?? 0);
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
