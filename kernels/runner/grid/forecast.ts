/** How long runs that go side by side will take, from what earlier runs of the same notebooks took. */
import type { Notebook } from "../../../lib/notebook/index.js";
import { own } from "../../../lib/own.js";
import { recordOf, recordOfCell } from "../notebook/record.js";
import type { WorkerCell } from "./start.js";

/** Seconds of an earlier run: of the whole, the kernel's start included, and of each code cell by its id. */
export interface EarlierRun {
  seconds: number;
  cells: Readonly<Record<string, number>>;
}

/** What a notebook's record says; undefined where it has no completed run. */
export function earlierRun(notebook: Notebook): EarlierRun | undefined {
  const record = recordOf(notebook);
  if (record?.status !== "completed" || typeof record.duration !== "number") return undefined;
  const cells = notebook.cells.flatMap((cell): [string, number][] => {
    const duration = recordOfCell(cell)?.duration;
    return cell.id !== undefined && typeof duration === "number" ? [[cell.id, duration]] : [];
  });
  return { seconds: record.duration, cells: Object.fromEntries(cells) };
}

interface Progress {
  earlier: EarlierRun | undefined;
  state: "waiting" | "running" | "ended";
  /** When it began, and when its present cell did, in milliseconds. */
  begun: number;
  cellBegun: number;
  cell: string | undefined;
  /** Seconds that the earlier run took for what is done. */
  done: number;
}

/** Seconds of earlier runs that must be done again before their pace says anything. */
const leastForPace = 10;

/**
 * Follows runs and says how many seconds are left. Each run is taken to need what its earlier one did, cell by cell,
 * times this call's pace: the seconds so far over those that the earlier runs took for the same.
 */
export class Forecast {
  private readonly runs: Progress[];

  /**
   * @param earlier of each run, in the order in which they are started
   * @param now milliseconds since some moment
   */
  constructor(
    earlier: readonly (EarlierRun | undefined)[],
    private readonly slots: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.runs = earlier.map((one) => ({ ...waiting, earlier: one }));
  }

  /** A run starts, or starts again. */
  runStarted(run: number): void {
    const time = this.now();
    this.runs[run] = { ...waiting, earlier: this.runs[run].earlier, state: "running", begun: time };
    this.runs[run].cellBegun = time;
  }

  cellStarted(run: number, { id }: Pick<WorkerCell, "id">): void {
    const one = this.runs[run];
    one.done += one.cell === undefined ? startOf(one.earlier) : secondsOf(one.earlier, one.cell);
    one.cell = id ?? "";
    one.cellBegun = this.now();
  }

  /** @param completed a run that ended early says nothing about the pace */
  runEnded(run: number, completed: boolean): void {
    const one = this.runs[run];
    one.state = "ended";
    one.cellBegun = this.now();
    one.done = completed ? (one.earlier?.seconds ?? 0) : 0;
  }

  /** Seconds until all have ended; undefined while one that has not has no earlier run. */
  left(): number | undefined {
    const open = this.runs.filter(({ state }) => state !== "ended");
    if (open.some(({ earlier }) => earlier === undefined)) return undefined;
    const pace = this.pace();
    const seconds = (state: Progress["state"]): number[] =>
      open.filter((one) => one.state === state).map((one) => this.leftOf(one) * pace);
    const busy = seconds("running");
    const slots = [...busy, ...Array(Math.max(0, this.slots - busy.length)).fill(0)] as number[];
    for (const next of seconds("waiting")) slots[slots.indexOf(Math.min(...slots))] += next;
    return Math.max(...slots);
  }

  private leftOf({ earlier, done, cell, cellBegun, state }: Progress): number {
    const total = earlier?.seconds ?? 0;
    if (state === "waiting") return total;
    const present = cell === undefined ? startOf(earlier) : secondsOf(earlier, cell);
    return Math.max(0, total - done - Math.min(present, (this.now() - cellBegun) / 1000));
  }

  private pace(): number {
    const known = this.runs.filter(({ earlier, done }) => earlier !== undefined && done > 0);
    const then = known.reduce((sum, { done }) => sum + done, 0);
    const now = known.reduce((sum, { begun, cellBegun }) => sum + (cellBegun - begun) / 1000, 0);
    return then < leastForPace ? 1 : now / then;
  }
}

const waiting: Progress = {
  earlier: undefined,
  state: "waiting",
  begun: 0,
  cellBegun: 0,
  cell: undefined,
  done: 0,
};

function secondsOf(earlier: EarlierRun | undefined, cell: string): number {
  return earlier === undefined ? 0 : (own(earlier.cells, cell) ?? 0);
}

/** Seconds of a run outside its cells: the kernel's start. */
function startOf(earlier: EarlierRun | undefined): number {
  if (earlier === undefined) return 0;
  return Math.max(0, earlier.seconds - Object.values(earlier.cells).reduce((sum, one) => sum + one, 0));
}
