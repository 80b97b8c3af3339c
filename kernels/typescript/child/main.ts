/** The process that runs the cells. The session starts it, with pipes for reports and commands (pipe.ts). */
import "../intrinsics.js";
import { dirname } from "node:path";
// Not the global one, which belongs to the cells (runs.ts).
import { setImmediate as nativeImmediate } from "node:timers";
import { fileURLToPath } from "node:url";
import { MessageChannel, Worker } from "node:worker_threads";
import type { ErrorContent } from "../../protocol/index.js";
import { attempt, isArray } from "../intrinsics.js";
import { addsStills, type Command, type Report } from "../messages.js";
import { display } from "./display.js";
import { describeError, InterruptedError, interruption } from "./errors.js";
import { createExecutor } from "./executor.js";
import { removeIndexTraps } from "./index-traps.js";
import { keepListeners } from "./listeners.js";
import { notebookModules } from "./modules.js";
import { report } from "./pipe.js";
import { currentRun, guardTimers, latestRun, type Run, sendOutput, startRun } from "./runs.js";
import { cellPositions, installStackTraces } from "./stack.js";
import { answerInput, captureStreams, captureWarnings, connectStdin, endStdin, input } from "./streams.js";
import { WatchdogSlot } from "./watchdog-state.js";

type RunCommand = Command & { type: "run" };

const { load, store } = Atomics;
const folder = process.argv[2];
const lock = new Int32Array(new SharedArrayBuffer(12));
const watchdogState = new Int32Array(new SharedArrayBuffer(12));
/** Of the model that was loaded last, until a cell's end has told the session. */
let loadedHooks: readonly string[] | undefined;

const globals = globalThis as unknown as Record<symbol | string, unknown>;
globals[Symbol.for("modalscope.nativeLock")] = lock;
globals[Symbol.for("modalscope.display")] = { ...display, addsStills: process.argv[3] === addsStills };
globals[Symbol.for("modalscope.modelLoaded")] = (hooks: readonly string[]): void => {
  loadedHooks = hooks;
};
globals.input = input;
Object.defineProperty(globalThis, Symbol.for("modalscope.signal"), { get: () => currentRun()?.abort.signal });

const positions = cellPositions();
installStackTraces(positions, dirname(fileURLToPath(import.meta.url)));
guardTimers(removeIndexTraps);
captureStreams();
captureWarnings();
connectStdin();
const executor = createExecutor(notebookModules(folder), positions);

keepListeners({
  // Both are for what the cells have started (watchdog.ts). The session ends this process by SIGKILL.
  SIGINT: () => {},
  SIGTERM: () => {},
  exit(code) {
    store(watchdogState, WatchdogSlot.exiting, 1);
    report({ type: "exit", code: Number(code) });
  },
  uncaughtException: failed,
  unhandledRejection: failed,
});

const watchdog = new Worker(new URL("./watchdog.js", import.meta.url), {
  workerData: { lock, watchdogState },
});
watchdog.on("message", (command: Command) => {
  if (command.type === "interrupt") interrupt(command.run);
  else if (command.type === "input_reply") answerInput(command.request, command.value, command.error);
  else turns.port2.postMessage(command);
});
watchdog.on("error", (error) => {
  throw error;
});

/**
 * Cells begin in turns of their own, of a channel that carries nothing else: what is cut short by an interrupt loses the
 * rest of its turn (a batch of `setImmediate` callbacks would be lost, for instance).
 */
const turns = new MessageChannel();
turns.port1.on("message", (command: RunCommand) => void runCell(command));
report({ type: "ready" });

async function runCell(command: RunCommand): Promise<void> {
  if (hasEnded(command.run)) return;
  store(watchdogState, WatchdogSlot.exiting, 0);
  const run = startRun(command.run);
  try {
    const data = await executor.execute(command);
    // A rejection that nobody handles is known a turn later; it belongs to this cell.
    nativeImmediate(() => succeed(run, command, data));
  } catch (thrown) {
    finish(run, thrown);
  }
}

function succeed(run: Run, command: RunCommand, data: Record<string, unknown> | undefined): void {
  if (!run.active) return;
  // What it waited for was ended by the interrupt: it is no success, and cells that wait behind it are not to run.
  if (isInterrupted(run)) {
    finish(run, undefined);
    return;
  }
  if (data !== undefined) {
    const content = { data, metadata: {}, execution_count: command.count };
    sendOutput({ type: "execute_result", content });
  }
  end(run, { type: "done", run: run.id, declared: command.cell.declared, hooks: takeHooks() });
}

function finish(run: Run, thrown: unknown): void {
  if (!run.active) return;
  // What fails because it is being interrupted (a child process that the signal ended, for one) was interrupted.
  run.interrupted ||= isInterrupted(run);
  const error = run.interrupted ? interruption : describeError(thrown, positions);
  end(run, failure(run, error));
}

/** Whether an interrupt of the run is on its way here, or has come. */
function isInterrupted(run: Run): boolean {
  return load(watchdogState, WatchdogSlot.requested) === run.id;
}

function failure(run: Run, error: ErrorContent): Report & { type: "done" } {
  const { id, interrupted } = run;
  return { type: "done", run: id, error, interrupted, declared: executor.existing(), hooks: takeHooks() };
}

/**
 * The end of a cell. The report and the state change in one step, so that an interrupt finds a cell that runs, and
 * is repeated until it has ended, or finds one that has ended and does nothing.
 */
function end(run: Run, done: Report & { type: "done" }): void {
  report(done, () => {
    run.active = false;
    store(watchdogState, WatchdogSlot.ended, run.id);
  });
  attempt(endStdin, undefined);
}

function hasEnded(id: number): boolean {
  return load(watchdogState, WatchdogSlot.ended) >= id;
}

function interrupt(id: number): void {
  if (hasEnded(id)) return;
  const run = latestRun();
  if (run?.id === id) stop(run);
  // The cell was on its way and has not begun.
  else end(startRun(id), { type: "done", run: id, error: interruption, interrupted: true, declared: [] });
}

function stop(run: Run): void {
  run.interrupted = true;
  end(run, failure(run, interruption));
  // Listeners are the cell's: they come after its end, and may throw.
  run.abort.abort(new InterruptedError());
}

/** Something thrown with nobody to catch it: it fails the cell that caused it, or is shown there afterwards. */
function failed(thrown: unknown): void {
  const run = currentRun();
  if (run?.interrupted) return;
  if (run?.active) {
    finish(run, thrown);
    return;
  }
  const { evalue, traceback } = describeError(thrown, positions);
  const text = `Not caught: ${traceback[0] ?? evalue}\n${traceback[1] === undefined ? "" : `${traceback[1]}\n`}`;
  sendOutput({ type: "stream", content: { name: "stderr", text } });
}

function takeHooks(): string[] | undefined {
  const hooks = loadedHooks;
  loadedHooks = undefined;
  if (!isArray(hooks)) return undefined;
  const names: string[] = [];
  for (let i = 0; i < hooks.length; i++) if (typeof hooks[i] === "string") names[names.length] = hooks[i];
  return names;
}
