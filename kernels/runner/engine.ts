import { type Cell, hasTag, joined, type Notebook } from "../../lib/notebook/index.js";
import type { ErrorContent, Output } from "../protocol/index.js";
import { cellNames } from "./cell-name.js";
import type { OnEvent } from "./events.js";
import type { CellResult, RunnerKernel } from "./kernels/kernel.js";
import type { RunLimits } from "./limits.js";
import { endCell, type RecordedStatus, skipCell, startCell } from "./notebook/record.js";
import type { Autosave } from "./output/autosave.js";
import { OutputCollector } from "./output/collector.js";
import { openStills, type Stills } from "./output/stills.js";

/** Cell and reason of a run's end before its last cell. */
export interface Stop {
  status: Exclude<RecordedStatus, "running" | "completed">;
  /** The cell that ended it, or that it did not come to. */
  cell: Cell;
  error: ErrorContent;
}

export interface EngineParts {
  kernel: RunnerKernel;
  limits: RunLimits;
  autosave: Autosave;
  /** Cells whose earlier outputs stand. */
  kept: ReadonlyMap<Cell, Cell>;
  /** Bytes of one cell's outputs in the file. */
  maxOutput?: number;
  save(): void;
  onEvent: OnEvent;
}

/** Runs a notebook's cells in order; gives where it ended, if not at its end. */
export async function runCells(notebook: Notebook, parts: EngineParts): Promise<Stop | undefined> {
  const collector = new OutputCollector(parts.maxOutput);
  const stills = openStills((...still) => collector.addStill(...still));
  if (parts.kernel.leavesStills && notebook.cells.some(seemsToShow)) stills.prepare();
  try {
    return await runEach(notebook, collector, stills, parts);
  } finally {
    await stills.finish();
  }
}

/** Where it does not after all, plotly was loaded for nothing. */
const seemsToShow = ({ source }: Cell): boolean => /\bshow\(/.test(joined(source));

async function runEach(
  notebook: Notebook,
  collector: OutputCollector,
  stills: Stills,
  parts: EngineParts,
): Promise<Stop | undefined> {
  const { kernel, limits, onEvent } = parts;
  const names = cellNames(notebook.cells);
  const cells = notebook.cells.filter((cell) => cell.cell_type === "code").length;
  let index = -1;
  onEvent({ type: "start", notebook, cells });
  for (const [place, cell] of notebook.cells.entries()) {
    const before = stoppedBefore(cell, parts);
    if (before !== undefined) return before;
    if (cell.cell_type !== "code") {
      startCell(cell);
      endCell(cell);
      continue;
    }
    index++;
    const reason = whySkipped(cell, parts);
    if (reason !== undefined) {
      if (reason === "skip-execution") skipCell(cell);
      // An earlier run may have been killed before it had drawn them.
      else if (kernel.leavesStills) stills.draw(cell);
      onEvent({ type: "cell-skip", cell, index, cells, name: names[place], reason });
      continue;
    }
    onEvent({ type: "cell-start", cell, index, cells, name: names[place] });
    const begun = performance.now();
    startCell(cell);
    parts.autosave.begin();
    const result = await limits
      .cell(() =>
        execute(
          kernel,
          joined(cell.source),
          (output) => {
            collector.add(cell, output);
            parts.autosave.touch();
            onEvent({ type: "output", cell, output });
          },
          codeAfter(place, notebook, parts),
        ),
      )
      .finally(parts.autosave.end);
    if (kernel.leavesStills) stills.draw(cell);
    const stop = stopAt(cell, result, limits);
    const error = stop?.error ?? result.error;
    cell.execution_count = result.executionCount;
    if (error !== undefined) collector.add(cell, { type: "error", content: error });
    endCell(cell, { threw: error !== undefined, failed: stop !== undefined });
    parts.save();
    onEvent({ type: "cell-end", cell, index, seconds: (performance.now() - begun) / 1000, error });
    if (stop !== undefined) return stop;
  }
  return undefined;
}

/** As everywhere in Jupyter, a cell of white space is not run and has no number. */
async function execute(
  kernel: RunnerKernel,
  code: string,
  onOutput: (output: Output) => void,
  next?: string,
): Promise<CellResult> {
  return isBlank(code) ? { executionCount: null, died: false } : kernel.execute(code, onOutput, next);
}

const isBlank = (code: string): boolean => code.trim() === "";

function whySkipped(cell: Cell, { kept }: EngineParts): "cached" | "skip-execution" | undefined {
  if (kept.has(cell)) return "cached";
  return hasTag(cell, "skip-execution") ? "skip-execution" : undefined;
}

/** Code of the first cell behind a place that the kernel will be given. */
function codeAfter(place: number, { cells }: Notebook, parts: EngineParts): string | undefined {
  for (const cell of cells.slice(place + 1)) {
    const code = joined(cell.source);
    if (cell.cell_type === "code" && !isBlank(code) && whySkipped(cell, parts) === undefined) return code;
  }
  return undefined;
}

/** Reason not to start a cell; undefined when there is none. */
function stoppedBefore(cell: Cell, { kernel, limits }: EngineParts): Stop | undefined {
  if (limits.cause !== undefined) return { cell, ...limits.cause };
  if (kernel.death !== undefined) return { cell, status: "died", error: kernel.death };
  return undefined;
}

/** Whether the run ends at a cell that has ended, and why. */
function stopAt(cell: Cell, { error, died }: CellResult, { cause }: RunLimits): Stop | undefined {
  // A cell that finished in spite of the caller's wish to stop has finished; past its time it has not.
  if (cause !== undefined && (error !== undefined || cause.status === "timeout")) {
    return { cell, status: cause.status, error: withPlace(cause.error, error, died) };
  }
  if (error === undefined) return undefined;
  if (died) return { cell, status: "died", error };
  if (hasTag(cell, "raises-exception")) return undefined;
  return { cell, status: isExit(error) ? "exited" : "failed", error };
}

/** A Python cell that ends the run as having succeeded: papermill's users do so. */
function isExit({ ename, evalue }: ErrorContent): boolean {
  return ename === "SystemExit" && (evalue === "" || evalue === "0");
}

/** The cause, and what the kernel knows of where the cell was. */
function withPlace(cause: ErrorContent, error: ErrorContent | undefined, died: boolean): ErrorContent {
  if (died) {
    const evalue = `${cause.evalue} It did not stop when asked to, and its kernel was ended.`;
    return { ename: cause.ename, evalue, traceback: [`${cause.ename}: ${evalue}`] };
  }
  return { ...cause, traceback: [...(error?.traceback ?? []), ...cause.traceback] };
}
