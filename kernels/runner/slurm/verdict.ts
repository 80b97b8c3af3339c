/** Cause of a task's end, from Slurm's report and from its log. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { exitCodes } from "../exit-codes.js";
import type { RunStatus } from "../run.js";
import type { TaskState } from "./client.js";
import type { SlurmResources } from "./resources.js";

export interface Verdict {
  status: RunStatus;
  message: string;
}

/**
 * Undefined when the task ended by itself, so that its notebook says how.
 * @param logTail the last of what the task printed, where Slurm writes why it ends one
 */
export function verdictOf(
  task: TaskState | undefined,
  logTail: string,
  resources: SlurmResources,
): Verdict | undefined {
  const { time, mem } = resources;
  if (
    task?.state === "OUT_OF_MEMORY" ||
    /memory limit|oom[-_ ]?kill|out of memory/i.test(slurmLines(logTail))
  )
    return died(
      `Slurm ended it: it took more memory than it had asked for${mem === undefined ? "" : ` (--mem ${mem})`}.`,
    );
  if (task === undefined) return undefined;
  switch (task.state) {
    case "COMPLETED":
      return undefined;
    case "TIMEOUT":
    case "DEADLINE":
      return {
        status: "timeout",
        message: `Slurm ended it: its time was up${time === undefined ? "" : ` (--time ${time})`}.`,
      };
    case "NODE_FAIL":
    case "BOOT_FAIL":
      return died("Its node failed.");
    case "PREEMPTED":
      return { status: "interrupted", message: "Slurm ended it for a job that goes first (preemption)." };
    case "CANCELLED":
      return { status: "interrupted", message: "It was cancelled." };
    default:
      if (task.signal !== 0) return died(`Its process was ended by signal ${task.signal}.`);
      // A task that Slurm could not start again ends so, too; one that saved its own end has told more than this.
      if (task.state !== "FAILED" || task.exitCode === 0 || task.exitCode === exitCodes.interrupted)
        return undefined;
      return silentEnd(logTail, ` with exit code ${task.exitCode}`);
  }
}

/** Verdict for a task whose end nobody told. */
export function silentEnd(logTail: string, how = ""): Verdict {
  const last = logTail.trim().split("\n").at(-1);
  return died(
    `Its process ended${how} and saved no cause.${last ? ` The last line of its log: ${last}` : ""}`,
  );
}

function died(message: string): Verdict {
  return { status: "died", message };
}

/** Slurm's own lines: a notebook may print of memory, too. */
function slurmLines(log: string): string {
  return log
    .split("\n")
    .filter((line) => /^(slurmstepd|slurmd)\b/.test(line))
    .join("\n");
}

const tailBytes = 4096;

/** The last of a file; empty when it is not there. */
export function tailOf(path: string): string {
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, tailBytes));
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString("utf8");
  } finally {
    closeSync(file);
  }
}
