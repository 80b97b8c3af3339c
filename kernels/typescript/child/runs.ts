import type { Output } from "../../protocol/outputs.js";
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

/*
 * Which run the code on the stack belongs to. Compiled cells hand it over each `await` (see compiler/emit.ts), and
 * timers carry it, so that output goes to the cell that caused it and an interrupted cell's loops end. It is not
 * an AsyncLocalStorage, because before Node 24 that turns async hooks on, and Node aborts the process when
 * terminateExecution cuts a callback short under active hooks.
 */
let latest: Run | undefined;
let current: Run | undefined;

export function startRun(id: number): Run {
  const run: Run = { id, active: true, interrupted: false, abort: new AbortController() };
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
  // What comes after an earlier cell's turn and says nothing of its run belongs to the latest.
  if (run !== latest) process.nextTick(() => (current = latest));
}

/** Sends an output to the cell that the calling code belongs to. */
export function sendOutput(output: Output): void {
  report({ type: "output", run: current?.id ?? 0, output });
}

/** Timers keep their run; those of an interrupted one are dropped. */
export function guardTimers(): void {
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
            // Not left to a tick: another cell's timer may come before it.
            current = latest;
          }
        },
        ...rest,
      );
    };
    // util.promisify finds the promise version of a timer as a property of it.
    return Object.defineProperties(guarded as F, Object.getOwnPropertyDescriptors(set));
  };
  globalThis.setTimeout = guard(globalThis.setTimeout as never);
  globalThis.setInterval = guard(globalThis.setInterval as never);
  globalThis.setImmediate = guard(globalThis.setImmediate as never);
}
