import { randomUUID } from "node:crypto";
import { type Cell, type CellOutput, joined, type MimeBundle, type Notebook } from "./types.js";

/**
 * A notebook's file as Jupyter writes it, text as lists of lines for readable diffs; a piece for each cell, since
 * the whole may be longer than a string can be.
 */
export function* notebookPieces(notebook: Notebook): Generator<string> {
  const { cells } = notebook;
  const place = randomUUID();
  const [head, tail] = JSON.stringify({ ...notebook, cells: place }, null, 1).split(`"${place}"`);
  yield `${head}[`;
  for (const [i, cell] of cells.entries()) {
    yield `${i === 0 ? "" : ","}\n  ${JSON.stringify(fileCell(cell), null, 1).replaceAll("\n", "\n  ")}`;
  }
  yield `${cells.length === 0 ? "" : "\n "}]${tail}\n`;
}

function fileCell(cell: Cell): object {
  const outputs = cell.outputs === undefined ? {} : { outputs: cell.outputs.map(fileOutput) };
  return { ...cell, source: lines(joined(cell.source)), ...outputs };
}

function fileOutput(output: CellOutput): CellOutput {
  if (output.output_type === "stream") return { ...output, text: lines(joined(output.text)) };
  return "data" in output ? { ...output, data: fileBundle(output.data) } : output;
}

function fileBundle(data: MimeBundle): MimeBundle {
  return Object.fromEntries(Object.entries(data).map(([type, value]) => [type, fileValue(type, value)]));
}

/** The format allows anything but text only under JSON's types. */
function fileValue(type: string, value: unknown): unknown {
  if (/^application\/(.*\+)?json$/.test(type)) return value;
  if (typeof value === "string") return type.startsWith("image/") ? value : lines(value);
  if (Array.isArray(value) && value.every((line) => typeof line === "string")) return value;
  return JSON.stringify(value) ?? "";
}

function lines(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}

/** The same in one piece. */
export function notebookText(notebook: Notebook): string {
  return [...notebookPieces(notebook)].join("");
}
