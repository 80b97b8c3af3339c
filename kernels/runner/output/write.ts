import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type CellOutput, joined, type Notebook } from "../notebook/notebook.js";
import { waitForPipe } from "../notebook/pipe.js";

/** A notebook as Jupyter writes it: text as lists of lines, for readable diffs. */
export function notebookText(notebook: Notebook): string {
  const cells = notebook.cells.map((cell) => ({
    ...cell,
    source: lines(joined(cell.source)),
    ...(cell.outputs === undefined ? {} : { outputs: cell.outputs.map(fileOutput) }),
  }));
  return `${JSON.stringify({ ...notebook, cells }, null, 1)}\n`;
}

/** Where a file is written before it takes its name. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp`);
}

/**
 * Replaces a file so that it is whole at every moment: the old one or the new one, also after a kill or a power
 * cut. There must be one writer at a time (lock.ts).
 */
export function replaceFile(path: string, text: string): void {
  const temporary = temporaryPath(path);
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o666;
  try {
    const file = openSync(temporary, "w", mode);
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

/** Writes to an open file or pipe, waiting for a reader that is slow. */
export function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; ) from += waitForPipe(() => writeSync(file, bytes, from));
}

function fileOutput(output: CellOutput): CellOutput {
  if (output.output_type === "stream") return { ...output, text: lines(joined(output.text as string)) };
  const data = output.data as Record<string, unknown> | undefined;
  if (data === undefined) return output;
  const split = Object.entries(data).map(([type, value]) => [type, fileValue(type, value)]);
  return { ...output, data: Object.fromEntries(split) };
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
