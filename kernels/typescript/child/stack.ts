import { SourceMap, type SourceMapPayload } from "node:module";
import {
  attempt,
  errorText,
  NativeError,
  parseJson,
  SafeMap,
  stringIncludes,
  stringIndexOf,
  stringSlice,
  toText,
} from "../intrinsics.js";
import type { CompiledCell, Insertion } from "../messages.js";

/** Positions of compiled cells in the cells as they were written. Lines and columns count from 1. */
export interface CellPositions {
  add(cell: CompiledCell, code: string): void;
  /** Undefined when the position has none, or the file is no cell. */
  original(name: string, line: number, column: number): { line: number; column: number } | undefined;
  code(name: string): string | undefined;
}

export function cellPositions(): CellPositions {
  const cells = new SafeMap<string, { cell: CompiledCell; code: string; map?: SourceMap }>();
  return {
    add(cell, code) {
      cells.set(cell.name, { cell, code });
    },
    original(name, line, column) {
      const known = cells.get(name);
      if (known === undefined) return undefined;
      known.map ??= new SourceMap(parseJson(known.cell.sourceMap) as SourceMapPayload);
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
  for (let i = 0; i < insertions.length; i++) {
    const insertion = insertions[i];
    if (insertion.line !== line) continue;
    const start = insertion.column + shift;
    if (column < start) break;
    if (column < start + insertion.length) return { line, column: insertion.column };
    shift += insertion.length;
  }
  return { line, column: column - shift };
}

type PrepareStackTrace = (error: Error, sites: NodeJS.CallSite[]) => string;

let prepare: PrepareStackTrace = headline;

/** Makes every stack trace name the cells' own lines, and leave out how the kernel called them. */
export function installStackTraces(positions: CellPositions, kernelFolder: string): void {
  const isKernel = (site: NodeJS.CallSite): boolean => stringIncludes(site.getFileName() ?? "", kernelFolder);
  prepare = (error, sites) => {
    let from = 0;
    while (from < sites.length && isKernel(sites[from])) from++;
    let to = from;
    while (to < sites.length && !isKernel(sites[to])) to++;
    let text = headline(error);
    for (let i = from; i < to; i++) {
      // An error thrown by the kernel is shown at the cell's call.
      if (from > 0 && positions.code(sites[i].getFileName() ?? "") === undefined) continue;
      text += `\n    at ${describe(sites[i], positions)}`;
    }
    return text;
  };
  NativeError.prepareStackTrace = prepare;
}

/** Runs `work` while stacks are the kernel's text, also where a cell has set `Error.prepareStackTrace` to its own. */
export function withKernelStacks<T>(work: () => T): T {
  const own = NativeError.prepareStackTrace;
  if (own === prepare) return work();
  attempt(() => {
    NativeError.prepareStackTrace = prepare;
  }, undefined);
  try {
    return work();
  } finally {
    attempt(() => {
      NativeError.prepareStackTrace = own;
    }, undefined);
  }
}

function describe(site: NodeJS.CallSite, positions: CellPositions): string {
  const text = toText(site);
  const file = site.getFileName();
  const line = site.getLineNumber();
  const column = site.getColumnNumber();
  if (file == null || line == null || column == null) return text;
  const original = positions.original(file, line, column);
  const place = `${file}:${line}:${column}`;
  const at = stringIndexOf(text, place);
  if (original === undefined || at === -1) return text;
  const rest = stringSlice(text, at + place.length);
  return `${stringSlice(text, 0, at)}${file}:${original.line}:${original.column}${rest}`;
}

/** As Node writes it, for objects that are no errors too; where a name's getter throws, the frames are still worth showing. */
function headline(error: Error): string {
  return attempt(() => errorText(error), "Error");
}
