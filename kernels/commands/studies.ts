import { type Dirent, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Command } from "commander";
import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import { describeFileError } from "../../lib/file-errors.js";
import { makeFolder } from "../../lib/folder.js";
import { readNotebook } from "../../lib/notebook/index.js";
import { packageRoot } from "../../lib/package-root.js";
import { exitCodes } from "../runner/exit-codes.js";
import { Forecast } from "../runner/grid/forecast.js";
import { layOut, type PlannedRun, runSideBySide, type SideBySideEvent } from "../runner/grid/side-by-side.js";
import { notebookParameters } from "../runner/parameters/inject.js";
import { about, gridReporter, listFailed } from "./grid-progress.js";
import { makeReport } from "./report.js";
import { untilSignal } from "./run.js";
import { addSideBySideOptions, noProgressBar, type SideBySideFlags } from "./run-flags.js";
import { type KnownTime, knownTimes, saveTimes } from "./study-times.js";

interface StudiesFlags extends SideBySideFlags {
  output: string;
  notebooks: string;
  saveTimes?: boolean;
}

const moreHelp = `
Each notebook runs in a process and on cores of its own, so it gives the same numbers beside others as alone. Those that
took longest go first. How long all will take is said from the last completed run in the output folder, cell by cell;
where there is none, from times.json beside the notebooks, which --save-times writes.

Exit codes: 0 all completed; 1 one was not, the report is made of the others; 2 wrong usage; 130 interrupted.`;

export function studiesCommand(): Command {
  const command = new Command("studies")
    .description("Runs the studies' notebooks on the embedded checkpoints and makes a report of them.")
    .argument("[names...]", "prefixes of notebooks to run, such as 03 (default: all)")
    .option("-o, --output <folder>", "folder of the executed notebooks and the report", "out")
    .option("--notebooks <folder>", "folder of the notebooks", join(packageRoot(), "notebooks"))
    .option("--save-times", "keep what each cell took in times.json beside the notebooks")
    .option(...noProgressBar);
  return addSideBySideOptions(command)
    .addHelpText("after", moreHelp)
    .action(async (names: string[], flags: StudiesFlags) => {
      process.exitCode = await untilSignal(async (signal) =>
        runStudies(await withModels(findNotebooks(flags.notebooks, names)), flags, signal),
      );
    });
}

function findNotebooks(folder: string, names: readonly string[]): string[] {
  const all = entriesOf(folder)
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ipynb"))
    .map((entry) => entry.name)
    .sort();
  if (all.length === 0) throw new ModalscopeError(`There are no notebooks in ${folder}.`);
  for (const name of names) {
    if (all.some((file) => file.startsWith(name))) continue;
    throw new ModalscopeError(
      `No notebook's name begins with "${name}".`,
      `There are ${all.join(", ")}.`,
      didYouMean(name, all),
    );
  }
  const chosen = names.length === 0 ? all : all.filter((file) => names.some((name) => file.startsWith(name)));
  return chosen.map((file) => join(folder, file));
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw new ModalscopeError(`Cannot read ${folder}.`, describeFileError(error), "", { cause: error });
  }
}

/** Notebooks whose checkpoint is in the package; reports those that are left out. */
async function withModels(inputs: readonly string[]): Promise<string[]> {
  const models = inputs.map((input) => {
    const parameter = notebookParameters(readNotebook(input)).find(({ name }) => name === "model");
    return parameter?.initialiser?.replace(/^"(.*)"$/, "$1");
  });
  // The engine is loaded where it is needed.
  if (models.every((model) => model === undefined)) return [...inputs];
  const { embeddedModels } = await import("../../lib/model/load.js");
  const embedded = embeddedModels();
  return inputs.filter((input, i) => {
    const wanted = models[i];
    if (wanted === undefined || embedded.includes(wanted)) return true;
    process.stderr.write(
      `${basename(input)} is left out: its checkpoint "${wanted}" is not in this package. ` +
        `Run it with another: modalscope run ${input} OUT.ipynb -p model FOLDER\n`,
    );
    return false;
  });
}

/** Runs them side by side, all of them even when one fails; gives the exit code. */
async function runStudies(
  inputs: readonly string[],
  flags: StudiesFlags,
  signal: AbortSignal,
): Promise<number> {
  if (inputs.length === 0) throw new ModalscopeError("None of these studies has its checkpoint here.");
  const folder = resolve(flags.output);
  const { maxCores, coresPerRun, maxMemory } = flags;
  const limits = { maxCores, coresPerRun, maxMemory };
  const { slots } = layOut(limits);
  makeFolder(folder);
  const times = await knownTimes(inputs, folder, flags.notebooks);
  const runs = longestFirst(
    inputs.map((input, index) => plannedRun(input, index, folder)),
    times,
  );

  const forecast = new Forecast(
    runs.map(({ index }) => times[index]?.run),
    slots,
  );
  const order = new Map(runs.map(({ index }, place) => [index, place]));
  const follow = (event: SideBySideEvent): void => {
    const place = order.get(event.index) as number;
    if (event.type === "run-start") forecast.runStarted(place);
    else if (event.type === "cell-start") forecast.cellStarted(place, event.cell);
    else if (event.type === "run-end") forecast.runEnded(place, event.row.status === "completed");
  };

  if (flags.progressBar) process.stderr.write(`${outlook(runs, times, { slots, left: forecast.left() })}\n`);
  const report = flags.progressBar ? gridReporter({ left: () => forecast.left() }) : undefined;
  try {
    await runSideBySide({
      planned: runs,
      runs: runs.length,
      ...limits,
      signal,
      onEvent(event) {
        follow(event);
        report?.onEvent(event);
      },
    });
  } finally {
    report?.end();
  }
  return finish(
    [...runs].sort((a, b) => a.index - b.index),
    { ...flags, output: folder },
    signal,
  );
}

function plannedRun(input: string, index: number, folder: string): PlannedRun {
  const output = join(folder, basename(input));
  return {
    index,
    name: basename(input, ".ipynb"),
    row: { parameters: {}, output, status: "not run", reused: false },
    options: { input, output },
  };
}

/** Those whose time is not known go before the others: they may be the longest. */
function longestFirst(runs: readonly PlannedRun[], times: readonly (KnownTime | undefined)[]): PlannedRun[] {
  const seconds = ({ index }: PlannedRun): number => times[index]?.run.seconds ?? Number.POSITIVE_INFINITY;
  return [...runs].sort((a, b) => (seconds(a) === seconds(b) ? a.index - b.index : seconds(b) - seconds(a)));
}

/** How many run at a time, how long that will take, and by what. */
function outlook(
  runs: readonly PlannedRun[],
  times: readonly (KnownTime | undefined)[],
  { slots, left }: { slots: number; left: number | undefined },
): string {
  const start = `${runs.length} notebooks, ${Math.min(slots, runs.length)} at a time`;
  const unknown = runs.filter(({ index }) => times[index] === undefined).map(({ name }) => name);
  if (left === undefined)
    return `${start}. How long it takes is not known: no earlier run of ${unknown.join(", ")}.`;
  const sources = new Set(runs.map(({ index }) => times[index]?.source));
  return `${start}: ${about(left)}, by ${[...sources].join(" and ")}.`;
}

/** Says what was not completed, makes the report of what was; gives the exit code. */
async function finish(
  runs: readonly PlannedRun[],
  flags: StudiesFlags,
  signal: AbortSignal,
): Promise<number> {
  const rows = runs.map(({ row }) => row);
  const completed = rows.filter(({ status }) => status === "completed").map(({ output }) => output);
  listFailed(rows);
  if (flags.saveTimes) saveTimes(flags.notebooks, completed);
  if (signal.aborted) return exitCodes.interrupted;
  if (completed.length === 0) return exitCodes.failed;
  process.stdout.write(`${await makeReport(completed, flags.output)}\n`);
  return completed.length === rows.length ? exitCodes.completed : exitCodes.failed;
}
