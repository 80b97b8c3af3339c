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

const answerMs = 50;
const terminationMs = 200;
const attempts = 50;

const commands = new Socket({ fd: commandsFd, readable: true, writable: false });
const read = frameReader();
commands.on("data", (chunk) => {
  for (const command of read(chunk) as Command[]) {
    if (command.type === "interrupt") void interrupt(command.run);
    else port.postMessage(command);
  }
});
// The session is gone: so is the reason to live, and the main thread may be in an endless loop.
commands.on("close", () => process.kill(process.pid, "SIGKILL"));

async function interrupt(run: number): Promise<void> {
  const before = Atomics.load(watchdogState, WatchdogSlot.answered);
  // A late interrupt must not end the cell after the one it was meant for.
  const isAnswered = (): boolean =>
    Atomics.load(watchdogState, WatchdogSlot.answered) !== before ||
    Atomics.load(watchdogState, WatchdogSlot.ended) >= run;
  for (let attempt = 0; attempt < attempts && !isAnswered(); attempt++) {
    port?.postMessage({ type: "interrupt", run } satisfies Command);
    if (await until(isAnswered, answerMs)) return;
    await terminate(isAnswered);
  }
}

/** Ends what the main thread runs, once no native call is on its stack. */
async function terminate(isAnswered: () => boolean): Promise<void> {
  const { free, interrupting } = NativeLockState;
  Atomics.store(lock, NativeLockCell.pending, 1);
  const taken = (): boolean =>
    isAnswered() || Atomics.compareExchange(lock, NativeLockCell.state, free, interrupting) === free;
  await until(taken, Number.POSITIVE_INFINITY);
  if (Atomics.load(lock, NativeLockCell.state) === interrupting) {
    // Only for this moment: while an inspector is connected, Node's exit waits for it, with a line on stderr.
    const main = new Session();
    main.connectToMainThread();
    let ended = false;
    main.post("Runtime.terminateExecution", () => {
      ended = true;
    });
    await until(() => ended || isAnswered(), terminationMs);
    main.disconnect();
    Atomics.store(lock, NativeLockCell.state, free);
    Atomics.notify(lock, NativeLockCell.state);
  }
  Atomics.store(lock, NativeLockCell.pending, 0);
  Atomics.notify(lock, NativeLockCell.pending);
}

async function until(condition: () => boolean, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return true;
}
