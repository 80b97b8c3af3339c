import { readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { makeFolder } from "../../folder.js";
import { parseNotebook } from "./notebook.js";

/**
 * Writes one page, `index.html`, with everything that executed notebooks show: interactive figures, tables,
 * text, formulas, folded code, and how each run went. It opens from disk without a network.
 *
 * @param notebookPaths .ipynb files, in the order of the page
 * @returns the page's path
 * @throws when a file cannot be read or is not a notebook
 */
export async function writeReport(notebookPaths: readonly string[], outDir: string): Promise<string> {
  if (notebookPaths.length === 0)
    throw new ModalscopeError(
      "A report needs notebooks,",
      "but none were given.",
      "Pass the paths of executed ones.",
    );
  const notebooks = await Promise.all(
    notebookPaths.map(async (path) => ({
      name: basename(path),
      notebook: parseNotebook(await readFile(path, "utf8"), path),
    })),
  );
  // Loaded only here: formulas and coloured code are for pages, and whoever imports the library would wait for them.
  const { reportPage } = await import("./page.js");
  makeFolder(outDir);
  const path = join(outDir, "index.html");
  // A reader never finds half a page.
  await writeFile(`${path}.part`, reportPage(notebooks));
  await rename(`${path}.part`, path);
  return path;
}
