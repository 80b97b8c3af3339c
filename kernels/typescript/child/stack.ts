import { SourceMap, type SourceMapPayload } from "node:module";
import type { CompiledCell, Insertion } from "../messages.js";

/** Positions of compiled cells in the cells as they were written. Lines and columns count from 1. */
export interface CellPositions {
  add(cell: CompiledCell, code: string): void;
  /** Undefined when the position has none, or the file is no cell. */
  original(name: string, line: number, column: number): { line: number; column: number } | undefined;
  code(name: string): string | undefined;
}

export function cellPositions(): CellPositions {
  const cells = new Map<string, { cell: CompiledCell; code: string; map?: SourceMap }>();
  return {
    add(cell, code) {
      cells.set(cell.name, { cell, code });
    },
    original(name, line, column) {
      const known = cells.get(name);
      if (known === undefined) return undefined;
      known.map ??= new SourceMap(JSON.parse(known.cell.sourceMap) as SourceMapPayload);
      const entry = known.map.findEntry(line - 1, column - 1);
      if (!("originalLine" in entry)) return undefined;
      const found = withoutInsertions(known.cell.insertions, entry.originalLine, entry.originalColumn);
      return { line: found.line + 1, column: found.column + 1 };
    },
    code: (name) => cells.get(name)?.code,
  };
}

function withoutInsertions(
  insertions: readonly Insertion[],
  line: number,
  column: number,
): { line: number; column: number } {
  let shift = 0;
  for (const insertion of insertions) {
    if (insertion.line !== line) continue;
    const start = insertion.column + shift;
    if (column < start) break;
    if (column < start + insertion.length) return { line, column: insertion.column };
    shift += insertion.length;
  }
  return { line, column: column - shift };
}

/** Makes every stack trace name the cells' own lines, and leave out how the kernel called them. */
export function installStackTraces(positions: CellPositions, kernelFolder: string): void {
  const isKernel = (site: NodeJS.CallSite): boolean => site.getFileName()?.includes(kernelFolder) ?? false;
  Error.prepareStackTrace = (error, sites) => {
    const first = sites.findIndex((site) => !isKernel(site));
    const called = sites.findIndex((site, at) => at > first && isKernel(site));
    const frames = first === -1 ? [] : sites.slice(first, called === -1 ? undefined : called);
    const shown =
      first > 0 ? frames.filter((site) => positions.code(site.getFileName() ?? "") !== undefined) : frames;
    return headline(error) + shown.map((site) => `\n    at ${describe(site, positions)}`).join("");
  };
}

function describe(site: NodeJS.CallSite, positions: CellPositions): string {
  const text = String(site);
  const [file, line, column] = [site.getFileName(), site.getLineNumber(), site.getColumnNumber()];
  if (file == null || line == null || column == null) return text;
  const original = positions.original(file, line, column);
  if (original === undefined) return text;
  return text.replace(`${file}:${line}:${column}`, `${file}:${original.line}:${original.column}`);
}

function headline(error: Error): string {
  try {
    return String(error);
  } catch {
    // A class whose toString throws is the user's own; the frames are still worth showing.
    return "Error";
  }
}
