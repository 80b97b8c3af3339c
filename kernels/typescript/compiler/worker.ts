/** The compiler's process: the sockets of the kernel answer while a cell compiles. */
import "../compile-cache.js";
import { createCompiler } from "./compiler.js";
import type { CompilerAnswer, CompilerRequest } from "./process.js";
import { warmUps } from "./warm-up.js";

const compiler = createCompiler(process.argv[2]);
process.send?.({ id: -1 } satisfies CompilerAnswer);

/** So long nobody has asked anything before the next warm-up begins. */
const idleMs = 100;
const waiting = warmUps(compiler);
let timer: NodeJS.Timeout | undefined;

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
});
// The session is gone, however it ended.
process.on("disconnect", () => process.exit());
// Ctrl-C in a terminal is for the session.
process.on("SIGINT", () => {});

function warmUp(): void {
  const next = waiting.shift();
  if (next === undefined) return;
  next();
  // In turns, so that a cell that comes meanwhile waits for one of them only.
  timer = setTimeout(warmUp, 0);
}

// The first check reads the libraries' declarations; it need not wait for the first cell.
warmUp();
