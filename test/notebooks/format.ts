/** `npm run format` for the notebooks: the code of their cells, as Biome formats the rest of the project. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readNotebook } from "../../kernels/runner/index.js";
import { joined, notebookText } from "../../lib/notebook/index.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The code of cells as Biome formats it, without line ends after it, as notebooks have it. */
export function formatted(codes: readonly string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), "modalscope-format-"));
  try {
    const files = codes.map((_, i) => join(folder, `cell-${i}.ts`));
    for (const [i, file] of files.entries()) writeFileSync(file, codes[i]);
    const biome = join(root, "node_modules/@biomejs/biome/bin/biome");
    const flags = ["--write", `--config-path=${root}`, "--vcs-enabled=false"];
    const { stderr, status } = spawnSync(process.execPath, [biome, "format", ...flags, "."], {
      cwd: folder,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`Biome cannot format the cells.\n${stderr}`);
    return files.map((file) => readFileSync(file, "utf8").trimEnd());
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function main(): void {
  const folder = join(root, "notebooks");
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".ipynb"))) {
    const path = join(folder, name);
    const notebook = readNotebook(path);
    const code = notebook.cells.filter((cell) => cell.cell_type === "code");
    const tidy = formatted(code.map((cell) => joined(cell.source)));
    for (const [i, cell] of code.entries()) cell.source = tidy[i];
    writeFileSync(path, notebookText(notebook));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
