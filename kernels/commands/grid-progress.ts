/** Reports runs that go side by side, on stderr. */
import { formatBytes } from "../../lib/bytes.js";
import { shownPath } from "../../lib/storage/index.js";
import type { GridEvent } from "../runner/grid/run.js";
import type { WorkerCell } from "../runner/grid/start.js";
import type { GridRow } from "../runner/grid/summary.js";
import { seconds } from "./run-progress.js";

export interface GridReporter {
  onEvent(event: GridEvent): void;
  end(): void;
}

export interface GridReporterOptions {
  /** Seconds until all have ended, where that is known. */
  left?: () => number | undefined;
  stream?: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
}

/**
 * A line for each run that starts, ends or is stopped, and one that says what runs, at which cell, and how long it will
 * take: it stays in its place below the others on a terminal; in a log it comes once a minute.
 */
export function gridReporter(options: GridReporterOptions = {}): GridReporter {
  const { left = () => undefined, stream = process.stderr } = options;
  const live = stream.isTTY === true;
  const begun = performance.now();
  const running = new Map<number, { name: string; cell?: WorkerCell }>();
  let [ended, all] = [0, 0];

  const status = (): string => {
    const time = [seconds((performance.now() - begun) / 1000), aboutLeft(left())].filter(Boolean).join(", ");
    const runs = [...running.values()].map(({ name, cell }) => `${name} ${cell ? cellText(cell) : "starts"}`);
    return [`${ended} of ${all} ended`, time, ...runs].join(" | ");
  };
  const clear = live ? "\r\x1b[2K" : "";
  const draw = (): void => {
    if (running.size === 0) return;
    const text = status();
    if (live) stream.write(`${clear}${clipped(text, (stream.columns ?? 80) - 1)}`);
    else stream.write(`${text}\n`);
  };
  const line = (text: string): void => {
    stream.write(`${clear}${text}\n`);
    if (live) draw();
  };
  const timer = setInterval(draw, live ? 1000 : 60_000);
  // Whoever waits for the runs keeps the process; a line is no reason to.
  timer.unref();

  return {
    onEvent(event) {
      if (event.type === "start") {
        all = event.runs;
        ended = event.reused;
        const reused = event.reused === 0 ? "" : `, ${event.reused} of them done earlier`;
        line(`${event.runs} runs${reused}; ${event.slots} at a time`);
        return;
      }
      const { index, runs, name } = event;
      const place = `[${String(index + 1).padStart(String(runs).length)}/${runs}] ${name}`;
      all = runs;
      if (event.type === "run-start") {
        running.set(index, { name });
        line(`${place} …`);
      } else if (event.type === "cell-start") {
        running.set(index, { name, cell: event.cell });
        if (live) draw();
      } else if (event.type === "run-end") {
        running.delete(index);
        ended++;
        const { status: how, seconds: taken } = event.row;
        const time = taken === undefined ? "" : `, ${seconds(taken)}`;
        const rest = ended === all || how === "interrupted" ? "" : aboutLeft(left());
        line(`${place}: ${how}${time}${rest && ` (${rest} for the others)`}`);
      } else {
        if (event.retried) running.delete(index);
        const next = event.retried ? "it is run again when there is room" : "it is not run again";
        line(`${place}: stopped at ${formatBytes(event.bytes)}: memory is short; ${next}`);
      }
    },
    end() {
      clearInterval(timer);
      if (live) stream.write(clear);
    },
  };
}

function cellText({ index, cells, name }: WorkerCell): string {
  return `${index + 1}/${cells} ${name}`.trimEnd();
}

/** "about 3 min left"; empty where it is not known. */
function aboutLeft(value: number | undefined): string {
  return value === undefined ? "" : `${about(value)} left`;
}

/** Seconds as an estimate: in tens, from two minutes on in minutes. */
export function about(value: number): string {
  if (value < 115) return `about ${Math.max(10, Math.ceil(value / 10) * 10)} s`;
  return `about ${Math.round(value / 60)} min`;
}

/** Text on one line; hostile names cannot move the cursor. */
function clipped(text: string, width: number): string {
  const plain = text.replace(/\p{Cc}/gu, " ");
  return plain.length <= width ? plain : `${plain.slice(0, Math.max(0, width - 1))}…`;
}

/** Says on stderr which runs were not completed, and why. */
export function listFailed(rows: readonly GridRow[]): void {
  const failed = rows.filter(({ status }) => status !== "completed");
  if (failed.length === 0) return;
  process.stderr.write(`\n${failed.length} of ${rows.length} not completed:\n`);
  for (const { output, status, error } of failed) {
    const cell = error?.cell === undefined ? "" : ` in "${error.cell}"`;
    process.stderr.write(
      `  ${shownPath(output)}: ${status}${cell}${error === undefined ? "" : `: ${error.message}`}\n`,
    );
  }
}
