import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { makeFolder } from "../../folder.js";
import { parseReadable } from "../../notebook/index.js";
import { callback, checkOptions, type OptionChecks } from "../../options.js";
import { replaceFile } from "../../replace-file.js";
import type { NamedNotebook } from "./page.js";

export interface ReportOptions {
  /** Called for each file that is not a notebook, with the reason. */
  readonly onProblem?: (problem: string) => void;
}

const REPORT_OPTIONS: OptionChecks<ReportOptions> = { onProblem: callback };

/**
 * Writes one page, `index.html`, with everything that executed notebooks show: interactive figures, tables,
 * text, formulas, folded code, and how each run went. It opens from disk without a network.
 *
 * @param notebookPaths .ipynb files, in the order of the page
 * A file that is not a notebook, and a cell or an output that cannot be shown, has the reason in its place.
 *
 * @returns the page's path
 * @throws when a file cannot be read
 */
export async function writeReport(
  notebookPaths: readonly string[],
  outDir: string,
  options: ReportOptions = {},
): Promise<string> {
  checkOptions("writeReport", options, REPORT_OPTIONS);
  const { onProblem = () => {} } = options;
  if (notebookPaths.length === 0)
    throw new ModalscopeError(
      "A report needs notebooks,",
      "but none were given.",
      "Pass the paths of executed ones.",
    );
  const notebooks = await Promise.all(
    notebookPaths.map(async (path) => namedNotebook(await readFile(path, "utf8"), path)),
  );
  // Loaded only here: formulas and coloured code are for pages, and whoever imports the library would wait for them.
  const { reportPage } = await import("./page.js");
  makeFolder(outDir);
  const path = join(outDir, "index.html");
  replaceFile(path, [reportPage(notebooks)]);
  for (const file of notebooks) if ("problem" in file) onProblem(file.problem);
  return path;
}

function namedNotebook(text: string, path: string): NamedNotebook {
  const name = basename(path);
  try {
    return { name, notebook: parseReadable(text, path) };
  } catch (error) {
    if (!(error instanceof ModalscopeError)) throw error;
    return { name, problem: error.message };
  }
}
