/** `npm run format` for the notebooks: the code of their cells, as Biome formats the rest of the project. */
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readNotebook } from "../../kernels/runner/index.js";
import { joined, notebookText } from "../../lib/notebook/index.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** A cell's code as Biome formats it, without a line end after it, as notebooks have it. */
export function formatted(code: string): string {
  const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [biome, "format", "--stdin-file-path=cell.ts"],
    { cwd: root, input: code, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`Biome cannot format\n${code}\n${stderr}`);
  return stdout.trimEnd();
}

function main(): void {
  const folder = join(root, "notebooks");
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".ipynb"))) {
    const path = join(folder, name);
    const notebook = readNotebook(path);
    for (const cell of notebook.cells)
      if (cell.cell_type === "code") cell.source = formatted(joined(cell.source));
    writeFileSync(path, notebookText(notebook));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
