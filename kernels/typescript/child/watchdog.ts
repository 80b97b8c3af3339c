/** A thread beside the cells: it takes the session's commands, and ends a cell that computes when it is interrupted. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Session } from "node:inspector";
import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { NativeLockCell, NativeLockState } from "../../../lib/native-lock.js";
import { frameReader } from "../frames.js";
import type { Command } from "../messages.js";
import { commandsFd } from "./pipe.js";
import { WatchdogSlot } from "./watchdog-state.js";

const port = parentPort;
if (port === null) throw new Error("child/watchdog.js runs as a worker thread only.");
const { lock, watchdogState } = workerData as { lock: Int32Array; watchdogState: Int32Array };

/** Time that the cells' thread may take to answer an interrupt before its computation is cut short. */
const answerMs = 50;
const nudgeMs = 20;
const signalAgainMs = 1000;
/** So many times what the cell has started is asked to stop, then told to end, before it is ended. */
const politeSignals = 3;

/** The run that is being interrupted; what comes meanwhile waits, so that nothing of the next cell is cut short. */
let interrupting: number | undefined;
const waiting: Command[] = [];

const commands = new Socket({ fd: commandsFd, readable: true, writable: false });
const read = frameReader();
commands.on("data", (chunk) => {
  for (const command of read(chunk) as Command[]) take(command);
});
// The session is gone: so is the reason to live, for what the cells have started too.
commands.on("close", () => signalGroup("SIGKILL"));

function take(command: Command): void {
  if (interrupting !== undefined) {
    if (command.type !== "interrupt" || command.run !== interrupting) waiting.push(command);
  } else if (command.type === "interrupt") void interrupt(command.run);
  else port?.postMessage(command);
}

const hasEnded = (run: number): boolean => Atomics.load(watchdogState, WatchdogSlot.ended) >= run;

/** Repeats until the run has ended: any attempt may come at a moment when it cuts its own answer short. */
async function interrupt(run: number): Promise<void> {
  interrupting = run;
  Atomics.store(watchdogState, WatchdogSlot.requested, run);
  if (!hasEnded(run)) signalGroup("SIGINT");
  // A cell may start one program after the other before it is cut short, and some, such as a shell's background jobs, ignore it.
  let signals = 1;
  const again = setInterval(() => {
    if (++signals > 2 * politeSignals) killStarted();
    else signalGroup(signals > politeSignals ? "SIGTERM" : "SIGINT");
  }, signalAgainMs);
  while (!hasEnded(run)) {
    port?.postMessage({ type: "interrupt", run } satisfies Command);
    if (!(await until(() => hasEnded(run), answerMs))) await terminate(run);
  }
  clearInterval(again);
  interrupting = undefined;
  for (const command of waiting.splice(0)) take(command);
}

/**
 * Cuts short what the cells' thread computes. The native lock is held from before it is known that the run goes on until V8
 * says that the cut is done: so it falls into no native call, no message, no cell's end, and nothing after it.
 */
async function terminate(run: number): Promise<void> {
  const { free } = NativeLockState;
  Atomics.store(lock, NativeLockCell.pending, 1);
  const isHeld = (): boolean =>
    Atomics.compareExchange(lock, NativeLockCell.state, free, NativeLockState.interrupting) === free;
  await until(() => hasEnded(run) || isHeld(), Number.POSITIVE_INFINITY);
  if (Atomics.load(lock, NativeLockCell.state) === NativeLockState.interrupting) {
    if (!hasEnded(run)) await cut(run);
    Atomics.store(lock, NativeLockCell.state, free);
    Atomics.notify(lock, NativeLockCell.state);
  }
  Atomics.store(lock, NativeLockCell.pending, 0);
  Atomics.notify(lock, NativeLockCell.pending);
}

async function cut(run: number): Promise<void> {
  // Only for this moment: while an inspector is connected, Node's exit waits for it, with a line on stderr.
  const main = new Session();
  main.connectToMainThread();
  let isDone = false;
  main.post("Runtime.terminateExecution", () => {
    isDone = true;
  });
  const isOver = (): boolean => isDone || Atomics.load(watchdogState, WatchdogSlot.exiting) === 1;
  // A thread that only waits has nothing to cut short until it is given something to do.
  while (!(await until(isOver, nudgeMs))) port?.postMessage({ type: "interrupt", run } satisfies Command);
  main.disconnect();
}

/** To this process and what the cells have started in it, but for what they have detached. Windows has no such groups. */
function signalGroup(signal: NodeJS.Signals): void {
  if (process.platform !== "win32") process.kill(0, signal);
  else if (signal === "SIGKILL") process.kill(process.pid, signal);
}

/** Ends what the cells have started and does not listen: the cell that waits for it, and its variables, are worth more. */
function killStarted(): void {
  if (process.platform === "win32") return;
  for (const [pid, group] of processGroups()) {
    if (group !== process.pid || pid === process.pid) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      // It has just ended.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** All processes, each with the group that it is in. */
function processGroups(): [pid: number, group: number][] {
  if (!existsSync("/proc/self/stat")) {
    const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,pgid="], { encoding: "utf8" });
    return stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  }
  return readdirSync("/proc").flatMap((name): [number, number][] => {
    if (!/^\d+$/.test(name)) return [];
    try {
      // PID (NAME) STATE PARENT GROUP …; a name may hold anything.
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      return [[Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2])]];
    } catch {
      // It has just ended.
      return [];
    }
  });
}

async function until(condition: () => boolean, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return true;
}
