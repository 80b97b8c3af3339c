/** The compiler's thread: the sockets of the kernel answer while a cell compiles. */
import "../compile-cache.js";
import { parentPort, workerData } from "node:worker_threads";
import { createCompiler } from "./compiler.js";
import type { CompilerAnswer, CompilerRequest } from "./thread.js";
import { warmUps } from "./warm-up.js";

const port = parentPort;
if (port === null) throw new Error("compiler/worker.js runs as a worker thread only.");
const compiler = createCompiler((workerData as { folder: string }).folder);

/** So long nobody has asked anything before the next warm-up begins. */
const idleMs = 100;
const waiting = warmUps(compiler);
let timer: NodeJS.Timeout | undefined;

port.on("message", ({ id, method, args }: CompilerRequest) => {
  clearTimeout(timer);
  const answer = (() => {
    try {
      return { id, value: (compiler[method] as (...args: unknown[]) => unknown)(...args) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  })();
  port.postMessage(answer satisfies CompilerAnswer);
  timer = setTimeout(warmUp, idleMs);
});

function warmUp(): void {
  const next = waiting.shift();
  if (next === undefined) return;
  next();
  // In turns, so that a cell that comes meanwhile waits for one of them only.
  timer = setTimeout(warmUp, 0);
}

// The first check reads the libraries' declarations; it need not wait for the first cell.
warmUp();
