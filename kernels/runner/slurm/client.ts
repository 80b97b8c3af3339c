/** Slurm's commands. Nothing here needs accounting (sacct). */
import { spawn } from "node:child_process";
import { ModalscopeError } from "../../../lib/errors.js";

/** A task of an array as Slurm knows it. */
export interface TaskState {
  /** Such as PENDING, RUNNING, COMPLETED, FAILED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, CANCELLED, PREEMPTED. */
  state: string;
  /** Reason that it waits or ended, in Slurm's word. */
  reason: string;
  exitCode: number;
  /** The signal that ended it; 0 when none did. */
  signal: number;
}

/** States that a task does not leave, unless it is requeued. */
const finalStates = new Set([
  "COMPLETED",
  "FAILED",
  "TIMEOUT",
  "OUT_OF_MEMORY",
  "NODE_FAIL",
  "BOOT_FAIL",
  "DEADLINE",
  "CANCELLED",
  "PREEMPTED",
  "REVOKED",
]);

export function isFinal({ state }: TaskState): boolean {
  return finalStates.has(state);
}

/**
 * Submits a script and gives the job's id.
 * @throws ModalscopeError with Slurm's words when it is refused.
 */
export async function submit(script: string): Promise<string> {
  const output = await call("sbatch", ["--parsable", script]);
  const id = /^\d+/.exec(output)?.[0];
  if (id === undefined) throw new ModalscopeError("sbatch gave no job's id.", `It said: ${output.trim()}.`);
  return id;
}

/** Ends all tasks of a job that have not ended. */
export async function cancel(job: string): Promise<void> {
  await call("scancel", [job]);
}

/**
 * The tasks of an array by their number; those that Slurm has forgotten, as it does some minutes after their end,
 * are missing. Undefined when it did not answer.
 */
export async function taskStates(job: string): Promise<Map<number, TaskState> | undefined> {
  try {
    return parseTasks(await call("scontrol", ["-o", "show", "job", job]));
  } catch (error) {
    if (/Invalid job id/i.test((error as Error).message)) return new Map();
    // A controller that is busy or restarts answers again later.
    if (/Unable to contact|timed out|Socket|temporarily|Connection/i.test((error as Error).message))
      return undefined;
    throw error;
  }
}

/** `scontrol -o show job`: a line for each task that has begun, and one for all that have not. */
export function parseTasks(text: string): Map<number, TaskState> {
  const tasks = new Map<number, TaskState>();
  for (const line of text.split("\n")) {
    const field = (name: string): string => new RegExp(`(?:^|\\s)${name}=(\\S*)`).exec(line)?.[1] ?? "";
    const [exitCode = 0, signal = 0] = field("ExitCode").split(":").map(Number);
    const task = { state: field("JobState"), reason: field("Reason"), exitCode, signal };
    for (const index of parseIndices(field("ArrayTaskId"))) tasks.set(index, task);
  }
  return tasks;
}

/** `0-3,8%2` as numbers. */
function parseIndices(text: string): number[] {
  return text
    .replace(/%\d+$/, "")
    .split(",")
    .filter((part) => /^\d+(-\d+(:\d+)?)?$/.test(part))
    .flatMap((part) => {
      const [first, last = first, step = 1] = part.split(/[-:]/).map(Number);
      return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
    });
}

async function call(command: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr, end } = await run(command, args).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new ModalscopeError(
      `There is no ${command} here.`,
      "Slurm's commands are not on the PATH.",
      "Call this on a login node of the cluster, or leave --engine out.",
      { cause: error },
    );
  });
  if (end === 0) return stdout;
  throw new ModalscopeError(`${command} failed.`, stderr.trim() || `It ended with ${end}.`);
}

/** `end` is an exit code or a signal's name. */
type Ended = { stdout: string; stderr: string; end: number | string };

/** In a session of its own: Ctrl-C in a terminal would end sbatch in the middle of a submission. */
function run(command: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(command, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ ...said, end: code ?? signal ?? "no exit code" }));
  });
}
