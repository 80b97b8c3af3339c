/** The process that runs one combination of a grid; grid/start.ts starts it. */
import { ModalscopeError } from "../../../lib/errors.js";
import { type RunOptions, runNotebook } from "../run.js";
import { gridErrorOf, type WorkerMessage, type WorkerReport, type WorkerResult } from "./start.js";

const stop = new AbortController();

/** To the grid; one that is gone hears nothing, and the run goes on to its save. */
function tell(report: WorkerReport, then: () => void = () => {}): void {
  if (process.connected) process.send?.(report, then);
}

process.on("message", (message: WorkerMessage) => {
  if (message.type === "stop") stop.abort();
  else void run(message.options).then((result) => tell({ type: "end", result }, () => process.disconnect()));
});
// The grid is gone; what there is gets saved.
process.on("disconnect", () => stop.abort());
// Ctrl-C in a terminal comes to all its processes; what it means is for the grid to say.
for (const name of ["SIGINT", "SIGHUP"] as const) process.on(name, () => {});
process.on("SIGTERM", () => stop.abort());

async function run(options: RunOptions): Promise<WorkerResult> {
  try {
    const { status, error, failed, seconds } = await runNotebook({
      ...options,
      signal: stop.signal,
      onEvent(event) {
        if (event.type !== "cell-start") return;
        const { cell, index, cells, name } = event;
        tell({ type: "cell", cell: { id: cell.id, index, cells, name } });
      },
    });
    return { status, seconds, error: gridErrorOf(error, failed) };
  } catch (error) {
    if (!(error instanceof ModalscopeError)) throw error;
    return { status: "failed", seconds: 0, error: { message: error.message } };
  }
}
