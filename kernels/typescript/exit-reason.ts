import type { ErrorContent } from "../protocol/index.js";

/** Describes the exit of the process that ran the cells, for the cell that it exited in. */
export function describeExit(end: {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Exit code given to `process.exit`, or caused by a failing listener. */
  exitCalled: number | undefined;
  /** Problem with its messages, where it was ended for that. */
  broken: string | undefined;
  /** Last characters that it printed to stderr. */
  stderrTail: string;
}): ErrorContent {
  const evalue = `${cause(end)} All variables are lost; restart the kernel.`;
  return { ename: "KernelDied", evalue, traceback: [`KernelDied: ${evalue}`] };
}

function cause({ code, signal, exitCalled, broken, stderrTail }: Parameters<typeof describeExit>[0]): string {
  if (broken !== undefined) {
    return `The cell's process was ended because its messages to the kernel were damaged (${broken.replace(/\.$/, "")}): does a cell write to file descriptor 3?`;
  }
  if (/heap out of memory|Array buffer allocation failed/.test(stderrTail)) {
    return "The cell ran out of memory: JavaScript's heap was full (NODE_OPTIONS=--max-old-space-size=8192 raises its limit to 8 GB).";
  }
  if (exitCalled !== undefined) return `The cell ended its process with exit code ${exitCalled}.`;
  if (signal === "SIGKILL") {
    return "The cell's process was killed from outside (SIGKILL); the system does so when memory is short.";
  }
  if (signal !== null) return `The cell's process crashed (${signal}).`;
  if (code === null) return `The cell's process could not be started: ${stderrTail}.`;
  return `The cell's process ended with exit code ${code}.`;
}
