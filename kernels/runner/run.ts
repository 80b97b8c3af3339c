import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ModalscopeError } from "../../lib/errors.js";
import type { Cell, Notebook } from "../../lib/notebook/index.js";
import {
  abortSignal,
  callback,
  checkOptions,
  flag,
  number,
  type OptionChecks,
  record,
  required,
  text,
} from "../../lib/options.js";
import { packageVersion } from "../../lib/package-root.js";
import { isRemote, shownPath } from "../../lib/storage/index.js";
import type { ErrorContent } from "../protocol/index.js";
import { runCells, type Stop } from "./engine.js";
import type { OnEvent } from "./events.js";
import type { RunnerKernel } from "./kernels/kernel.js";
import { type FoundKernel, findKernel } from "./kernels/start-kernel.js";
import { watchLimits } from "./limits.js";
import { openNotebook } from "./notebook/open.js";
import {
  addBanner,
  describeRun,
  endRecord,
  hideInputs,
  type NotebookRecord,
  type RecordedStatus,
  recordOf,
  recordOfCell,
  startRecord,
} from "./notebook/record.js";
import {
  NO_RESUME,
  planResume,
  type Resumption,
  readPreviousRun,
  restoreParameters,
} from "./notebook/resume.js";
import { autosave } from "./output/autosave.js";
import type { Destination } from "./output/destination.js";
import { openOutput } from "./output/output-file.js";
import { forgetInjected } from "./parameters/injected.js";
import { jsonParameters, type Parameters } from "./parameters/values.js";

export interface RunOptions {
  /** A notebook's path or its `s3://` or `https://` URL, or `-` for standard input. */
  input: string;
  /** Path or URL of the executed notebook; `-` is standard output, written once at the end. */
  output: string;
  /** Values for what the cell tagged `parameters` declares. */
  parameters?: Parameters;
  /** The working folder of the cells; when left out the notebook's own, or the current one for a URL. */
  cwd?: string;
  /** Overrides the kernel that the notebook names. */
  kernel?: string;
  /** Injects the parameters and saves, without running. */
  prepareOnly?: boolean;
  /** Hides the code of the executed notebook's cells, by their metadata. */
  reportMode?: boolean;
  /** Goes on from what an earlier run has left in the output; see the README for what that can do. */
  resume?: boolean;
  /** Seconds for the kernel to start; 60 when left out, 0 for no limit. */
  startTimeout?: number;
  /** Seconds for each cell; no limit when left out or 0. */
  executionTimeout?: number;
  /** Seconds for the whole run, the kernel's start included; no limit when left out or 0. */
  notebookTimeout?: number;
  /** Bytes of one cell's outputs in the output's file; 100 MB when left out. What passes them is left out. */
  maxOutput?: number;
  /** Seconds between two saves while a cell runs; 3 when left out, 30 to a URL, 0 for none. */
  autosaveEvery?: number;
  /** Stops the run: the running cell is interrupted, and what there is gets saved. */
  signal?: AbortSignal;
  onEvent?: OnEvent;
}

/** Options that all runs of a grid have in common, and that another process can use. */
const commonOptions = [
  "cwd",
  "kernel",
  "prepareOnly",
  "reportMode",
  "startTimeout",
  "executionTimeout",
  "notebookTimeout",
  "autosaveEvery",
  "maxOutput",
] as const;

export type CommonRunOptions = Pick<RunOptions, (typeof commonOptions)[number]>;

/** These of all options, and no others. */
export function commonOptionsOf(options: CommonRunOptions): CommonRunOptions {
  return Object.fromEntries(commonOptions.map((name) => [name, options[name]]));
}

/**
 * - `completed`: to the last cell
 * - `exited`: to a cell that ended the run on purpose, as Python's `sys.exit(0)` does
 * - `failed`: a cell threw, or the kernel did not start
 * - `timeout`: a limit was reached
 * - `died`: the kernel's process ended
 * - `interrupted`: the signal came
 */
export type RunStatus = Exclude<RecordedStatus, "running">;

export interface RunResult {
  status: RunStatus;
  notebook: Notebook;
  output: string;
  /** Error that ended the run, when it was not completed. */
  error?: ErrorContent;
  /** The cell that the run ended at. */
  failed?: Cell;
  /** 0 when everything had been done by an earlier run, and nothing was run. */
  seconds: number;
}

/** Checks of what runs take, one alone or those of a grid. */
export const COMMON_OPTIONS: OptionChecks<Omit<RunOptions, "output" | "parameters" | "onEvent" | "resume">> =
  {
    input: required(text, "a path or a URL"),
    cwd: text,
    kernel: text,
    prepareOnly: flag,
    reportMode: flag,
    startTimeout: number(0),
    executionTimeout: number(0),
    notebookTimeout: number(0),
    maxOutput: number(1),
    autosaveEvery: number(0),
    signal: abortSignal,
  };

const RUN_OPTIONS: OptionChecks<RunOptions> = {
  ...COMMON_OPTIONS,
  output: required(text, "a path or a URL"),
  parameters: record,
  resume: flag,
  onEvent: callback,
};

/**
 * Runs a notebook without a client, in papermill's manner, and saves it after each cell and while cells run.
 *
 * A run that a cell, a limit, its kernel's end or the signal cuts short does not make this reject: the result, and
 * the notebook, say so.
 * @throws ModalscopeError for what makes a run impossible, before anything is written: no notebook, no such kernel,
 * a parameter that is unknown or of a wrong type, an output that cannot be written or that another run is writing.
 */
export async function runNotebook(options: RunOptions): Promise<RunResult> {
  checkOptions("runNotebook", options, RUN_OPTIONS);
  const { output } = options;
  const plan = await planRun(options);
  const { notebook, kernel, earlier, resumption, warnings } = plan;
  for (const message of warnings) options.onEvent?.({ type: "warning", message });
  if (earlier !== undefined && resumption.complete) {
    return { status: "completed", notebook: earlier, output, seconds: 0 };
  }
  const file = openOutput(output);
  try {
    if (kernel !== undefined) return await runOn(kernel, { ...plan, file, options });
    await file.finish(notebook);
    return { status: "completed", notebook, output, seconds: 0 };
  } finally {
    file.release();
  }
}

/**
 * The notebook of an earlier run that has done all that this one would do; undefined when there is none.
 * @param notebook the input
 * @throws ModalscopeError for what makes the run impossible.
 */
export async function finishedRun(options: RunOptions, notebook: Notebook): Promise<Notebook | undefined> {
  const { earlier, resumption } = await planRun(options, structuredClone(notebook));
  return resumption.complete ? earlier : undefined;
}

interface RunPlan {
  /** With its parameters, and without what an earlier run has left. */
  notebook: Notebook;
  /** The notebook's folder. */
  folder: string;
  /** Undefined when it is not to be run. */
  kernel: FoundKernel | undefined;
  earlier: Notebook | undefined;
  resumption: Resumption;
  /** What the parameters do not reach. */
  warnings: string[];
}

/** All that can be known, and go wrong, before anything is run or written. */
async function planRun(options: RunOptions, source?: Notebook): Promise<RunPlan> {
  const { input, output, parameters = {} } = options;
  const notebook = source ?? (await openNotebook(input));
  const folder = input === "-" || isRemote(input) ? process.cwd() : dirname(resolve(input));
  const kernel = options.prepareOnly ? undefined : findKernel(notebook, options.kernel);
  if (options.cwd !== undefined && !statSync(options.cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ModalscopeError(`The cells cannot work in ${options.cwd}.`, "There is no such folder.");
  }
  const earlier = options.resume ? await readEarlier(output) : undefined;
  const warnings = await setParameters(notebook, parameters, { folder, language: kernel?.language, earlier });
  describeRun(notebook, {
    input_path: shownPath(input),
    output_path: shownPath(output),
    parameters: earlierParameters(options, earlier) ?? jsonParameters(parameters),
    version: `modalscope ${packageVersion()}`,
  });
  if (options.reportMode) hideInputs(notebook);
  const resumption = earlier === undefined ? NO_RESUME : planResume(notebook, earlier);
  return { notebook, folder, kernel, earlier, resumption, warnings };
}

/** @throws ModalscopeError where there is nothing that could be resumed. */
async function readEarlier(output: string): Promise<Notebook | undefined> {
  if (output !== "-") return readPreviousRun(output);
  throw new ModalscopeError(
    "A run to standard output cannot be resumed.",
    "What an earlier run has done is read from its output.",
    "Name a file as the output.",
  );
}

async function setParameters(
  notebook: Notebook,
  values: Parameters,
  { folder, language, earlier }: { folder: string; language?: string; earlier?: Notebook },
): Promise<string[]> {
  if (Object.keys(values).length > 0) {
    // Loaded only here: it brings a compiler with it.
    const { injectParameters } = await import("./parameters/inject.js");
    return injectParameters(notebook, values, { folder, language });
  }
  if (earlier !== undefined) restoreParameters(notebook, earlier);
  else forgetInjected(notebook);
  return [];
}

/** The record of the parameters that a run without any takes over from the one that it resumes. */
function earlierParameters({ parameters = {} }: RunOptions, earlier?: Notebook): Parameters | undefined {
  if (earlier === undefined || Object.keys(parameters).length > 0) return undefined;
  return recordOf(earlier)?.parameters as Parameters | undefined;
}

interface RunParts {
  notebook: Notebook;
  file: Destination;
  folder: string;
  resumption: Resumption;
  options: RunOptions;
}

async function runOn(found: FoundKernel, parts: RunParts): Promise<RunResult> {
  const { notebook, file, folder, resumption, options } = parts;
  const begun = performance.now();
  const record = startRecord(notebook, resumption.kept);
  const started = await startKernel(found, folder, options);
  let stop: EarlyStop | undefined;
  if ("kernel" in started) {
    const { kernel } = started;
    try {
      notebook.metadata.language_info = kernel.languageInfo;
      notebook.metadata.kernelspec ??= { name: found.name, display_name: found.displayName };
      stop = await runThrough(kernel, parts, begun);
    } finally {
      await kernel.close();
    }
  } else {
    stop = started.stop;
    // What the earlier run has left is worth more than the news that nothing was run.
    if (options.resume) return resultOf(parts, begun, stop);
  }
  finishRecord(notebook, record, stop);
  const result = resultOf(parts, begun, stop);
  try {
    await file.finish(notebook);
  } catch (error) {
    throw unsaved(error, result);
  }
  return result;
}

/** A run whose last save failed: how far it came, which the file does not say. */
function unsaved(error: unknown, { status, notebook, error: cause }: RunResult): unknown {
  if (!(error instanceof ModalscopeError)) return error;
  const code = notebook.cells.filter((cell) => cell.cell_type === "code");
  const done = code.filter((cell) => ["completed", "skipped"].includes(recordOfCell(cell)?.status ?? ""));
  const end = cause === undefined ? "" : ` (${cause.ename}: ${cause.evalue})`;
  return new ModalscopeError(
    error.summary,
    `${error.reason} The run itself was ${status}${end}, with ${done.length} of ${code.length} code cells done; ` +
      "what the file holds is from the last save that succeeded.",
    error.hint,
    { cause: error },
  );
}

/** A stop that may come before any cell. */
type EarlyStop = Omit<Stop, "cell"> & { cell?: Cell };

function resultOf({ notebook, options }: RunParts, begun: number, stop: EarlyStop | undefined): RunResult {
  return {
    status: stop?.status ?? "completed",
    notebook,
    output: options.output,
    error: stop?.error,
    failed: stop?.cell,
    seconds: (performance.now() - begun) / 1000,
  };
}

function finishRecord(notebook: Notebook, record: NotebookRecord, stop: EarlyStop | undefined): void {
  endRecord(record, stop?.status ?? "completed");
  if (stop === undefined) return;
  const { ename, evalue } = stop.error;
  record.error = { ename, evalue, ...(stop.cell === undefined ? {} : { cell_id: stop.cell.id }) };
  if (stop.status !== "exited") addBanner(notebook, stop);
}

async function runThrough(kernel: RunnerKernel, parts: RunParts, begun: number): Promise<Stop | undefined> {
  const { notebook, file, options, resumption } = parts;
  const {
    signal,
    executionTimeout,
    notebookTimeout,
    autosaveEvery = isRemote(options.output) ? 30 : 3,
    maxOutput,
    onEvent = () => {},
  } = options;
  // What a full disk keeps from being written may fit later; the last save tells if not.
  const tryToSave = (): void => {
    try {
      file.save(notebook);
    } catch (error) {
      onEvent({ type: "save-failed", error });
    }
  };
  const limits = watchLimits(kernel, { signal, executionTimeout, notebookTimeout, begun });
  try {
    await file.begin(notebook);
    return await runCells(notebook, {
      kernel,
      limits,
      autosave: autosave(autosaveEvery, tryToSave),
      kept: resumption.kept,
      maxOutput,
      save: tryToSave,
      onEvent,
    });
  } finally {
    limits.release();
  }
}

/** Seconds; papermill's. */
const defaultStartTimeout = 60;

async function startKernel(
  found: FoundKernel,
  folder: string,
  options: RunOptions,
): Promise<{ kernel: RunnerKernel } | { stop: EarlyStop }> {
  const { cwd = folder, signal, startTimeout = defaultStartTimeout, notebookTimeout = 0 } = options;
  const limits = [startTimeout, notebookTimeout].filter((seconds) => seconds > 0);
  const limit = limits.length === 0 ? undefined : Math.min(...limits);
  const over = limit === undefined ? undefined : AbortSignal.timeout(Math.min(limit * 1000, 2 ** 31 - 1));
  const signals = [over, signal].filter((one) => one !== undefined);
  try {
    return { kernel: await found.start({ folder, cwd, signal: AbortSignal.any(signals) }) };
  } catch (error) {
    if (signal?.aborted) return { stop: notStarted("interrupted", "The run was interrupted at its start.") };
    if (over?.aborted) {
      const option = limit === startTimeout ? "--start-timeout" : "--notebook-timeout";
      return { stop: notStarted("timeout", `The kernel did not start within ${limit} s (${option}).`) };
    }
    if (!(error instanceof ModalscopeError)) throw error;
    return { stop: notStarted("failed", error.message) };
  }
}

function notStarted(status: Stop["status"], evalue: string): EarlyStop {
  const ename = status === "interrupted" ? "KeyboardInterrupt" : "KernelStartError";
  return { status, error: { ename, evalue, traceback: [`${ename}: ${evalue}`] } };
}
