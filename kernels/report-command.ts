import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { ModalscopeError } from "../lib/errors.js";
import { makeFolder } from "../lib/folder.js";
import { fileTrouble } from "./file-trouble.js";

export function reportCommand(): Command {
  return new Command("report")
    .description("Makes one HTML page of executed notebooks.")
    .argument("<notebooks...>", "executed notebooks")
    .requiredOption("-o, --output <folder>", "where the report goes")
    .action(async (notebooks: string[], { output }: { output: string }) => {
      for (const notebook of notebooks) {
        attempt(`Cannot read ${notebook}.`, () => readFileSync(notebook));
      }
      process.stdout.write(`${await makeReport(notebooks, output)}\n`);
    });
}

/** Writes the report and gives the path of its page. Loaded only here: it brings plotly with it. */
export async function makeReport(notebooks: readonly string[], folder: string): Promise<string> {
  const { writeReport } = await import("../lib/plot/report/write.js");
  attempt(`Cannot write to ${folder}.`, () => makeFolder(folder));
  return writeReport(notebooks, resolve(folder));
}

function attempt(what: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    throw new ModalscopeError(what, fileTrouble(error), "", { cause: error });
  }
}
