/** The compiler's thread: the sockets of the kernel answer while a cell compiles. */
import { parentPort, workerData } from "node:worker_threads";
import { createCompiler } from "./compiler.js";
import type { CompilerAnswer, CompilerRequest } from "./thread.js";

const port = parentPort;
if (port === null) throw new Error("compiler/worker.js runs as a worker thread only.");
const compiler = createCompiler((workerData as { folder: string }).folder);

port.on("message", ({ id, method, args }: CompilerRequest) => {
  const answer = (() => {
    try {
      return { id, value: (compiler[method] as (...args: unknown[]) => unknown)(...args) };
    } catch (error) {
      return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  })();
  port.postMessage(answer satisfies CompilerAnswer);
});

// The first check reads the libraries' declarations; it need not wait for the first cell.
compiler.compile("", "In[0]");
compiler.commit("all");
