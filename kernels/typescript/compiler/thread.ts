import { type ResourceLimits, Worker } from "node:worker_threads";
import type { Compiler } from "./compiler.js";
import type { Values } from "./scope.js";

export interface CompilerRequest {
  id: number;
  method: keyof Compiler;
  args: unknown[];
}

export interface CompilerAnswer {
  id: number;
  value?: unknown;
  error?: string;
}

/** The {@link Compiler}, in a thread of its own, which is started again with the earlier cells when it ends. */
export type CompilerThread = {
  [K in Exclude<keyof Compiler, "rehearse" | "restore">]: (
    ...args: Parameters<Compiler[K]>
  ) => Promise<ReturnType<Compiler[K]>>;
} & { close(): Promise<void> };

interface Call {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export function startCompiler(folder: string, resourceLimits: ResourceLimits = {}): CompilerThread {
  const waiting = new Map<number, Call>();
  /** Cells whose declarations later cells see, for a new thread. */
  const committed: { code: string; values: Values }[] = [];
  let compiled: string | undefined;
  let next = 0;
  let closed = false;
  let worker = start();

  function start(): Worker {
    const started = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: { folder },
      resourceLimits,
    });
    started.on("message", ({ id, value, error }: CompilerAnswer) => {
      const call = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(new Error(`The compiler failed: ${error}`));
    });
    // An exit follows.
    started.on("error", (error: NodeJS.ErrnoException) => rejectAll(describeFailure(error)));
    started.on("exit", () => {
      rejectAll(new Error("The compiler's thread has ended."));
      if (!closed) worker = start();
    });
    for (const { code, values } of committed) post(started, "restore", [code, values]);
    return started;
  }

  function rejectAll(error: Error): void {
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
  }

  function post(to: Worker, method: keyof Compiler, args: unknown[]): number {
    const id = next++;
    to.postMessage({ id, method, args } satisfies CompilerRequest);
    return id;
  }

  function ask<T>(method: keyof Compiler, args: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.set(post(worker, method, args), { resolve: resolve as Call["resolve"], reject });
    });
  }

  return {
    async compile(code, name) {
      compiled = undefined;
      const result = await ask<ReturnType<Compiler["compile"]>>("compile", [code, name]);
      if (result.ok) compiled = code;
      return result;
    },
    async commit(values) {
      if (compiled !== undefined) committed.push({ code: compiled, values });
      compiled = undefined;
      await ask("commit", [values]);
    },
    complete: (...args) => ask("complete", args),
    inspect: (...args) => ask("inspect", args),
    isComplete: (...args) => ask("isComplete", args),
    async close() {
      closed = true;
      await worker.terminate();
    },
  };
}

function describeFailure(error: NodeJS.ErrnoException): Error {
  const reason =
    error.code === "ERR_WORKER_OUT_OF_MEMORY"
      ? "The compiler ran out of memory."
      : `The compiler failed: ${error.message}.`;
  return new Error(`${reason} It was started again, and earlier cells and their variables are kept.`);
}
