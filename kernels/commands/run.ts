import { closeSync, openSync } from "node:fs";
import { Command } from "commander";
import { ModalscopeError } from "../../lib/errors.js";
import { describeFileError } from "../../lib/file-errors.js";
import { writeAll } from "../../lib/pipe.js";
import { shownPath } from "../../lib/storage/index.js";
import type { OnEvent } from "../runner/events.js";
import { exitCodes } from "../runner/exit-codes.js";
import { openNotebook } from "../runner/notebook/open.js";
import type { Parameters } from "../runner/parameters/values.js";
import { fillPath } from "../runner/path-template.js";
import { type CommonRunOptions, commonOptionsOf, type RunResult, runNotebook } from "../runner/run.js";
import { addRunOptions, givenParameters, type RunFlags } from "./run-flags.js";
import { progressReporter } from "./run-progress.js";

export { joinPairs } from "./run-flags.js";

const moreHelp = `
Paths may hold {name} for a parameter, {name[key]} for a part of it, {pm[run_uuid]} and {pm[current_datetime_utc]}.
Cells tagged skip-execution are not run; those tagged raises-exception may fail. With --resume, a completed cell
tagged cached is not run again.

The notebook, its output, parameter files and grids may also lie at s3://… and https://….

Exit codes: 0 completed, or ended by sys.exit(0); 1 a cell failed, a time limit was reached, or the run was not
possible; 2 wrong usage; 130 interrupted; 138 the kernel died.

Examples:
  modalscope run in.ipynb out.ipynb -p layers 4 -y '{sizes: [1, 2]}'
  modalscope run in.ipynb - | jq .metadata.papermill.status
  modalscope run in.ipynb runs/ --grid params.yaml --max-cores 4 --max-memory 16GB
  modalscope run in.ipynb runs/ --grid params.yaml --engine slurm --time 2:00:00 --mem 8GB`;

export function runCommand(): Command {
  const command = new Command("run")
    .description("Runs a notebook without a client, in papermill's manner.")
    .argument("<input>", "the notebook, or - for standard input")
    .argument("[output]", "where the executed notebook goes, or - for standard output");
  return addRunOptions(command)
    .addHelpText("after", moreHelp)
    .action(async (input: string, output: string | undefined, flags: RunFlags) => {
      if (flags.helpNotebook || flags.inspect)
        return describe(fillPath(input, await givenParameters(flags)), flags);
      if (output === undefined)
        return command.error("error: missing required argument 'output'", { exitCode: 2 });
      // From the start: whatever is read before the first run can take its time.
      process.exitCode = await untilSignal(async (signal) => {
        const asked = { input, output, parameters: await givenParameters(flags), flags, signal };
        return flags.grid === undefined ? runOne(asked) : runMany(asked);
      });
    });
}

/** A call of the command, whose paths may have names of parameters to fill. */
interface Asked {
  input: string;
  output: string;
  parameters: Parameters;
  flags: RunFlags;
  signal: AbortSignal;
}

/** Says what parameters a notebook takes. */
async function describe(path: string, flags: RunFlags): Promise<void> {
  const notebook = await openNotebook(path);
  // Loaded only here: it brings a compiler with it.
  const { inspectNotebook, parametersHelp } = await import("../runner/parameters/help.js");
  writeAll(
    1,
    flags.inspect
      ? `${JSON.stringify(inspectNotebook(notebook), null, 2)}\n`
      : parametersHelp(notebook, shownPath(path)),
  );
}

async function runOne(asked: Asked): Promise<number> {
  const { input, output, parameters } = asked;
  return runFilled({ ...asked, input: fillPath(input, parameters), output: fillPath(output, parameters) });
}

/** Runs one notebook whose paths have no names left to fill. */
async function runFilled({ input, output, parameters, flags, signal }: Asked): Promise<number> {
  const files = streamFiles(flags);
  const report = progressReporter({ cells: flags.progressBar, outputs: flags.logOutput ?? false });
  try {
    const result = await runNotebook({
      ...runOptions(flags),
      input,
      output,
      parameters,
      resume: flags.resume,
      signal,
      onEvent(event) {
        report(event);
        files.onEvent(event);
      },
    });
    if (flags.resume && result.status === "completed" && result.seconds === 0) {
      process.stderr.write(`${shownPath(result.output)} is completed; there is nothing to resume.\n`);
    }
    explain(result);
    return exitCodes[result.status];
  } finally {
    files.close();
  }
}

async function runMany(asked: Asked): Promise<number> {
  const { flags, signal } = asked;
  const mixes = flags.stdoutFile !== undefined || flags.stderrFile !== undefined || flags.logOutput;
  if (mixes && flags.only === undefined) {
    throw new ModalscopeError(
      "--log-output, --stdout-file and --stderr-file are for one run.",
      "The runs of a grid would mix in them.",
      "Each run's notebook has the cells' output.",
    );
  }
  const { gridCommand, listGrid, oneOfGrid } = await import("./run-grid.js");
  const grid = { ...asked, options: runOptions(flags) };
  if (flags.list) return listGrid(grid);
  if (flags.only === undefined) return gridCommand(grid);
  const one = await oneOfGrid(grid, flags.only);
  return runFilled({ ...one, flags: { ...flags, resume: !flags.force }, signal });
}

function runOptions(flags: RunFlags): CommonRunOptions {
  return commonOptionsOf({ ...flags, autosaveEvery: flags.autosaveCellEvery });
}

/** Files that receive the cells' stdout and stderr. */
function streamFiles({ stdoutFile, stderrFile }: RunFlags): { onEvent: OnEvent; close(): void } {
  const open = (path: string | undefined): number | undefined => {
    try {
      return path === undefined ? undefined : openSync(path, "w");
    } catch (error) {
      throw new ModalscopeError(`Cannot write ${path}.`, describeFileError(error), "", {
        cause: error,
      });
    }
  };
  const files = { stdout: open(stdoutFile), stderr: open(stderrFile) };
  return {
    onEvent(event) {
      if (event.type !== "output" || event.output.type !== "stream") return;
      const { name, text } = event.output.content;
      const file = files[name];
      if (file !== undefined) writeAll(file, text);
    },
    close() {
      for (const file of Object.values(files)) if (file !== undefined) closeSync(file);
    },
  };
}

const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs `work` with a signal that Ctrl-C aborts; a second Ctrl-C exits at once. */
export async function untilSignal<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted);
    process.stderr.write("\nStopping after saving. Press again to stop at once.\n");
    stop.abort();
  };
  for (const name of stopSignals) process.on(name, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    for (const name of stopSignals) process.off(name, onSignal);
  }
}

/** Prints on stderr why a run was not completed. */
export function explain({ status, error, failed, output }: RunResult): void {
  if (status === "completed") return;
  const cell = failed?.execution_count == null ? "" : ` in [${failed.execution_count}]`;
  if (status === "exited") {
    process.stderr.write(`\nexited${cell}; the cells after it were not run.\n`);
    return;
  }
  process.stderr.write(`\n${status}${cell}: ${error?.ename}: ${forTerminal(error?.evalue ?? "")}\n`);
  for (const part of error?.traceback ?? []) process.stderr.write(`${forTerminal(part)}\n`);
  if (output !== "-") process.stderr.write(`The executed cells are in ${shownPath(output)}\n`);
}

const mostOnTerminal = 20_000;

/** The beginning and the end of a part of an error: what is kept of it is in the notebook. */
function forTerminal(part: string): string {
  const half = mostOnTerminal / 2;
  return part.length <= mostOnTerminal ? part : `${part.slice(0, half)}\n[…]\n${part.slice(-half)}`;
}
