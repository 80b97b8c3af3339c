import { inspect } from "node:util";
import type { ErrorContent } from "../../protocol/outputs.js";
import { codeFrame } from "../code-frame.js";
import type { CellPositions } from "./stack.js";

/** Thrown into a cell that goes on after it was interrupted. */
export class InterruptedError extends Error {
  override readonly name = "KeyboardInterrupt";
  constructor() {
    super("The cell was interrupted.");
  }
}

/** What a client shows of something thrown: its stack, and the line of the cell that it came from. */
export function describeError(thrown: unknown, positions: CellPositions): ErrorContent {
  if (!(thrown instanceof Error)) {
    const evalue = typeof thrown === "string" ? thrown : inspect(thrown);
    return { ename: "Thrown", evalue, traceback: [`A value that is no Error was thrown: ${evalue}`] };
  }
  // Node puts an error without stack frames into brackets.
  const traceback = [inspect(thrown).replace(/^\[(.*)\]$/s, "$1")];
  const frame = firstCellFrame(thrown.stack ?? "", positions);
  if (frame !== undefined) traceback.push(frame);
  return { ename: thrown.name, evalue: thrown.message, traceback };
}

function firstCellFrame(stack: string, positions: CellPositions): string | undefined {
  for (const [, name, line, column] of stack.matchAll(/(In\[\d+\]):(\d+):(\d+)/g)) {
    const code = positions.code(name);
    if (code !== undefined)
      return codeFrame(code, { name, line: Number(line), column: Number(column), length: 1 });
  }
  return undefined;
}
