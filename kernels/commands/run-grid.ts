import { formatBytes } from "../../lib/bytes.js";
import { readGrid, varyingNames } from "../runner/grid/combinations.js";
import { type GridEvent, runGrid } from "../runner/grid/run.js";
import { type GridRow, summaryTable } from "../runner/grid/summary.js";
import type { Parameters } from "../runner/parameters/values.js";
import { fillPath } from "../runner/path-template.js";
import type { RunOptions } from "../runner/run.js";
import type { RunFlags } from "./run-flags.js";
import { seconds } from "./run-progress.js";

export interface GridCommand {
  input: string;
  output: string;
  /** For all runs. */
  parameters: Parameters;
  flags: RunFlags;
  options: Omit<RunOptions, "input" | "output">;
  signal: AbortSignal;
}

/** Runs a grid, reports on stderr, prints its table; gives the exit code. */
export async function gridCommand({
  input,
  output,
  parameters,
  flags,
  options,
  signal,
}: GridCommand): Promise<number> {
  const { grid = "", maxCores, coresPerRun, maxMemory, summary, fresh, progressBar } = flags;
  const combinations = readGrid(grid, parameters);
  const onEvent = progressBar ? report : undefined;
  const result = await runGrid({
    ...options,
    input: fillPath(input, parameters),
    output,
    combinations,
    maxCores,
    coresPerRun,
    maxMemory,
    summary,
    fresh,
    signal,
    onEvent,
  });
  process.stdout.write(summaryTable(result.rows, varyingNames(combinations)));
  listFailed(result.rows);
  process.stderr.write(`\nThe table is in ${result.summary}\n`);
  if (signal.aborted) return 130;
  return result.rows.every(({ status }) => status === "completed") ? 0 : 1;
}

function report(event: GridEvent): void {
  const write = (text: string): void => {
    process.stderr.write(`${text}\n`);
  };
  if (event.type === "start") {
    const kept = event.kept === 0 ? "" : `, ${event.kept} of them done earlier`;
    write(`${event.runs} runs${kept}; ${event.places} at a time`);
    return;
  }
  const place = `[${String(event.index + 1).padStart(String(event.runs).length)}/${event.runs}] ${event.name}`;
  if (event.type === "run-start") write(`${place} …`);
  else if (event.type === "run-end") {
    const { status, seconds: taken } = event.row;
    write(`${place}: ${status}${taken === undefined ? "" : `, ${seconds(taken)}`}`);
  } else {
    const next = event.retried ? "it is run again when there is room" : "it is not run again";
    write(`${place}: stopped at ${formatBytes(event.bytes)}: memory is short; ${next}`);
  }
}

function listFailed(rows: readonly GridRow[]): void {
  const failed = rows.filter(({ status }) => status !== "completed");
  if (failed.length === 0) return;
  process.stderr.write(`\n${failed.length} of ${rows.length} not completed:\n`);
  for (const { output, status, error } of failed) {
    const cell = error?.cell === undefined ? "" : ` in "${error.cell}"`;
    process.stderr.write(`  ${output}: ${status}${cell}${error === undefined ? "" : `: ${error.message}`}\n`);
  }
}
