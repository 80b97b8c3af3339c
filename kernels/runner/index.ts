import { dirname, resolve } from "node:path";
import { ModalscopeError } from "../../lib/errors.js";
import type { ErrorContent, Output } from "../typescript/messages.js";
import { packageVersion } from "../typescript/package-root.js";
import { cellNames } from "./cell-name.js";
import { ownKernel, type RunnerKernel } from "./kernel.js";
import { findKernelspec } from "./kernelspec.js";
import {
  type Cell,
  hasTag,
  joined,
  type Kernelspec,
  type Notebook,
  prepareOutput,
  readNotebook,
  saveNotebook,
} from "./notebook.js";
import { outputKeeper } from "./outputs.js";
import { addBanner, end, endCell, startCell, startRecord } from "./papermill.js";
import { injectParameters, type Parameters } from "./parameters.js";

export type { ErrorContent, MimeBundle, Output } from "../typescript/messages.js";
export type { CellResult, RunnerKernel } from "./kernel.js";
export type { Cell, CellMetadata, CellOutput, Kernelspec, Notebook } from "./notebook.js";
export {
  type DeclaredParameter,
  notebookParameters,
  type Parameters,
  type ParameterValue,
} from "./parameters.js";
export { readNotebook };

export interface RunOptions {
  /** A notebook's path, or `-` for standard input. */
  input: string;
  /** Where the executed notebook goes; `-` is standard output, written once at the end. */
  output: string;
  parameters?: Parameters;
  /** The working folder of the cells; the notebook's own folder when left out. */
  cwd?: string;
  /** Overrides the kernel that the notebook names. */
  kernel?: string;
  /** Injects the parameters and saves, without running. */
  prepareOnly?: boolean;
  /** Stops the run: the running cell is interrupted, and what there is gets saved. */
  signal?: AbortSignal;
  onEvent?: (event: RunEvent) => void;
}

export type RunEvent =
  | { type: "start"; notebook: Notebook; cells: number }
  /** `index` counts code cells from 0. */
  | { type: "cell-start"; cell: Cell; index: number; cells: number; name: string }
  | { type: "output"; cell: Cell; output: Output }
  | { type: "cell-end"; cell: Cell; index: number; seconds: number; error?: ErrorContent };

export type RunStatus = "completed" | "failed" | "died" | "interrupted";

export interface RunResult {
  status: RunStatus;
  notebook: Notebook;
  output: string;
  /** What ended the run, when it was not completed. */
  error?: ErrorContent;
  /** The cell that failed. */
  failed?: Cell;
  seconds: number;
}

/** How often a long cell's outputs so far are saved. */
const saveEveryMs = 3000;

/**
 * Runs a notebook without a client, in papermill's manner, and saves it after each cell.
 *
 * A cell that fails ends the run and does not make this reject; the result says so.
 * @throws ModalscopeError for what makes a run impossible: no notebook, an unknown parameter, no place to write.
 */
export async function runNotebook(options: RunOptions): Promise<RunResult> {
  const notebook = readNotebook(options.input);
  const parameters = options.parameters ?? {};
  const { input, output } = options;
  injectParameters(notebook, parameters);
  prepareOutput(output);
  const folder = input === "-" ? process.cwd() : dirname(resolve(input));
  const record = startRecord(notebook, {
    input_path: input,
    output_path: output,
    parameters: jsonParameters(parameters),
    default_parameters: {},
    environment_variables: {},
    version: `modalscope ${packageVersion()}`,
  });
  const begun = performance.now();
  const finish = (status: RunStatus, stop?: Stop): RunResult => {
    end(record, status !== "completed");
    if (stop !== undefined) addBanner(notebook, stop.cell);
    saveNotebook(notebook, output);
    const seconds = (performance.now() - begun) / 1000;
    return { status, notebook, output, error: stop?.error, failed: stop?.cell, seconds };
  };
  if (options.prepareOnly) {
    delete notebook.metadata.papermill;
    for (const cell of notebook.cells) delete cell.metadata.papermill;
    saveNotebook(notebook, output);
    return { status: "completed", notebook, output, seconds: 0 };
  }
  const kernel = await startKernel(notebook, options.kernel, { folder, cwd: options.cwd ?? folder });
  try {
    notebook.metadata.language_info = kernel.languageInfo;
    saveUnlessStdout(notebook, output);
    const stop = await runCells(notebook, kernel, options);
    return finish(stop?.status ?? "completed", stop);
  } finally {
    await kernel.close();
  }
}

interface Stop {
  status: RunStatus;
  cell: Cell;
  error: ErrorContent;
}

async function runCells(
  notebook: Notebook,
  kernel: RunnerKernel,
  options: RunOptions,
): Promise<Stop | undefined> {
  const { signal, onEvent } = options;
  const names = cellNames(notebook.cells);
  const total = notebook.cells.filter((cell) => cell.cell_type === "code").length;
  let index = -1;
  const keeper = outputKeeper(notebook);
  const save = (): void => saveUnlessStdout(notebook, options.output);
  const interrupt = (): void => kernel.interrupt();
  signal?.addEventListener("abort", interrupt);
  const timer = setInterval(save, saveEveryMs);
  try {
    onEvent?.({ type: "start", notebook, cells: total });
    for (const [place, cell] of notebook.cells.entries()) {
      if (cell.cell_type === "code") index++;
      if (signal?.aborted) return { status: "interrupted", cell, error: stoppedBetweenCells };
      if (hasTag(cell, "skip-execution")) continue;
      startCell(cell);
      if (cell.cell_type !== "code") {
        endCell(cell, false);
        continue;
      }
      onEvent?.({ type: "cell-start", cell, index, cells: total, name: names[place] });
      const begun = performance.now();
      const { executionCount, error, died } = await kernel.execute(joined(cell.source), (output) => {
        keeper.add(cell, output);
        onEvent?.({ type: "output", cell, output });
      });
      cell.execution_count = executionCount;
      if (error !== undefined) keeper.add(cell, { type: "error", content: error });
      endCell(cell, error !== undefined);
      save();
      onEvent?.({ type: "cell-end", cell, index, seconds: (performance.now() - begun) / 1000, error });
      if (error === undefined) continue;
      if (died) return { status: "died", cell, error };
      if (signal?.aborted) return { status: "interrupted", cell, error };
      if (!hasTag(cell, "raises-exception")) return { status: "failed", cell, error };
    }
    return undefined;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", interrupt);
  }
}

const stoppedBetweenCells: ErrorContent = {
  ename: "KeyboardInterrupt",
  evalue: "The run was interrupted before this cell.",
  traceback: ["KeyboardInterrupt: The run was interrupted before this cell."],
};

/** The kernels of TypeScript notebooks; all of them run on this package's. */
const ownKernels = new Set(["modalscope", "typescript", "tslab"]);

async function startKernel(
  notebook: Notebook,
  chosen: string | undefined,
  folders: { folder: string; cwd: string },
): Promise<RunnerKernel> {
  const spec: Kernelspec | undefined = notebook.metadata.kernelspec;
  const name = chosen ?? spec?.name;
  if (name === undefined) {
    throw new ModalscopeError(
      "The notebook does not say which kernel runs it.",
      "Its metadata has no kernelspec.",
      "Choose one with --kernel modalscope.",
    );
  }
  if (ownKernels.has(name) || (chosen === undefined && spec?.language === "typescript"))
    return ownKernel(folders);
  const found = findKernelspec(name);
  // Loaded only here: it brings ZeroMQ with it, which this package's own kernel does not need.
  const { startJupyterKernel } = await import("./jupyter-kernel.js");
  return startJupyterKernel(found, { cwd: folders.cwd });
}

function saveUnlessStdout(notebook: Notebook, output: string): void {
  if (output !== "-") saveNotebook(notebook, output);
}

/** JSON has no big whole numbers; the record of the run holds them as text. */
function jsonParameters(parameters: Parameters): Parameters {
  return JSON.parse(
    JSON.stringify(parameters, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
  ) as Parameters;
}
