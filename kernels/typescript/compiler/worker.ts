/** The compiler's process: the sockets of the kernel answer while a cell compiles. */
import "../compile-cache.js";
import { getHeapStatistics } from "node:v8";
import { createCompiler } from "./compiler.js";
import type { CompilerAnswer, CompilerRequest } from "./process.js";
import { makeSnapshotLater } from "./snapshot.js";
import { warmUps } from "./warm-up.js";

const compiler = createCompiler(process.argv[2]);
process.send?.({ id: -1 } satisfies CompilerAnswer);

/** So long nobody has asked anything before the next warm-up begins. */
const idleMs = 100;
const [first, ...later] = warmUps(compiler);
const waiting = process.argv[3] === "interactive" ? [first, ...later] : [first];
let timer: NodeJS.Timeout | undefined;
let prepared = process.execArgv.includes("--snapshot-blob");

process.on("message", ({ id, method, args }: CompilerRequest) => {
  clearTimeout(timer);
  const answer = (() => {
    try {
      return { id, value: (compiler[method] as (...args: unknown[]) => unknown)(...args) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  })();
  process.send?.(answer satisfies CompilerAnswer);
  timer = setTimeout(warmUp, idleMs);
  if (method === "compile") setImmediate(collect, busyGarbage);
});
// The session is gone, however it ended.
process.on("disconnect", () => process.exit());
// Ctrl-C in a terminal is for the session, and so is the signal with which a scheduler stops all of a job's processes.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

function warmUp(): void {
  const next = waiting.shift();
  if (next === undefined) {
    collect(idleGarbage);
    timer = setTimeout(releasePages, quietMs);
    if (!prepared) makeSnapshotLater(process.execArgv);
    prepared = true;
    return;
  }
  next();
  // In turns, so that a cell that comes meanwhile waits for one of them only.
  timer = setTimeout(warmUp, 0);
}

/** Bytes of garbage that are collected while nobody asks, and after a compilation, while the cell runs. */
const idleGarbage = 48 * 2 ** 20;
const busyGarbage = 96 * 2 ** 20;
let live = Number.POSITIVE_INFINITY;

/** V8 by itself would let the heap grow to several times what is alive in it. */
function collect(garbage: number): void {
  const used = getHeapStatistics().used_heap_size;
  live = Math.min(live, used);
  if (used - live < garbage) return;
  globalThis.gc?.();
  live = getHeapStatistics().used_heap_size;
}

/** So long nobody has asked anything before pages are given back, which takes a second and some compiled code. */
const quietMs = 3000;
const emptyPages = 48 * 2 ** 20;
/** Resident memory after it was done last. */
let resident = 0;

/** Node 22's V8 keeps the pages that a collection empties, several hundred MB, until one that is called the last resort. */
function releasePages(): void {
  if (process.memoryUsage.rss() - resident < emptyPages) return;
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  live = getHeapStatistics().used_heap_size;
  resident = process.memoryUsage.rss();
}

// The first check reads the libraries' declarations; it need not wait for the first cell.
warmUp();
