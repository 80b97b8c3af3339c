import { Worker } from "node:worker_threads";
import type { Compiler } from "./compiler.js";

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

/** The {@link Compiler}, in a thread of its own. */
export type CompilerThread = {
  [K in keyof Compiler]: (...args: Parameters<Compiler[K]>) => Promise<ReturnType<Compiler[K]>>;
} & { close(): Promise<void> };

export function startCompiler(folder: string): CompilerThread {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: { folder } });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let broken: Error | undefined;
  worker.on("message", ({ id, value, error }: CompilerAnswer) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(`The compiler failed: ${error}`));
  });
  const fail = (error: Error): void => {
    broken = error;
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
  };
  worker.on("error", fail);
  worker.on("exit", () => fail(new Error("The compiler's thread has ended.")));
  const ask =
    (method: keyof Compiler) =>
    (...args: unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        if (broken !== undefined) return reject(broken);
        const id = next++;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        worker.postMessage({ id, method, args } satisfies CompilerRequest);
      });
  return {
    compile: ask("compile"),
    rehearse: ask("rehearse"),
    commit: ask("commit"),
    complete: ask("complete"),
    inspect: ask("inspect"),
    isComplete: ask("isComplete"),
    close: async () => {
      await worker.terminate();
    },
  };
}
