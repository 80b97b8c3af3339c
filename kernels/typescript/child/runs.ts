// Not the global ones, which belong to the cells.
import {
  setImmediate as nativeImmediate,
  setInterval as nativeInterval,
  setTimeout as nativeTimeout,
} from "node:timers";
import type { Output } from "../../protocol/index.js";
import {
  defineProperties,
  getOwnPropertyDescriptors,
  NativeAbortController,
  stringCharCode,
  stringSlice,
} from "../intrinsics.js";
import { InterruptedError } from "./errors.js";
import { report } from "./pipe.js";

/** One execution of a cell. */
export interface Run {
  readonly id: number;
  /** False once the session has been told how it ended. */
  active: boolean;
  interrupted: boolean;
  readonly abort: AbortController;
}

const nextTick = process.nextTick;

/*
 * Which run the code on the stack belongs to. Compiled cells hand it over each `await` (see compiler/emit.ts), and
 * timers carry it, so that output goes to the cell that caused it and an interrupted cell's loops end. It is not
 * an AsyncLocalStorage, because before Node 24 that turns async hooks on, and Node aborts the process when
 * terminateExecution cuts a callback short under active hooks.
 */
let latest: Run | undefined;
let current: Run | undefined;

export function startRun(id: number): Run {
  const run: Run = { id, active: true, interrupted: false, abort: new NativeAbortController() };
  latest = run;
  current = run;
  return run;
}

export function currentRun(): Run | undefined {
  return current;
}

export function latestRun(): Run | undefined {
  return latest;
}

/** Takes a run up again after a wait; throws when it was interrupted meanwhile. */
export function resume(run: Run | undefined): void {
  if (run?.interrupted) throw new InterruptedError();
  current = run;
  // Later code of the same turn that does not name its run belongs to the latest.
  if (run !== latest) nextTick(() => (current = latest));
}

/** Printed text is sent in pieces of this size at most, so that each fits into a message. */
const longestPiece = 1 << 20;

/** Sends an output to the cell that the calling code belongs to. */
export function sendOutput(output: Output): void {
  const run = current?.id ?? 0;
  if (output.type !== "stream" || output.content.text.length <= longestPiece) {
    report({ type: "output", run, output });
    return;
  }
  const { name, text } = output.content;
  for (let from = 0; from < text.length; ) {
    const to = pieceEnd(text, from);
    report({
      type: "output",
      run,
      output: { type: "stream", content: { name, text: stringSlice(text, from, to) } },
    });
    from = to;
  }
}

/** Not between the two halves of a character. */
function pieceEnd(text: string, from: number): number {
  const end = from + longestPiece;
  if (end >= text.length) return text.length;
  const last = stringCharCode(text, end - 1);
  return last >= 0xd800 && last < 0xdc00 ? end - 1 : end;
}

/** Timers keep their run; those of an interrupted one are dropped. @param afterCallback called after each callback */
export function guardTimers(afterCallback: () => void): void {
  const guard = <F extends (callback: (...args: unknown[]) => void, ...rest: never[]) => unknown>(
    set: F,
  ): F => {
    const guarded = (callback: (...args: unknown[]) => void, ...rest: never[]): unknown => {
      const run = current;
      if (run === undefined || typeof callback !== "function") return set(callback, ...rest);
      return set(
        (...args: unknown[]) => {
          if (run.interrupted) return;
          current = run;
          try {
            callback(...args);
          } finally {
            afterCallback();
            // Not left to a tick: another cell's timer may come before it.
            current = latest;
          }
        },
        ...rest,
      );
    };
    // util.promisify finds the promise version of a timer as a property of it.
    return defineProperties(guarded as F, getOwnPropertyDescriptors(set));
  };
  globalThis.setTimeout = guard(nativeTimeout as never);
  globalThis.setInterval = guard(nativeInterval as never);
  globalThis.setImmediate = guard(nativeImmediate as never);
}
