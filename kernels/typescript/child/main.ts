/** The process that runs the cells. The session starts it, with pipes for reports and commands (pipe.ts). */
import { dirname } from "node:path";
// Not the global one, which belongs to the cells (runs.ts).
import { setImmediate } from "node:timers";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Command } from "../messages.js";
import { display } from "./display.js";
import { describeError, InterruptedError } from "./errors.js";
import { createExecutor } from "./executor.js";
import { notebookModules } from "./modules.js";
import { report } from "./pipe.js";
import { currentRun, guardTimers, latestRun, type Run, sendOutput, startRun } from "./runs.js";
import { cellPositions, installStackTraces } from "./stack.js";
import { answerInput, captureStreams, captureWarnings, connectStdin, endStdin, input } from "./streams.js";
import { WatchdogSlot } from "./watchdog-state.js";

const folder = process.argv[2];
const lock = new Int32Array(new SharedArrayBuffer(12));
/** What this thread tells the watchdog: how many interrupts it has answered, and the latest run that has ended. */
const watchdogState = new Int32Array(new SharedArrayBuffer(8));

const globals = globalThis as unknown as Record<symbol | string, unknown>;
globals[Symbol.for("modalscope.nativeLock")] = lock;
globals[Symbol.for("modalscope.display")] = display;
globals.input = input;
Object.defineProperty(globalThis, Symbol.for("modalscope.signal"), { get: () => currentRun()?.abort.signal });

const positions = cellPositions();
installStackTraces(positions, dirname(fileURLToPath(import.meta.url)));
guardTimers();
captureStreams();
captureWarnings();
connectStdin();
const executor = createExecutor(notebookModules(folder), positions);

// What Ctrl-C in a terminal means is for the session to say.
process.on("SIGINT", () => {});
process.on("exit", (code) => report({ type: "exit", code }));
process.on("uncaughtException", (error) => failed(error));
process.on("unhandledRejection", (reason) => failed(reason));

const watchdog = new Worker(new URL("./watchdog.js", import.meta.url), {
  workerData: { lock, watchdogState },
});
watchdog.on("message", (command: Command) => {
  if (command.type === "interrupt") interrupt(command.run);
  else if (command.type === "input_reply") answerInput(command.request, command.value, command.error);
  else startCell(command);
});
watchdog.on("error", (error) => {
  throw error;
});
report({ type: "ready" });

function startCell(command: Command & { type: "run" }): void {
  // A lock that an interrupted cell had left must not outlive it.
  lock.fill(0);
  // In a turn of its own: a terminated turn must not take the delivery of messages with it.
  setImmediate(() => {
    const run = startRun(command.run);
    if (run.id === interruptedEarly) {
      stop(run, []);
      return;
    }
    executor.execute(command).then(
      (value) => succeed(run, command.count, value, command.cell.declared),
      (error) => finish(run, error, executor.existing()),
    );
  });
}

function succeed(
  run: Run,
  count: number,
  data: Record<string, unknown> | undefined,
  declared: string[],
): void {
  // A rejection that nobody handles is known a turn later; it belongs to this cell.
  setImmediate(() => {
    if (!run.active) return;
    end(run);
    if (data !== undefined) {
      sendOutput({ type: "execute_result", content: { data, metadata: {}, execution_count: count } });
    }
    report({ type: "done", run: run.id, declared, hooks: executor.hooks() });
  });
}

function end(run: Run): void {
  run.active = false;
  endStdin();
  Atomics.store(watchdogState, WatchdogSlot.ended, run.id);
}

function finish(run: Run, thrown: unknown, declared: string[]): void {
  if (!run.active) return;
  end(run);
  const error = describeError(thrown, positions);
  report({ type: "done", run: run.id, error, interrupted: run.interrupted, declared });
}

/** A cell whose interrupt came before its start. */
let interruptedEarly: number | undefined;

function interrupt(id: number): void {
  Atomics.add(watchdogState, WatchdogSlot.answered, 1);
  const run = latestRun();
  if (run?.id !== id) interruptedEarly = id;
  else if (run.active) stop(run, executor.existing());
}

function stop(run: Run, declared: string[]): void {
  run.interrupted = true;
  const interruption = new InterruptedError();
  run.abort.abort(interruption);
  finish(run, interruption, declared);
}

/** Something thrown with nobody to catch it: it fails the cell that caused it, or is shown there afterwards. */
function failed(thrown: unknown): void {
  const run = currentRun();
  if (run?.interrupted) return;
  if (run?.active) {
    finish(run, thrown, executor.existing());
    return;
  }
  const { traceback } = describeError(thrown, positions);
  sendOutput({ type: "stream", content: { name: "stderr", text: `Not caught: ${traceback.join("\n")}\n` } });
}
