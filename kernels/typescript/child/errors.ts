import { inspect, types } from "node:util";
import vm from "node:vm";
import type { ErrorContent } from "../../protocol/index.js";
import { codeFrame } from "../code-frame.js";
import {
  attempt,
  NativeError,
  regExpExec,
  stringEndsWith,
  stringSlice,
  stringStartsWith,
} from "../intrinsics.js";
import { type CellPositions, withKernelStacks } from "./stack.js";

/** Thrown into a cell that goes on after it was interrupted. */
export class InterruptedError extends Error {
  override readonly name = "KeyboardInterrupt";
  constructor() {
    super("The cell was interrupted.");
  }
}

export const interruption: ErrorContent = {
  ename: "KeyboardInterrupt",
  evalue: "The cell was interrupted.",
  traceback: ["KeyboardInterrupt: The cell was interrupted."],
};

const undescribed: ErrorContent = {
  ename: "Error",
  evalue: "A value was thrown that cannot be described: reading it fails or does not end.",
  traceback: ["A value was thrown that cannot be described: reading it fails or does not end."],
};

/** Getters and custom `inspect` methods of what was thrown are the cell's code, and may take no longer. */
const describeMs = 3000;
const longestText = 1 << 20;

/** Error content for a thrown value: its stack, and the cell's line that it came from. Never throws. */
export function describeError(thrown: unknown, positions: CellPositions): ErrorContent {
  return attempt(
    () => withTimeLimit(() => withKernelStacks(() => described(thrown, positions)), describeMs),
    undescribed,
  );
}

function described(thrown: unknown, positions: CellPositions): ErrorContent {
  if (!isError(thrown)) {
    const evalue = textOf(thrown);
    return { ename: "Thrown", evalue, traceback: [`A value that is not an Error was thrown: ${evalue}`] };
  }
  const ename = textOf(attempt(() => thrown.name || "Error", "Error"));
  const evalue = textOf(attempt(() => thrown.message, ""));
  const stack = attempt<unknown>(() => thrown.stack, undefined);
  const headline = evalue === "" ? ename : `${ename}: ${evalue}`;
  const whole = typeof stack === "string" ? attempt(() => inspect(thrown), headline) : headline;
  const traceback = [shortened(withoutBrackets(whole))];
  const frame = typeof stack === "string" ? firstCellFrame(stack, positions) : undefined;
  if (frame !== undefined) traceback[1] = frame;
  return { ename, evalue, traceback };
}

function isError(thrown: unknown): thrown is Error {
  return types.isNativeError(thrown) || attempt(() => thrown instanceof NativeError, false);
}

/** Text as it is, all else as Node prints it: the protocol wants text. */
function textOf(value: unknown): string {
  return shortened(typeof value === "string" ? value : attempt(() => inspect(value), "(cannot be shown)"));
}

function shortened(text: string): string {
  return text.length <= longestText ? text : `${stringSlice(text, 0, longestText)} …`;
}

/** Node puts an error without stack frames into brackets. */
function withoutBrackets(text: string): string {
  return stringStartsWith(text, "[") && stringEndsWith(text, "]") ? stringSlice(text, 1, -1) : text;
}

function firstCellFrame(stack: string, positions: CellPositions): string | undefined {
  const place = /(In\[\d+\]):(\d+):(\d+)/g;
  for (let found = regExpExec(place, stack); found !== null; found = regExpExec(place, stack)) {
    const name = found[1];
    const code = positions.code(name);
    if (code !== undefined) return codeFrame(code, { name, line: +found[2], column: +found[3], length: 1 });
  }
  return undefined;
}

const timed = vm.createContext({ work: undefined as (() => void) | undefined });
const callTimed = new vm.Script("work()");

/** @throws Error when `work`, which may run a cell's code, takes longer. */
function withTimeLimit<T>(work: () => T, timeout: number): T {
  let result: { value: T } | undefined;
  timed.work = () => {
    result = { value: work() };
  };
  try {
    callTimed.runInContext(timed, { timeout });
  } finally {
    timed.work = undefined;
  }
  if (result === undefined) throw new NativeError("It ended without a result.");
  return result.value;
}
