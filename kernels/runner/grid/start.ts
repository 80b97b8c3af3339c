import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Cell } from "../../../lib/notebook/index.js";
import type { ErrorContent } from "../../protocol/index.js";
import { cellNames } from "../cell-name.js";
import type { RunOptions, RunStatus } from "../run.js";
import { threadEnvironment } from "./cores.js";
import { killTree, memoryOfTree } from "./processes.js";
import type { StartedJob } from "./schedule.js";

/** To a worker. */
export type WorkerMessage = { type: "run"; options: RunOptions } | { type: "stop" };

/** From a worker: each cell that starts, and once how the run went. */
export type WorkerReport = { type: "cell"; cell: WorkerCell } | { type: "end"; result: WorkerResult };

/** A code cell that starts: its id, its place among the code cells, from 0, and its name for people. */
export interface WorkerCell {
  id?: string;
  index: number;
  cells: number;
  name: string;
}

export interface WorkerResult {
  status: RunStatus;
  seconds: number;
  error?: GridError;
}

/** Error that ended a run. */
export interface GridError {
  message: string;
  /** The cell that it ended at, as progress calls it. */
  cell?: string;
}

export function gridErrorOf(error: ErrorContent | undefined, cell: Cell | undefined): GridError | undefined {
  if (error === undefined) return undefined;
  const message = `${error.ename}: ${error.evalue}`;
  return cell === undefined ? { message } : { message, cell: cellNames([cell])[0] };
}

export interface WorkerSettings {
  /** Numbers of the cores that it may use; undefined where it cannot be kept on any. */
  cores?: readonly number[];
  coreCount: number;
  signal?: AbortSignal;
  onCell: (cell: WorkerCell) => void;
}

const workerMain = fileURLToPath(new URL("./worker.js", import.meta.url));

/** Starts a run in a process of its own, so that its memory can be known and its end ends nothing else. */
export function startWorker(
  options: RunOptions,
  { cores, coreCount, signal, onCell }: WorkerSettings,
): StartedJob<WorkerResult> {
  const pin =
    cores === undefined ? {} : { execPath: "taskset", execArgv: ["-c", cores.join(","), process.execPath] };
  const worker = fork(workerMain, [], {
    ...pin,
    env: { ...process.env, ...threadEnvironment(coreCount) },
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderrTail = "";
  worker.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderrTail = (stderrTail + text).slice(-2048);
  });
  const begun = performance.now();
  const result = new Promise<WorkerResult>((resolve) => {
    let reported: WorkerResult | undefined;
    const end = (why: string): void => {
      const seconds = (performance.now() - begun) / 1000;
      const message = [why, stderrTail.trim()].filter(Boolean).join(" ");
      resolve(reported ?? { status: "died", seconds, error: { message } });
    };
    worker.on("message", (message) => {
      const report = message as WorkerReport;
      if (report.type === "cell") onCell(report.cell);
      else reported = report.result;
    });
    worker.on("error", (error) => end(`The run's process could not be started: ${error.message}.`));
    worker.on("close", (code, name) => end(`The run's process ended (${name ?? `exit code ${code}`}).`));
  });
  const stop = (): void => {
    if (worker.connected) worker.send({ type: "stop" } satisfies WorkerMessage);
  };
  signal?.addEventListener("abort", stop);
  void result.then(() => signal?.removeEventListener("abort", stop));
  worker.send({ type: "run", options } satisfies WorkerMessage);
  return {
    result,
    memory: () => (worker.pid === undefined ? 0 : memoryOfTree(worker.pid)),
    kill: () => {
      if (worker.pid !== undefined) killTree(worker.pid);
    },
  };
}
