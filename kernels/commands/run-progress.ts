import type { OnEvent, RunEvent } from "../runner/events.js";

/** Options of a progress reporter. */
export interface ProgressOptions {
  /** A line for each cell. */
  cells: boolean;
  /** The cells' output. */
  outputs: boolean;
}

/** Reports a run on stderr. */
export function progressReporter(show: ProgressOptions): OnEvent {
  const write = (text: string): void => {
    process.stderr.write(text);
  };
  return (event) => {
    if (event.type === "cell-start" && show.cells) {
      write(`${place(event)} … `);
      if (show.outputs) write("\n");
    } else if (event.type === "cell-skip" && show.cells) {
      write(`${place(event)}: ${event.reason === "cached" ? "kept from the earlier run" : "skipped"}\n`);
    } else if (event.type === "cell-end" && show.cells) {
      write(`${event.error === undefined ? "" : `${event.error.ename} after `}${seconds(event.seconds)}\n`);
    } else if (event.type === "output" && show.outputs && event.output.type === "stream") {
      write(event.output.content.text);
    } else if (event.type === "warning") {
      write(`Warning: ${event.message}\n`);
    } else if (event.type === "save-failed") {
      write(`\n${(event.error as Error).message} It is tried again.\n`);
    }
  };
}

function place({ index, cells, name }: Extract<RunEvent, { type: "cell-start" | "cell-skip" }>): string {
  return `[${String(index + 1).padStart(String(cells).length)}/${cells}] ${name || "cell"}`;
}

export function seconds(value: number): string {
  if (value < 59.5) return `${value.toFixed(value < 10 ? 2 : 0)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
