/** Runs notebooks side by side: each in a process and on cores of its own, within a limit of memory. */
import { freemem } from "node:os";
import { formatBytes } from "../../../lib/bytes.js";
import { ModalscopeError } from "../../../lib/errors.js";
import type { RunOptions } from "../run.js";
import { allowedCores, canPin } from "./cores.js";
import { markDeadRun } from "./mark-dead-run.js";
import { runScheduled } from "./schedule.js";
import { startWorker, type WorkerCell, type WorkerResult } from "./start.js";
import type { GridRow } from "./summary.js";

/** What all runs together may use. */
export interface SideBySideLimits {
  /** Cores for all runs together; all that there are when left out. */
  maxCores?: number;
  /** Cores for each run; 1 when left out. */
  coresPerRun?: number;
  /** Bytes of memory for all runs together; 80 % of what is free when left out. */
  maxMemory?: number;
}

/** A run, and the row that says how it went. */
export interface PlannedRun {
  /** Place among all runs, from 0, and what sets it apart. */
  index: number;
  name: string;
  row: GridRow;
  options: RunOptions;
}

/** `index` counts the runs from 0, of `runs`; `name` says what sets a run apart. */
export type SideBySideEvent = { index: number; runs: number; name: string } & (
  | { type: "run-start" }
  | { type: "cell-start"; cell: WorkerCell }
  | { type: "run-end"; row: GridRow }
  | { type: "out-of-memory"; bytes: number; retried: boolean }
);

export interface SideBySide extends SideBySideLimits {
  /** Started in this order. */
  planned: readonly PlannedRun[];
  /** Number of all, those that are done already among them. */
  runs: number;
  signal?: AbortSignal;
  /** A row has changed. */
  changed?: () => void;
  onEvent: (event: SideBySideEvent) => void;
}

/** Resolves when all have ended, or none is left after the signal. A run that fails ends no other one. */
export async function runSideBySide(work: SideBySide): Promise<void> {
  const { planned, runs, signal, changed = () => {}, onEvent } = work;
  const { maxMemory = Math.floor(freemem() * 0.8) } = work;
  const { cores, slots, coresPerRun } = layOut(work);
  const named = (job: number): { index: number; runs: number; name: string } => {
    const { index, name } = planned[job];
    return { index, runs, name };
  };

  async function done(job: number, { status, seconds, error }: WorkerResult): Promise<void> {
    const { row } = planned[job];
    Object.assign(row, { status, seconds, error });
    if (status === "died" && error !== undefined) await markDeadRun(row.output, error.message);
    changed();
    onEvent({ type: "run-end", ...named(job), row });
  }

  await runScheduled<WorkerResult>({
    jobs: planned.length,
    slots,
    maxMemory,
    signal,
    start(job, slot) {
      onEvent({ type: "run-start", ...named(job) });
      return startWorker(planned[job].options, {
        cores: cores?.slice(slot * coresPerRun, (slot + 1) * coresPerRun),
        coreCount: coresPerRun,
        signal,
        onCell: (cell) => onEvent({ type: "cell-start", ...named(job), cell }),
      });
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

/**
 * Division of the cores among the runs: `slots` go at a time; `cores` is undefined where runs cannot be kept on theirs.
 * @throws ModalscopeError when a run asks for more cores than there are
 */
export function layOut({ maxCores, coresPerRun = 1 }: SideBySideLimits): {
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
