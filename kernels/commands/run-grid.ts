import { writeAll } from "../../lib/pipe.js";
import { localCopy, shownPath } from "../../lib/storage/index.js";
import { exitCodes } from "../runner/exit-codes.js";
import { readGrid, varyingNames } from "../runner/grid/combinations.js";
import { combinationIndex, gatherGrid, readGridState } from "../runner/grid/gather.js";
import { type GridPlan, type GridPlanOptions, gridPaths } from "../runner/grid/plan.js";
import { runGrid } from "../runner/grid/run.js";
import { summaryTable } from "../runner/grid/summary.js";
import { parquetPath } from "../runner/grid/table.js";
import { jsonParameters, type Parameters } from "../runner/parameters/values.js";
import { fillPath } from "../runner/path-template.js";
import type { CommonRunOptions } from "../runner/run.js";
import { gridReporter, listFailed } from "./grid-progress.js";
import type { RunFlags } from "./run-flags.js";

export interface GridCommand {
  input: string;
  output: string;
  /** For all runs. */
  parameters: Parameters;
  flags: RunFlags;
  options: CommonRunOptions;
  signal: AbortSignal;
}

/** Runs a grid, or only gathers what is there; reports on stderr, prints its table; gives the exit code. */
export async function gridCommand(command: GridCommand): Promise<number> {
  const { flags, signal } = command;
  const plan = await planOptions(command);
  const { rows, summary } = await resultOf(command, plan);
  process.stdout.write(summaryTable(rows, varyingNames(plan.combinations)));
  listFailed(rows);
  process.stderr.write(`\nThe tables are in ${shownPath(summary)} and ${shownPath(parquetPath(summary))}\n`);
  if (signal.aborted) return exitCodes.interrupted;
  if (flags.detach) return 0;
  return rows.every(({ status }) => status === "completed") ? 0 : 1;
}

async function resultOf({ flags, signal }: GridCommand, plan: GridPlanOptions): Promise<GridPlan> {
  if (flags.gather) return gatherGrid(plan);
  if (flags.engine === "slurm") {
    const { slurmCommand } = await import("./run-slurm.js");
    return slurmCommand({ ...plan, signal }, flags);
  }
  const { maxCores, coresPerRun, maxMemory, progressBar } = flags;
  const limits = { maxCores, coresPerRun, maxMemory };
  if (!progressBar) return runGrid({ ...plan, ...limits, signal });
  const report = gridReporter();
  try {
    return await runGrid({ ...plan, ...limits, signal, onEvent: report.onEvent });
  } finally {
    report.end();
  }
}

type GridSource = Omit<GridCommand, "signal">;

async function planOptions({
  input,
  output,
  parameters,
  flags,
  options,
}: GridSource): Promise<GridPlanOptions> {
  const { grid = "", summary, force } = flags;
  const combinations = readGrid(await localCopy(grid), parameters);
  return { ...options, input: fillPath(input, parameters), output, combinations, summary, force };
}

/** Prints the combinations as JSON; gives the exit code. */
export async function listGrid(source: GridSource): Promise<number> {
  const { rows } = await readGridState(await planOptions(source));
  const list = rows.map(({ parameters, output, status }, index) => ({
    index,
    parameters: jsonParameters(parameters),
    output: shownPath(output),
    status,
  }));
  writeAll(1, `${JSON.stringify(list, null, 2)}\n`);
  return 0;
}

/** One combination as a run. @param index a number, or "auto" */
export async function oneOfGrid(
  source: GridSource,
  index: string,
): Promise<{ input: string; output: string; parameters: Parameters }> {
  const plan = await planOptions(source);
  const i = combinationIndex(index, plan.combinations.length);
  return { input: plan.input, output: gridPaths(plan).paths[i], parameters: plan.combinations[i] };
}
