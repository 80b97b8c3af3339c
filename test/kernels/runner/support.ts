/** Notebooks made on the spot, the command as a user calls it, and a stand-in for a Jupyter kernel. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Cell, CellOutput, MimeBundle, Notebook } from "../../../kernels/runner/index.js";

export const fixtures: string = fileURLToPath(new URL("../../../../test/kernels/fixtures/", import.meta.url));
const cli = fileURLToPath(new URL("../../../kernels/cli.js", import.meta.url));

type CellText = string | { source: string; tags?: string[]; type?: Cell["cell_type"] };

/** A notebook of these cells; code, where nothing else is said. */
export function notebookOf(cells: readonly CellText[], kernel = "modalscope"): Notebook {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: { kernelspec: { name: kernel, display_name: kernel } },
    cells: cells.map((cell, i): Cell => {
      const { source, tags, type = "code" } = typeof cell === "string" ? { source: cell } : cell;
      const metadata = tags === undefined ? {} : { tags };
      const common = { id: `cell-${i}`, cell_type: type, metadata, source };
      return type === "code" ? { ...common, outputs: [], execution_count: null } : common;
    }),
  };
}

/** Writes such a notebook and gives its path. */
export function writeNotebook(path: string, cells: readonly CellText[], kernel?: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(notebookOf(cells, kernel)));
  return path;
}

export function load(path: string): Notebook {
  return JSON.parse(readFileSync(path, "utf8")) as Notebook;
}

export function textOf(cell: Cell): string {
  return (cell.outputs ?? []).map(streamText).join("");
}

function streamText(output: CellOutput): string {
  return output.output_type === "stream" ? [output.text].flat().join("") : "";
}

/** The name of an output that is an error. */
export function errorName(output: CellOutput | undefined): string | undefined {
  return output?.output_type === "error" ? output.ename : undefined;
}

/** An output's contents, by MIME type. */
export function dataOf(output: CellOutput | undefined): MimeBundle | undefined {
  return output !== undefined && "data" in output ? output.data : undefined;
}

/** Status in each cell's record; undefined for a banner. */
export function statuses(notebook: Notebook): unknown[] {
  return notebook.cells.map((cell) => cell.metadata.papermill?.status);
}

export function tagged(notebook: Notebook, tag: string): Cell[] {
  return notebook.cells.filter((cell) => cell.metadata.tags?.includes(tag));
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  stdout: string;
}

export interface CommandOptions {
  cwd: string;
  env?: NodeJS.ProcessEnv;
  /** Standard input; empty when left out. */
  input?: string;
  /** Flags for Node itself. */
  node?: string[];
  onStart?: (child: ChildProcess) => void;
}

/** Runs the command to its end. */
export function command(args: readonly string[], options: CommandOptions): Promise<Ended> {
  const { cwd, env, input, node = [], onStart } = options;
  const child = spawn(process.execPath, [...node, cli, ...args], { cwd, env: { ...process.env, ...env } });
  let stderr = "";
  let stdout = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stdin.end(input ?? "");
  onStart?.(child);
  return new Promise((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, stderr, stdout })),
  );
}

/** Waits until a file holds the text. */
export async function saved(path: string, wanted: string): Promise<void> {
  while (!existsSync(path) || !readFileSync(path, "utf8").includes(wanted)) await delay(50);
}

const stubMain = fileURLToPath(new URL("./stub-kernel.js", import.meta.url));

/**
 * Installs the stand-in kernel (stub-kernel.ts) under a name and gives the environment in which it is found.
 * @param mode how it behaves at its start: "mute" never answers, "broken" ends at once
 */
export function installStub(folder: string, name = "stub", mode = ""): NodeJS.ProcessEnv {
  const spec = join(folder, "jupyter", "kernels", name);
  mkdirSync(spec, { recursive: true });
  writeFileSync(
    join(spec, "kernel.json"),
    JSON.stringify({
      argv: [process.execPath, stubMain, "{connection_file}", mode],
      display_name: `Stub ${mode}`,
      // Its assignments are written as Python's.
      language: "python",
    }),
  );
  return { JUPYTER_PATH: join(folder, "jupyter") };
}
