import type { RunEvent } from "./index.js";

/** Reports a run on stderr: a line for each cell, and, when asked, what the cells print. */
export function progressReporter(show: { cells: boolean; outputs: boolean }): (event: RunEvent) => void {
  const write = (text: string): void => {
    process.stderr.write(text);
  };
  return (event) => {
    if (event.type === "cell-start" && show.cells) {
      const width = String(event.cells).length;
      write(`[${String(event.index + 1).padStart(width)}/${event.cells}] ${event.name || "cell"} … `);
      if (show.outputs) write("\n");
    } else if (event.type === "cell-end" && show.cells) {
      write(`${event.error === undefined ? "" : `${event.error.ename} after `}${seconds(event.seconds)}\n`);
    } else if (event.type === "output" && show.outputs && event.output.type === "stream") {
      write(event.output.content.text);
    }
  };
}

export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 0)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}
