/** Size of an output in a notebook's file. */
import type { CellOutput } from "../../../lib/notebook/index.js";

/** A line of text stands on a line of its own in the file: its indentation, quotes and comma. */
const lineBytes = 10;

/** Bytes of text, or of an output, in the file; outputs that are JSON count without their indentation. */
export function fileSize(content: string | CellOutput): number {
  if (typeof content === "string") return textSize(content);
  if (content.output_type === "stream") return sum([content.text].flat().map(textSize));
  if (content.output_type === "error")
    return sum([content.ename, content.evalue, ...content.traceback].map(textSize));
  return sum(
    Object.values(content.data).map((value) => textSize(typeof value === "string" ? value : jsonOf(value))),
  );
}

function textSize(text: string): number {
  let lines = 1;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines++;
  return Buffer.byteLength(JSON.stringify(text)) + lines * lineBytes;
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? "";
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

/** The beginning of a text, without half a character at its end. */
export function clipText(text: string, length: number): string {
  return text.slice(0, /[\uD800-\uDBFF]/.test(text.charAt(length - 1)) ? length - 1 : length);
}
