/**
 * The lines around a place in a cell, with a mark under it.
 * `line` and `column` count from 1.
 */
export function codeFrame(
  code: string,
  place: { name: string; line: number; column: number; length: number },
  around = 2,
): string {
  const lines = code.split("\n");
  const first = Math.max(1, place.line - around);
  const last = Math.min(lines.length, place.line + around);
  const width = String(last).length;
  const shown = [`${place.name}, line ${place.line}:`];
  for (let n = first; n <= last; n++) {
    const marked = n === place.line;
    shown.push(`${marked ? ">" : " "} ${String(n).padStart(width)} | ${lines[n - 1]}`.trimEnd());
    if (!marked) continue;
    const before = lines[n - 1].slice(0, place.column - 1).replace(/[^\t]/g, " ");
    const marks = Math.max(1, Math.min(place.length, lines[n - 1].length - place.column + 1));
    shown.push(`  ${" ".repeat(width)} | ${before}${"^".repeat(marks)}`);
  }
  return shown.join("\n");
}
