import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command } from "commander";
import { ModalscopeError } from "../lib/errors.js";

export function reportCommand(): Command {
  return new Command("report")
    .description("Makes one HTML page of executed notebooks.")
    .argument("<notebooks...>", "executed notebooks")
    .requiredOption("-o, --output <folder>", "where the report goes")
    .action(async (notebooks: string[], { output }: { output: string }) => {
      for (const notebook of notebooks) {
        if (!existsSync(notebook))
          throw new ModalscopeError(`Cannot read ${notebook}.`, "There is no such file.");
      }
      process.stdout.write(`${await makeReport(notebooks, output)}\n`);
    });
}

/** Writes the report and gives the path of its page. Loaded only here: it brings plotly with it. */
export async function makeReport(notebooks: readonly string[], folder: string): Promise<string> {
  const { writeReport } = await import("../lib/plot/report/write.js");
  return writeReport(notebooks, resolve(folder));
}
