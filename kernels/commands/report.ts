import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { ModalscopeError } from "../../lib/errors.js";
import { describeFileError } from "../../lib/file-errors.js";
import type { ReportOptions } from "../../lib/plot/index.js";
import { isRemote, joinPath, localCopy, shownPath, upload } from "../../lib/storage/index.js";

export function reportCommand(): Command {
  return new Command("report")
    .description("Writes executed notebooks as one HTML page, which opens from disk and needs no network.")
    .argument("<notebooks...>", "executed notebooks, in the order of the page")
    .requiredOption("-o, --output <folder>", "folder of the page, index.html; created if missing")
    .addHelpText("after", "\nExample:\n  modalscope report out/*.ipynb -o report")
    .action(async (notebooks: string[], { output }: { output: string }) => {
      const paths = await Promise.all(notebooks.map((path) => localCopy(path)));
      for (const notebook of paths) {
        try {
          readFileSync(notebook);
        } catch (error) {
          throw new ModalscopeError(`Cannot read ${notebook}.`, describeFileError(error), "", {
            cause: error,
          });
        }
      }
      const onProblem = (problem: string): void => {
        process.stderr.write(`${problem}\n`);
        process.exitCode = 1;
      };
      process.stdout.write(
        `${await reportTo(output, (folder) => makeReport(paths, folder, { onProblem }))}\n`,
      );
    });
}

/** The page's path or URL; one that lies elsewhere is made here first. */
async function reportTo(output: string, make: (folder: string) => Promise<string>): Promise<string> {
  if (!isRemote(output)) return make(output);
  const folder = mkdtempSync(join(tmpdir(), "modalscope-report-"));
  try {
    const [page, url] = [await make(folder), joinPath(output, "index.html")];
    await upload(page, url);
    return shownPath(url);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes the report and gives the path of its page. Loaded only here: it brings plotly with it. */
export async function makeReport(
  notebooks: readonly string[],
  folder: string,
  options: ReportOptions = {},
): Promise<string> {
  const { writeReport } = await import("../../lib/plot/index.js");
  try {
    return await writeReport(notebooks, resolve(folder), options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new ModalscopeError(`Cannot write to ${folder}.`, describeFileError(error), "", { cause: error });
  }
}
