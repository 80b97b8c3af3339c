import type { GridPlan, GridPlanOptions } from "../runner/grid/plan.js";
import { runSlurmGrid, type SlurmEvent } from "../runner/slurm/engine.js";
import type { RunFlags } from "./run-flags.js";

/** Runs a grid on Slurm and tells of it on stderr. */
export async function slurmCommand(plan: GridPlanOptions, flags: RunFlags): Promise<GridPlan> {
  const { time, mem, cpus, gres, partition, arrayLimit, sbatch } = flags;
  const { attach, detach, cancelOnInterrupt, progressBar } = flags;
  const result = await runSlurmGrid({
    ...plan,
    resources: { time, mem, cpus, gres, partition, arrayLimit, sbatch },
    runFlags: flagsOfRuns(flags),
    attach,
    detach,
    cancelOnAbort: cancelOnInterrupt,
    onEvent: progressBar ? report : undefined,
  });
  if (!result.ended)
    process.stderr.write(
      result.job === undefined
        ? "Interrupted before the grid was submitted: there is no job.\n"
        : `Job ${result.job} goes on; follow it with --attach.\n`,
    );
  return result;
}

/** Flags that apply to each run, as command-line arguments. */
function flagsOfRuns(flags: RunFlags): string[] {
  const values: [flag: string, value: string | number | undefined][] = [
    ["--kernel", flags.kernel],
    ["--cwd", flags.cwd],
    ["--start-timeout", flags.startTimeout],
    ["--execution-timeout", flags.executionTimeout],
    ["--notebook-timeout", flags.notebookTimeout],
    ["--autosave-cell-every", flags.autosaveCellEvery],
    ["--max-output", flags.maxOutput],
  ];
  const switches: [flag: string, on: boolean | undefined][] = [
    ["--report-mode", flags.reportMode],
    ["--prepare-only", flags.prepareOnly],
    ["--force", flags.force],
  ];
  return [
    ...values.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)])),
    ...switches.flatMap(([flag, on]) => (on ? [flag] : [])),
  ];
}

function report(event: SlurmEvent): void {
  const write = (text: string): void => {
    process.stderr.write(`${text}\n`);
  };
  if (event.type === "submitted") {
    const reused = event.reused === 0 ? "" : `, ${event.reused} of the grid done earlier`;
    write(`job ${event.job}: ${event.tasks} tasks${reused}; its script is ${event.script}`);
  } else if (event.type === "states") {
    const states = Object.entries(event.states).map(([state, count]) => `${count} ${state}`);
    write(`job ${event.job}: ${states.join(", ")}`);
  } else write(`job ${event.job}: cancelled`);
}
