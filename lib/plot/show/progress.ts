/** A progress bar that stays in its place and ends as one line with time and memory. */
import { randomUUID } from "node:crypto";
import { formatBytes } from "../../bytes.js";
import { callback, checkOptions, number, type OptionChecks, optional } from "../../options.js";
import type { Progress } from "../../progress.js";
import { type Bundle, currentDisplay, currentRun } from "./display.js";

/** Passed as `onProgress` to a long call. `done` writes the last line, if reaching the total has not done so. */
export type ProgressBar = Progress & { done(): void };

/** Options of {@link progressBar}. */
export interface ProgressOptions {
  /** Least time between two updates, in milliseconds. */
  readonly every?: number;
  /** Stream for lines outside a notebook; the standard error when left out. */
  readonly stream?: NodeJS.WritableStream & { isTTY?: boolean };
  /** Milliseconds since some moment. */
  readonly now?: () => number;
}

/** Contents of a line of progress. */
export interface ProgressState {
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** How much was done when the clock began, as where an interrupted call goes on; 0 unless given. */
  readonly from?: number;
  /** In milliseconds. */
  readonly elapsed: number;
}

/** Shows one line at a place that it can be replaced at. */
type Line = (text: string, last: boolean) => void;

/** The line of a cell's run. */
interface CellLine {
  readonly run: object | undefined;
  readonly line: Line;
}

const PROGRESS_OPTIONS: OptionChecks<ProgressOptions> = {
  every: number(0),
  stream: optional("a stream to write to", (v) => typeof (v as { write?: unknown })?.write === "function"),
  now: callback,
};

/**
 * A bar for a long call: `sweep(model, batch, { …, onProgress: progressBar("sweep") })`. It can serve several
 * calls; each time the total is reached it writes its last line. The next call's takes its place in the same run of a
 * notebook's cell, and is a new line elsewhere.
 */
export function progressBar(label: string, options: ProgressOptions = {}): ProgressBar {
  checkOptions("progressBar", options, PROGRESS_OPTIONS);
  const now = options.now ?? (() => performance.now());
  let ofCell: CellLine | undefined;
  const open = (): Line => {
    if (!currentDisplay()) return streamLine(options.stream ?? process.stderr, now);
    const run = currentRun();
    if (!run || ofCell?.run !== run) ofCell = { run, line: notebookLine() };
    return ofCell.line;
  };
  let running: { line: Line; start: number; shown: number; state: ProgressState } | undefined;

  const finish = () => {
    if (!running) return;
    running.line(lastLine({ ...running.state, elapsed: now() - running.start }), true);
    running = undefined;
  };
  const step: Progress = (done, total, part) => {
    running ??= {
      line: open(),
      start: now(),
      shown: Number.NEGATIVE_INFINITY,
      state: { label, done, total, from: done, elapsed: 0 },
    };
    const time = now();
    const state = {
      label: part && part !== label ? `${label}: ${part}` : label,
      done,
      total,
      from: running.state.from,
      elapsed: time - running.start,
    };
    running.state = state;
    if (done >= total) finish();
    else if (time - running.shown >= (options.every ?? 100)) {
      running.shown = time;
      running.line(barLine(state), false);
    }
  };
  return Object.assign(step, { done: finish });
}

/** "sweep ━━━━━━━━────────────  40% 12/30, 3.1/s, 6 s left" */
export function barLine({ label, done, total, from = 0, elapsed }: ProgressState): string {
  const width = 24;
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const filled = Math.floor(share * width);
  const bar = "━".repeat(filled) + "─".repeat(width - filled);
  const rate = elapsed > 0 ? ((done - from) / elapsed) * 1000 : 0;
  const pace = rate > 0 ? `, ${rateText(rate)}, ${durationText((total - done) / rate)} left` : "";
  return `${label} ${bar} ${`${Math.floor(share * 100)}%`.padStart(4)} ${Math.floor(done)}/${total}${pace}`;
}

/** "sweep: 30/30 in 9.8 s, memory 1.2 GB (peak 1.4 GB)". Memory is that of the whole process. */
export function lastLine({ label, done, total, elapsed }: ProgressState): string {
  const peak = process.resourceUsage().maxRSS * 1024;
  return `${label}: ${done}/${total} in ${durationText(elapsed / 1000)}, memory ${formatBytes(process.memoryUsage.rss())} (peak ${formatBytes(peak)})`;
}

function notebookLine(): Line {
  const id = `progress-${randomUUID()}`;
  let shown = false;
  return (text) => {
    const bundle: Bundle = { "text/plain": text };
    if (shown) currentDisplay()?.update(id, bundle);
    else currentDisplay()?.display(bundle, { displayId: id });
    shown = true;
  };
}

/** On a terminal the line is overwritten; in a log a line comes every ten seconds, and the last one. */
function streamLine(stream: NodeJS.WritableStream & { isTTY?: boolean }, now: () => number): Line {
  let written = now();
  return (text, last) => {
    if (stream.isTTY) stream.write(`\r\x1b[2K${text}${last ? "\n" : ""}`);
    else if (last || now() - written >= 10_000) {
      written = now();
      stream.write(`${text}\n`);
    }
  };
}

function rateText(perSecond: number): string {
  if (perSecond < 1) return `${durationText(1 / perSecond)} each`;
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
}

/** "0.4 s", "12 s", "3 min 20 s", "2 h 5 min". */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
