import { freemem } from "node:os";
import { dirname, join, resolve } from "node:path";
import { formatBytes } from "../../../lib/bytes.js";
import { ModalscopeError } from "../../../lib/errors.js";
import { makeFolder } from "../../../lib/folder.js";
import { recordOf } from "../notebook/record.js";
import { lockOutput } from "../output/lock.js";
import type { Parameters } from "../parameters/values.js";
import { finishedRun, type RunOptions } from "../run.js";
import { describeCombination, varyingNames } from "./combinations.js";
import { allowedCores, canPin } from "./cores.js";
import { commonFolder, outputPaths } from "./paths.js";
import { recordEnd } from "./post-mortem.js";
import { runScheduled } from "./schedule.js";
import { startWorker, type WorkerResult } from "./start.js";
import { type GridRow, writeSummary } from "./summary.js";

export interface GridOptions extends Omit<RunOptions, "output" | "parameters" | "onEvent" | "resume"> {
  /** A folder, or a path with `{name}` for the parameters. */
  output: string;
  /** The parameters of each run. */
  combinations: readonly Parameters[];
  /** Cores for all runs together; all that there are when left out. */
  maxCores?: number;
  /** Cores for each run; 1 when left out. */
  coresPerRun?: number;
  /** Bytes of memory for all runs together; 80 % of what is free when left out. */
  maxMemory?: number;
  /** Where the table of the runs goes; `summary.csv` in the folder that holds all outputs when left out. */
  summary?: string;
  /** Runs all anew; otherwise what an earlier call has completed with the same notebook is kept. */
  fresh?: boolean;
  onEvent?: (event: GridEvent) => void;
}

export interface GridResult {
  rows: GridRow[];
  /** The path of the table. */
  summary: string;
}

/** `index` counts the runs from 0, of `runs`; `name` says what sets a run apart. */
export type GridEvent =
  | { type: "start"; runs: number; places: number; kept: number }
  | { type: "run-start"; index: number; runs: number; name: string }
  | { type: "run-end"; index: number; runs: number; name: string; row: GridRow }
  | { type: "out-of-memory"; index: number; runs: number; name: string; bytes: number; retried: boolean };

/**
 * Runs one notebook over many parameters, several at a time. A run that fails ends no other one.
 * @throws ModalscopeError, before anything is run, when any combination cannot be run.
 */
export async function runGrid(options: GridOptions): Promise<GridResult> {
  const { combinations, input, output, fresh = false } = options;
  if (input === "-") {
    throw new ModalscopeError(
      "A grid cannot run a notebook from standard input.",
      "Each of its runs reads the notebook.",
      "Name a file.",
    );
  }
  const paths = outputPaths(output, input, combinations);
  const summary = options.summary ?? join(commonFolder(paths), "summary.csv");
  const rows: GridRow[] = [];
  for (const [i, parameters] of combinations.entries()) {
    rows.push(await plan(options, parameters, paths[i], fresh));
  }
  makeFolder(dirname(resolve(summary)));
  const release = lockOutput(summary);
  try {
    writeSummary(summary, rows);
    await runRows(rows, summary, options);
  } finally {
    release();
  }
  return { rows, summary };
}

/** Checks a combination, and whether it is done. */
async function plan(
  options: GridOptions,
  parameters: Parameters,
  output: string,
  fresh: boolean,
): Promise<GridRow> {
  const earlier = await finishedRun({ ...runOptions(options), parameters, output, resume: !fresh });
  if (earlier === undefined) return { parameters, output, status: "not run", kept: false };
  const seconds = recordOf(earlier)?.duration ?? undefined;
  return { parameters, output, status: "completed", kept: true, seconds };
}

async function runRows(rows: GridRow[], summary: string, options: GridOptions): Promise<void> {
  const { signal, fresh = false, maxMemory = Math.floor(freemem() * 0.8), onEvent = () => {} } = options;
  const { cores, places, coresPerRun } = layOut(options);
  const missing = [...rows.keys()].filter((i) => !rows[i].kept);
  const names = varyingNames(rows.map(({ parameters }) => parameters));
  const runs = rows.length;
  const named = (job: number): { index: number; runs: number; name: string } => ({
    index: missing[job],
    runs,
    name: describeCombination(rows[missing[job]].parameters, names),
  });
  onEvent({ type: "start", runs, places, kept: runs - missing.length });

  function done(job: number, { status, seconds, error }: WorkerResult): void {
    const row = rows[missing[job]];
    Object.assign(row, { status, seconds, error });
    if (status === "died" && error !== undefined) recordEnd(row.output, error.message);
    writeSummary(summary, rows);
    onEvent({ type: "run-end", ...named(job), row });
  }

  await runScheduled<WorkerResult>({
    jobs: missing.length,
    places,
    maxMemory,
    signal,
    start(job, place) {
      const { parameters, output } = rows[missing[job]];
      onEvent({ type: "run-start", ...named(job) });
      return startWorker(
        { ...runOptions(options), parameters, output, resume: !fresh },
        {
          cores: cores?.slice(place * coresPerRun, (place + 1) * coresPerRun),
          coreCount: coresPerRun,
          signal,
        },
      );
    },
    done,
    outOfMemory(job, bytes, retried) {
      onEvent({ type: "out-of-memory", ...named(job), bytes, retried });
    },
    failed: (job, bytes) =>
      done(job, {
        status: "died",
        seconds: 0,
        error: {
          message: `It took ${formatBytes(bytes)}, more than the limit of ${formatBytes(maxMemory)} (--max-memory).`,
        },
      }),
  });
}

/** How the cores are shared out; `cores` is undefined where runs cannot be kept on theirs. */
function layOut({ maxCores, coresPerRun = 1 }: GridOptions): {
  cores: number[] | undefined;
  places: number;
  coresPerRun: number;
} {
  const allowed = allowedCores();
  const usable = Math.min(maxCores ?? allowed.length, allowed.length);
  if (coresPerRun > usable) {
    throw new ModalscopeError(
      `There are not ${coresPerRun} cores for each run.`,
      `${usable} may be used.`,
      "Lower --cores-per-run.",
    );
  }
  return { cores: canPin() ? allowed : undefined, places: Math.floor(usable / coresPerRun), coresPerRun };
}

/** What a worker is told, without what only this process can use. */
function runOptions(options: GridOptions): Omit<RunOptions, "output"> {
  const { input, cwd, kernel, prepareOnly, reportMode } = options;
  const { startTimeout, executionTimeout, notebookTimeout, autosaveEvery, maxOutput } = options;
  return {
    input,
    cwd,
    kernel,
    prepareOnly,
    reportMode,
    startTimeout,
    executionTimeout,
    notebookTimeout,
    autosaveEvery,
    maxOutput,
  };
}
