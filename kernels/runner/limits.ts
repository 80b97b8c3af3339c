import type { ErrorContent } from "../protocol/index.js";
import type { RunnerKernel } from "./kernels/kernel.js";

/** Cause of a run's end that lies outside its cells. */
export interface StopCause {
  status: "timeout" | "interrupted";
  error: ErrorContent;
}

export interface LimitOptions {
  signal?: AbortSignal;
  /** Seconds for each cell. */
  executionTimeout?: number;
  /** Seconds for the whole run, from `begun` on. */
  notebookTimeout?: number;
  /** `performance.now()` at the run's start. */
  begun: number;
}

/** Watches over a run, and stops the cell that runs when a limit is reached or the caller says so. */
export interface RunLimits {
  /** Cause that has stopped the run, once there is one. */
  readonly cause: StopCause | undefined;
  /** Runs one cell under the limits; ends when the cell has ended, or its kernel with it. */
  cell<T>(work: () => Promise<T>): Promise<T>;
  release(): void;
}

/** Time that an interrupted cell may take to stop before its kernel is ended. */
export const killAfterMs = 10_000;

export function watchLimits(kernel: RunnerKernel, options: LimitOptions): RunLimits {
  const { signal, executionTimeout, notebookTimeout, begun } = options;
  let cause: StopCause | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  let running = false;

  function interrupt(): void {
    kernel.interrupt();
    killTimer = setTimeout(kernel.kill, killAfterMs);
  }

  function stop(next: StopCause): void {
    if (cause !== undefined) return;
    cause = next;
    if (running) interrupt();
  }

  const onAbort = (): void => stop({ status: "interrupted", error: interrupted });
  const whole = startTimer(notebookTimeout, begun, (limit) =>
    stop(timeout(`The run took longer than its limit of ${limit} s (--notebook-timeout).`)),
  );
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();

  return {
    get cause() {
      return cause;
    },
    async cell(work) {
      const own = startTimer(executionTimeout, performance.now(), (limit) =>
        stop(timeout(`The cell took longer than its limit of ${limit} s (--execution-timeout).`)),
      );
      running = true;
      try {
        return await work();
      } finally {
        running = false;
        clearTimeout(own);
        clearTimeout(killTimer);
      }
    },
    release() {
      clearTimeout(whole);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

/** The longest time that a timer can be set to, in seconds; what is longer is no limit. */
const longestSeconds = (2 ** 31 - 1) / 1000;

function startTimer(
  seconds: number | undefined,
  from: number,
  onEnd: (limit: number) => void,
): NodeJS.Timeout | undefined {
  if (!seconds || seconds > longestSeconds) return undefined;
  return setTimeout(() => onEnd(seconds), Math.max(0, from + seconds * 1000 - performance.now()));
}

function timeout(evalue: string): StopCause {
  return {
    status: "timeout",
    error: { ename: "CellTimeoutError", evalue, traceback: [`CellTimeoutError: ${evalue}`] },
  };
}

const interrupted: ErrorContent = {
  ename: "KeyboardInterrupt",
  evalue: "The run was interrupted.",
  traceback: ["KeyboardInterrupt: The run was interrupted."],
};
