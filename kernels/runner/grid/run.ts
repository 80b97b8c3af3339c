import { freemem } from "node:os";
import { formatBytes } from "../../../lib/bytes.js";
import { ModalscopeError } from "../../../lib/errors.js";
import { commonOptionsOf } from "../run.js";
import { describeCombination, varyingNames } from "./combinations.js";
import { allowedCores, canPin } from "./cores.js";
import { markDeadRun } from "./mark-dead-run.js";
import { type GridPlanOptions, planGrid } from "./plan.js";
import { runScheduled } from "./schedule.js";
import { startWorker, type WorkerResult } from "./start.js";
import type { GridRow } from "./summary.js";
import { openTable, type TableFile } from "./table-file.js";

export interface GridOptions extends GridPlanOptions {
  /** Cores for all runs together; all that there are when left out. */
  maxCores?: number;
  /** Cores for each run; 1 when left out. */
  coresPerRun?: number;
  /** Bytes of memory for all runs together; 80 % of what is free when left out. */
  maxMemory?: number;
  onEvent?: (event: GridEvent) => void;
}

export interface GridResult {
  rows: GridRow[];
  /** The path of the table. */
  summary: string;
}

/** `index` counts the runs from 0, of `runs`; `name` says what sets a run apart. */
export type GridEvent =
  | { type: "start"; runs: number; slots: number; reused: number }
  | { type: "run-start"; index: number; runs: number; name: string }
  | { type: "run-end"; index: number; runs: number; name: string; row: GridRow }
  | { type: "out-of-memory"; index: number; runs: number; name: string; bytes: number; retried: boolean };

/**
 * Runs one notebook over many parameters, several at a time. A run that fails ends no other one.
 * @throws ModalscopeError, before anything is run, when any combination cannot be run.
 */
export async function runGrid(options: GridOptions): Promise<GridResult> {
  const { rows, summary } = await planGrid(options);
  const table = openTable(summary);
  try {
    table.save(rows);
    await runRows(rows, table, options);
    await table.finish(rows);
  } finally {
    table.release();
  }
  return { rows, summary };
}

async function runRows(rows: GridRow[], table: TableFile, options: GridOptions): Promise<void> {
  const { signal, force = false, maxMemory = Math.floor(freemem() * 0.8), onEvent = () => {} } = options;
  const { cores, slots, coresPerRun } = layOut(options);
  const missing = [...rows.keys()].filter((i) => !rows[i].reused);
  const names = varyingNames(rows.map(({ parameters }) => parameters));
  const runs = rows.length;
  const named = (job: number): { index: number; runs: number; name: string } => ({
    index: missing[job],
    runs,
    name: describeCombination(rows[missing[job]].parameters, names),
  });
  onEvent({ type: "start", runs, slots, reused: runs - missing.length });

  async function done(job: number, { status, seconds, error }: WorkerResult): Promise<void> {
    const row = rows[missing[job]];
    Object.assign(row, { status, seconds, error });
    if (status === "died" && error !== undefined) await markDeadRun(row.output, error.message);
    table.save(rows);
    onEvent({ type: "run-end", ...named(job), row });
  }

  await runScheduled<WorkerResult>({
    jobs: missing.length,
    slots,
    maxMemory,
    signal,
    start(job, slot) {
      const { parameters, output } = rows[missing[job]];
      onEvent({ type: "run-start", ...named(job) });
      return startWorker(
        { ...commonOptionsOf(options), input: options.input, parameters, output, resume: !force },
        {
          cores: cores?.slice(slot * coresPerRun, (slot + 1) * coresPerRun),
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

/** Division of the cores among the runs; `cores` is undefined where runs cannot be kept on theirs. */
function layOut({ maxCores, coresPerRun = 1 }: GridOptions): {
  cores: number[] | undefined;
  slots: number;
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
  return { cores: canPin() ? allowed : undefined, slots: Math.floor(usable / coresPerRun), coresPerRun };
}
