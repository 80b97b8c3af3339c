/** Runs of a grid and the paths of their outputs, whoever runs them. */
import { ModalscopeError } from "../../../lib/errors.js";
import type { Notebook } from "../../../lib/notebook/index.js";
import { flag, listOf, type OptionChecks, record, required, text } from "../../../lib/options.js";
import { joinPath } from "../../../lib/storage/index.js";
import { openNotebook } from "../notebook/open.js";
import { recordOf } from "../notebook/record.js";
import type { Parameters } from "../parameters/values.js";
import { COMMON_OPTIONS, commonOptionsOf, finishedRun, type RunOptions } from "../run.js";
import { commonFolder, outputPaths } from "./paths.js";
import type { GridRow } from "./summary.js";

export interface GridPlanOptions extends Omit<RunOptions, "output" | "parameters" | "onEvent" | "resume"> {
  /** A folder, or a path with `{name}` for the parameters. */
  output: string;
  /** The parameters of each run. */
  combinations: readonly Parameters[];
  /** Path of the table of the runs; `summary.csv` in the folder that holds all outputs when left out. */
  summary?: string;
  /** Runs all anew; otherwise what an earlier call has completed with the same notebook is reused. */
  force?: boolean;
}

export interface GridPlan {
  /** The runs in order, "completed" where an earlier call has done them, else "not run". */
  rows: GridRow[];
  /** The path of the table. */
  summary: string;
}

/** Checks of what every way to run a grid takes. */
export const GRID_PLAN_OPTIONS: OptionChecks<GridPlanOptions> = {
  ...COMMON_OPTIONS,
  output: required(text, "a path or a URL"),
  combinations: required(listOf(record, 1), "a list of parameters"),
  summary: text,
  force: flag,
};

/**
 * Checks all combinations of a grid, and which of them are done.
 * @throws ModalscopeError when any of them cannot be run.
 */
export async function planGrid(options: GridPlanOptions): Promise<GridPlan> {
  const { combinations } = options;
  const { paths, summary } = gridPaths(options);
  const rows: GridRow[] = [];
  const notebook = await openNotebook(options.input);
  for (const [i, parameters] of combinations.entries())
    rows.push(await planRow(options, notebook, { parameters, output: paths[i] }));
  return { rows, summary };
}

/**
 * The outputs of all combinations, and the table's path.
 * @throws ModalscopeError when the notebook is standard input, or two runs would write the same file.
 */
export function gridPaths({ input, output, combinations, summary }: GridPlanOptions): {
  paths: string[];
  summary: string;
} {
  if (input === "-") {
    throw new ModalscopeError(
      "A grid cannot run a notebook from standard input.",
      "Each of its runs reads the notebook.",
      "Name a file.",
    );
  }
  const paths = outputPaths(output, input, combinations);
  return { paths, summary: summary ?? joinPath(commonFolder(paths), "summary.csv") };
}

/** Checks a combination, and whether it is done. */
export async function planRow(
  options: GridPlanOptions,
  notebook: Notebook,
  { parameters, output }: Pick<GridRow, "parameters" | "output">,
): Promise<GridRow> {
  const resume = options.force !== true;
  const run = { ...commonOptionsOf(options), input: options.input, parameters, output, resume };
  const earlier = await finishedRun(run, notebook);
  if (earlier === undefined) return { parameters, output, status: "not run", reused: false };
  const seconds = recordOf(earlier)?.duration ?? undefined;
  return { parameters, output, status: "completed", reused: true, seconds };
}
