/** A grid's table from the notebooks that are there; nothing is run. */
import { ModalscopeError } from "../../../lib/errors.js";
import type { Notebook } from "../../../lib/notebook/index.js";
import { checkOptions } from "../../../lib/options.js";
import { openNotebook, openNotebookIfThere } from "../notebook/open.js";
import { recordOf } from "../notebook/record.js";
import { GRID_PLAN_OPTIONS, type GridPlan, type GridPlanOptions, gridPaths, planRow } from "./plan.js";
import { gridErrorOf } from "./start.js";
import type { GridRow } from "./summary.js";
import { writeTable } from "./table-file.js";

/**
 * Reads how far each combination came, by the record in its notebook, and writes the table.
 * @throws ModalscopeError when any combination could not be run.
 */
export async function gatherGrid(options: GridPlanOptions): Promise<GridPlan> {
  checkOptions("gatherGrid", options, GRID_PLAN_OPTIONS);
  const plan = await readGridState(options);
  await writeTable(plan.summary, plan.rows);
  return plan;
}

/** The same without writing the table. */
export async function readGridState(options: GridPlanOptions): Promise<GridPlan> {
  const { paths, summary } = gridPaths(options);
  const rows: GridRow[] = [];
  const notebook = await openNotebook(options.input);
  for (const [i, parameters] of options.combinations.entries())
    rows.push(await stateOf(options, notebook, { parameters, output: paths[i] }));
  return { rows, summary };
}

async function stateOf(
  options: GridPlanOptions,
  source: Notebook,
  run: Pick<GridRow, "parameters" | "output">,
): Promise<GridRow> {
  const row = await planRow({ ...options, force: false }, source, run);
  if (row.reused) return row;
  const notebook = await openNotebookIfThere(run.output);
  const record = notebook && recordOf(notebook);
  if (record?.status === undefined) return row;
  const { status, error, duration } = record;
  if (status === "completed") {
    const message = "The notebook or its parameters have changed since it was run.";
    return { ...row, error: { message } };
  }
  const cell = notebook?.cells.find(({ id }) => id === error?.cell_id);
  return {
    ...row,
    status,
    seconds: duration ?? undefined,
    error: gridErrorOf(error === undefined ? undefined : { ...error, traceback: [] }, cell),
  };
}

/** Variables that say which task of an array a process is, and the number of an array's first task. */
const taskVariables: readonly [name: string, first: number][] = [
  ["SLURM_ARRAY_TASK_ID", 0],
  ["JOB_COMPLETION_INDEX", 0],
  ["PBS_ARRAY_INDEX", 0],
  ["AWS_BATCH_JOB_ARRAY_INDEX", 0],
  ["CLOUD_RUN_TASK_INDEX", 0],
  // These count from 1: their systems know no task 0.
  ["SGE_TASK_ID", 1],
  ["LSB_JOBINDEX", 1],
];

/**
 * The index of a combination, from 0.
 * @param text a number, or "auto" for the one that the batch system gives this process
 * @throws ModalscopeError when there is none, or it is not below `runs`.
 */
export function combinationIndex(
  text: string,
  runs: number,
  env: Readonly<Record<string, string | undefined>> = process.env,
): number {
  const [from, index] =
    text === "auto" ? indexOfTask(env) : ["--only", /^\d+$/.test(text) ? Number(text) : -1];
  if (!Number.isSafeInteger(index) || index < 0 || index >= runs) {
    throw new ModalscopeError(
      `The grid has no combination ${text === "auto" ? `${index} (${from})` : text}.`,
      `It has ${runs}, which count from 0.`,
      "See them with --list.",
    );
  }
  return index;
}

function indexOfTask(env: Readonly<Record<string, string | undefined>>): [name: string, index: number] {
  for (const [name, first] of taskVariables) {
    const value = env[name];
    // Grid Engine sets "undefined" outside of an array, LSF 0.
    if (value !== undefined && /^\d+$/.test(value) && Number(value) >= first)
      return [name, Number(value) - first];
  }
  throw new ModalscopeError(
    "This process is not a task of an array.",
    `None of ${taskVariables.map(([name]) => name).join(", ")} is set.`,
    "Give the combination's number: --only 0.",
  );
}
