import { readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Command } from "commander";
import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import { readNotebook } from "../../lib/notebook/index.js";
import { packageRoot } from "../../lib/package-root.js";
import { exitCodes } from "../runner/exit-codes.js";
import { notebookParameters } from "../runner/parameters/inject.js";
import { runNotebook } from "../runner/run.js";
import { makeReport } from "./report.js";
import { explain, untilSignal } from "./run.js";
import { progressReporter, seconds } from "./run-progress.js";

export function studiesCommand(): Command {
  return new Command("studies")
    .description("Runs the studies' notebooks on the embedded checkpoints and makes a report of them.")
    .argument("[names...]", "prefixes of notebooks to run, such as 03 (default: all)")
    .option("-o, --output <folder>", "folder of the executed notebooks and the report", "out")
    .option("--notebooks <folder>", "folder of the notebooks", join(packageRoot(), "notebooks"))
    .action(async (names: string[], { output, notebooks }: { output: string; notebooks: string }) => {
      process.exitCode = await untilSignal(async (signal) =>
        runStudies(await withModels(findNotebooks(notebooks, names)), output, signal),
      );
    });
}

function findNotebooks(folder: string, names: readonly string[]): string[] {
  const all = readdirSync(folder, { withFileTypes: true })
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

/** Notebooks whose checkpoint is in the package; reports those that are left out. */
async function withModels(inputs: readonly string[]): Promise<string[]> {
  const { embeddedModels } = await import("../../lib/model/load.js");
  const embedded = embeddedModels();
  return inputs.filter((input) => {
    const parameter = notebookParameters(readNotebook(input)).find(({ name }) => name === "model");
    const wanted = parameter?.initialiser?.replace(/^"(.*)"$/, "$1");
    if (wanted === undefined || embedded.includes(wanted)) return true;
    process.stderr.write(
      `${basename(input)} is left out: its checkpoint "${wanted}" is not in this package. ` +
        `Run it with another: modalscope run ${input} OUT.ipynb -p model FOLDER\n`,
    );
    return false;
  });
}

/** Runs them one after the other, all of them even when one fails; gives the exit code. */
async function runStudies(inputs: readonly string[], folder: string, signal: AbortSignal): Promise<number> {
  if (inputs.length === 0) throw new ModalscopeError("None of these studies has its checkpoint here.");
  const outputs: string[] = [];
  const failed: string[] = [];
  for (const input of inputs) {
    const name = basename(input);
    const output = join(resolve(folder), name);
    process.stderr.write(`\n${name}\n`);
    const onEvent = progressReporter({ cells: true, outputs: false });
    const result = await runNotebook({ input, output, signal, onEvent });
    explain(result);
    process.stderr.write(`${name}: ${result.status}, ${seconds(result.seconds)}\n`);
    outputs.push(output);
    if (result.status !== "completed") failed.push(name);
    if (signal.aborted) return exitCodes.interrupted;
  }
  const report = await makeReport(outputs, folder);
  if (failed.length > 0) process.stderr.write(`\nNot completed: ${failed.join(", ")}\n`);
  process.stdout.write(`${report}\n`);
  return failed.length === 0 ? 0 : 1;
}
