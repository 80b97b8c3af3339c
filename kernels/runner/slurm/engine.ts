/** A grid as an array of Slurm tasks: the script, its submission, its progress, its end. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ModalscopeError } from "../../../lib/errors.js";
import { makeFolder } from "../../../lib/folder.js";
import { loadYaml } from "../../../lib/load-yaml.js";
import { isObject } from "../../../lib/notebook/index.js";
import {
  callback,
  checkOptions,
  flag,
  integer,
  number,
  type OptionChecks,
  record,
  text,
  texts,
} from "../../../lib/options.js";
import { replaceFile } from "../../../lib/replace-file.js";
import { baseName, holdsCredentials, isRemote, shownPath } from "../../../lib/storage/index.js";
import { readGridState } from "../grid/gather.js";
import { markDeadRun, markEnd } from "../grid/mark-dead-run.js";
import { commonFolder } from "../grid/paths.js";
import { GRID_PLAN_OPTIONS, type GridPlan, type GridPlanOptions, gridPaths, planGrid } from "../grid/plan.js";
import { writeTable } from "../grid/table-file.js";
import { openNotebook } from "../notebook/open.js";
import { removeLock } from "../output/lock.js";
import { cancel, isFinal, submit, type TaskState, taskStates } from "./client.js";
import { notebookResources, type SlurmResources } from "./resources.js";
import { arrayScript } from "./script.js";
import { silentEnd, tailOf, type Verdict, verdictOf } from "./verdict.js";

export interface SlurmOptions extends GridPlanOptions {
  /** Over those that the notebook asks for. */
  resources?: SlurmResources;
  /** Flags of `modalscope run` for each run, such as `--execution-timeout`. */
  runFlags?: readonly string[];
  /** Follows the job that an earlier call has submitted, and submits none. */
  attach?: boolean;
  /** Resolves when the job is submitted. */
  detach?: boolean;
  /** Whether the signal cancels the job; otherwise it only ends the following. */
  cancelOnAbort?: boolean;
  /** Milliseconds between two looks at the job; from 1 s to 30 s, longer as it goes on, when left out. */
  pollEveryMs?: number;
  onEvent?: (event: SlurmEvent) => void;
}

export type SlurmEvent =
  | { type: "submitted"; job: string; script: string; tasks: number; reused: number }
  /** Number of tasks in each state; sent when it changes. */
  | { type: "states"; job: string; states: Readonly<Record<string, number>> }
  | { type: "cancelled"; job: string };

export interface SlurmResult extends GridPlan {
  /** The job's id; undefined when everything was done, or the signal came before the submission. */
  job: string | undefined;
  /** Whether all of its tasks have ended. */
  ended: boolean;
}

/** Facts about a job that a later call needs, in `slurm/job.json`. */
interface JobFile {
  job: string;
  indices: number[];
  resources: SlurmResources;
}

const SLURM_OPTIONS: OptionChecks<SlurmOptions> = {
  ...GRID_PLAN_OPTIONS,
  resources: record,
  runFlags: texts,
  attach: flag,
  detach: flag,
  cancelOnAbort: flag,
  pollEveryMs: number(0),
  onEvent: callback,
};
const RESOURCES: OptionChecks<SlurmResources> = {
  time: text,
  mem: text,
  cpus: integer(1),
  gres: text,
  partition: text,
  arrayLimit: integer(1),
  sbatch: texts,
};

/**
 * Runs a grid as an array of Slurm tasks: what an earlier call has completed is not submitted. The signal ends the
 * following, not the job, unless `cancelOnAbort` says so.
 * @throws ModalscopeError when a combination cannot be run, or Slurm refuses the job.
 */
export async function runSlurmGrid(options: SlurmOptions): Promise<SlurmResult> {
  checkOptions("runSlurmGrid", options, SLURM_OPTIONS);
  checkOptions("The resources of runSlurmGrid", options.resources ?? {}, RESOURCES);
  const folder = jobFolder(options);
  const file = options.attach ? readJob(folder) : await submitGrid(options, folder);
  if (file === "done" || file === "aborted")
    return { ...(await table(options)), job: undefined, ended: file === "done" };
  const states = options.detach ? undefined : await follow(file, options);
  const verdicts =
    states === undefined ? new Map<number, Verdict>() : await settle(options, folder, file, states);
  return {
    ...(await table(options, { indices: file.indices, verdicts })),
    job: file.job,
    ended: states !== undefined,
  };
}

/**
 * Folder of the script, the logs and the job's number: beside the outputs, or in the working folder where those lie
 * elsewhere.
 * @throws ModalscopeError when a URL has credentials in it, which would stand in the script
 */
function jobFolder(options: SlurmOptions): string {
  const { input, output } = options;
  for (const path of [input, output])
    if (holdsCredentials(path))
      throw new ModalscopeError(
        `${shownPath(path)} was given with credentials.`,
        "They would stand in the array's script.",
        "Use s3://, whose credentials come from the environment or a profile.",
      );
  const common = commonFolder(gridPaths(options).paths);
  return isRemote(common) ? join("slurm", baseName(input).replace(/\.ipynb$/, "")) : join(common, "slurm");
}

/**
 * @param indices the combinations that were submitted
 * @param verdicts what ended them, where there is no notebook that says so
 */
async function table(
  options: SlurmOptions,
  { indices, verdicts }: { indices: readonly number[]; verdicts: ReadonlyMap<number, Verdict> } = {
    indices: [],
    verdicts: new Map(),
  },
): Promise<GridPlan> {
  const plan = await readGridState(options);
  for (const index of indices) plan.rows[index].reused = false;
  for (const [index, { status, message }] of verdicts) {
    const row = plan.rows[index];
    if (row.status === "not run" && row.error === undefined)
      Object.assign(row, { status, error: { message } });
  }
  await writeTable(plan.summary, plan.rows);
  return plan;
}

const cli = fileURLToPath(new URL("../../cli.js", import.meta.url));

/** No job when everything is done, or when the signal comes before there is one. */
async function submitGrid(options: SlurmOptions, folder: string): Promise<JobFile | "done" | "aborted"> {
  const { combinations, input, output, onEvent = () => {} } = options;
  await refuseSecondJob(folder);
  const { rows } = await planGrid(options);
  const indices = [...rows.keys()].filter((i) => !rows[i].reused);
  if (indices.length === 0) return "done";
  const resources = {
    ...notebookResources(await openNotebook(input)),
    ...definedIn(options.resources ?? {}),
  };
  makeFolder(join(folder, "logs"));
  const [grid, script] = [join(folder, "grid.yaml"), join(folder, "array.sbatch")];
  // The combinations as they are now: a task that begins later finds the same ones.
  const asLists = combinations.map((run) =>
    Object.fromEntries(Object.entries(run).map(([name, value]) => [name, [value]])),
  );
  replaceFile(grid, [loadYaml().stringify(asLists)]);
  const command = [process.execPath, cli, "run", input, output, "--grid", resolve(grid), "--only", "auto"];
  const text = arrayScript({
    name: baseName(input).replace(/\.ipynb$/, ""),
    indices,
    resources,
    logs: resolve(folder, "logs"),
    cwd: process.cwd(),
    command: [...command, ...(options.runFlags ?? []), "--no-progress-bar"],
  });
  replaceFile(script, [text]);
  if (options.signal?.aborted) return "aborted";
  const job = await submit(script);
  const file = { job, indices, resources };
  replaceFile(jobPath(folder), [`${JSON.stringify(file, null, 2)}\n`]);
  onEvent({ type: "submitted", job, script, tasks: indices.length, reused: rows.length - indices.length });
  return file;
}

/** @throws ModalscopeError when the job of an earlier call still runs: two would write the same notebooks. */
async function refuseSecondJob(folder: string): Promise<void> {
  if (!existsSync(jobPath(folder))) return;
  const { job } = readJob(folder);
  const states = await taskStates(job);
  if (states !== undefined && [...states.values()].every(isFinal)) return;
  throw new ModalscopeError(
    states === undefined ? "Slurm does not answer." : `Job ${job} still runs this grid.`,
    "",
    states === undefined ? "Try again later." : `Follow it with --attach, or end it with scancel ${job}.`,
  );
}

function definedIn(resources: SlurmResources): SlurmResources {
  return Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined));
}

function jobPath(folder: string): string {
  return join(folder, "job.json");
}

function readJob(folder: string): JobFile {
  const path = jobPath(folder);
  let file: unknown;
  try {
    file = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ModalscopeError(
      "There is no job to follow.",
      `${path} cannot be read.`,
      "Submit one by leaving --attach out.",
      { cause: error },
    );
  }
  const isJob =
    isObject(file) && typeof file.job === "string" && Array.isArray(file.indices) && isObject(file.resources);
  if (!isJob)
    throw new ModalscopeError(
      `${path} does not tell of a job.`,
      "Another program has changed it.",
      "Remove it.",
    );
  return file as unknown as JobFile;
}

const shortestPollMs = 1000;
const longestPollMs = 30_000;

/** Waits until all tasks have ended; undefined when the signal came first. */
async function follow(file: JobFile, options: SlurmOptions): Promise<Map<number, TaskState> | undefined> {
  const { signal, onEvent = () => {}, pollEveryMs } = options;
  const last = new Map<number, TaskState>();
  let shown = "";
  for (
    let wait = pollEveryMs ?? shortestPollMs;
    ;
    wait = pollEveryMs ?? Math.min(wait * 1.2, longestPollMs)
  ) {
    const now = await taskStates(file.job);
    if (now !== undefined) {
      for (const [index, task] of now) last.set(index, task);
      const states = countStates(file, now, last);
      const text = JSON.stringify(states);
      if (text !== shown) onEvent({ type: "states", job: file.job, states });
      shown = text;
      // Slurm forgets tasks some time after their end.
      if (file.indices.every((index) => isFinal(now.get(index) ?? { ...gone }))) return last;
    }
    if (signal?.aborted) {
      if (!options.cancelOnAbort) return undefined;
      await cancel(file.job);
      onEvent({ type: "cancelled", job: file.job });
      return follow(file, { ...options, signal: undefined });
    }
    await delay(wait, undefined, { signal }).catch(ignoreAbort);
  }
}

const gone: TaskState = { state: "COMPLETED", reason: "", exitCode: 0, signal: 0 };

function countStates(
  { indices }: JobFile,
  now: ReadonlyMap<number, TaskState>,
  last: ReadonlyMap<number, TaskState>,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const index of indices) {
    const state = (now.get(index) ?? last.get(index))?.state.toLowerCase() ?? "ended";
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

function ignoreAbort(error: unknown): void {
  if ((error as Error).name !== "AbortError") throw error;
}

/** Writes into notebooks what ended their tasks, when the runs themselves could not know; gives it by index. */
async function settle(
  options: SlurmOptions,
  folder: string,
  { job, indices, resources }: JobFile,
  states: ReadonlyMap<number, TaskState>,
): Promise<Map<number, Verdict>> {
  const { paths } = gridPaths(options);
  const verdicts = new Map<number, Verdict>();
  for (const index of indices) {
    const log = tailOf(join(folder, "logs", `${job}_${index}.log`));
    const verdict = verdictOf(states.get(index), log, resources);
    const output = paths[index];
    // The task has ended, wherever it ran: what it held is free.
    removeLock(output);
    if (verdict === undefined) await markDeadRun(output, silentEnd(log).message);
    else await markEnd(output, verdict);
    verdicts.set(index, verdict ?? silentEnd(log));
  }
  return verdicts;
}
