import { callback, checkOptions, integer, number, type OptionChecks } from "../../../lib/options.js";
import { commonOptionsOf } from "../run.js";
import { describeCombination, varyingNames } from "./combinations.js";
import { GRID_PLAN_OPTIONS, type GridPlanOptions, planGrid } from "./plan.js";
import { layOut, runSideBySide, type SideBySideEvent, type SideBySideLimits } from "./side-by-side.js";
import type { GridRow } from "./summary.js";
import { openTable, type TableFile } from "./table-file.js";

export interface GridOptions extends GridPlanOptions, SideBySideLimits {
  onEvent?: (event: GridEvent) => void;
}

export interface GridResult {
  rows: GridRow[];
  /** The path of the table. */
  summary: string;
}

/** Progress of a grid: what it begins with, then each run's. */
export type GridEvent = { type: "start"; runs: number; slots: number; reused: number } | SideBySideEvent;

const GRID_OPTIONS: OptionChecks<GridOptions> = {
  ...GRID_PLAN_OPTIONS,
  maxCores: integer(1),
  coresPerRun: integer(1),
  maxMemory: number(1),
  onEvent: callback,
};

/**
 * Runs one notebook over many parameters, several at a time. A run that fails ends no other one.
 * @throws ModalscopeError, before anything is run, when any combination cannot be run.
 */
export async function runGrid(options: GridOptions): Promise<GridResult> {
  checkOptions("runGrid", options, GRID_OPTIONS);
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
  const { input, force = false, onEvent = () => {} } = options;
  const { maxCores, coresPerRun, maxMemory, signal } = options;
  const { slots } = layOut(options);
  const names = varyingNames(rows.map(({ parameters }) => parameters));
  const planned = [...rows.entries()]
    .filter(([, { reused }]) => !reused)
    .map(([index, row]) => ({
      index,
      name: describeCombination(row.parameters, names),
      row,
      options: {
        ...commonOptionsOf(options),
        input,
        parameters: row.parameters,
        output: row.output,
        resume: !force,
      },
    }));
  const runs = rows.length;
  onEvent({ type: "start", runs, slots, reused: runs - planned.length });
  await runSideBySide({
    planned,
    runs,
    maxCores,
    coresPerRun,
    maxMemory,
    signal,
    changed: () => table.save(rows),
    onEvent,
  });
}
