import {
  max,
  min,
  stringIndexOf,
  stringPadStart,
  stringRepeat,
  stringSlice,
  stringTrimEnd,
  toText,
} from "./intrinsics.js";

/**
 * The lines around a place in a cell, with a mark under it.
 * `line` and `column` count from 1. Runs beside cells too: see intrinsics.ts.
 */
export function codeFrame(
  code: string,
  place: { name: string; line: number; column: number; length: number },
  around = 2,
): string {
  const lines = linesOf(code);
  const first = max(1, place.line - around);
  const last = min(lines.length, place.line + around);
  const width = toText(last).length;
  let shown = `${place.name}, line ${place.line}:`;
  for (let n = first; n <= last; n++) {
    const marked = n === place.line;
    const line = lines[n - 1];
    shown += `\n${stringTrimEnd(`${marked ? ">" : " "} ${stringPadStart(toText(n), width)} | ${line}`)}`;
    if (!marked) continue;
    const marks = max(1, min(place.length, line.length - place.column + 1));
    shown += `\n  ${stringRepeat(" ", width)} | ${blank(line, place.column - 1)}${stringRepeat("^", marks)}`;
  }
  return shown;
}

function linesOf(code: string): string[] {
  const lines: string[] = [];
  for (let from = 0; ; ) {
    const end = stringIndexOf(code, "\n", from);
    if (end === -1) {
      lines[lines.length] = stringSlice(code, from);
      return lines;
    }
    lines[lines.length] = stringSlice(code, from, end);
    from = end + 1;
  }
}

/** As much white space as the line's first characters take. */
function blank(line: string, length: number): string {
  let text = "";
  for (let i = 0; i < length && i < line.length; i++) text += line[i] === "\t" ? "\t" : " ";
  return text;
}
