import { type ChildProcess, fork } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Compiler } from "./compiler.js";
import type { Values } from "./scope.js";
import { findSnapshot } from "./snapshot.js";

export interface CompilerRequest {
  id: number;
  method: keyof Compiler;
  args: unknown[];
}

/** The first one, with the id −1, says that the process is ready. */
export interface CompilerAnswer {
  id: number;
  value?: unknown;
  error?: string;
}

/** The {@link Compiler}, in a process of its own, which is started again with the earlier cells when it ends. */
export type CompilerProcess = {
  [K in Exclude<keyof Compiler, "rehearse" | "restore">]: (
    ...args: Parameters<Compiler[K]>
  ) => Promise<ReturnType<Compiler[K]>>;
} & { close(): Promise<void> };

interface Call {
  readonly request: CompilerRequest;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const main = fileURLToPath(new URL("./worker.js", import.meta.url));

/**
 * Flags of V8 that keep the process small. By default the helper threads of the garbage collector keep buffers of their
 * own, and full collections leave pages half empty: with 80 MB of live data it took 600 MB after 500 cells.
 */
export const compilerFlags: readonly string[] = [
  "--single-threaded-gc",
  "--compact-on-every-full-gc",
  "--no-concurrent-recompilation",
  "--max-semi-space-size=8",
  "--expose-gc",
];
/** Node's exit code for a flag that it does not know. */
const invalidFlag = 9;

export interface CompilerOptions {
  /** Whether idle time is used to get ready for cells to come; without, those of a headless run have the processors. */
  readonly interactive?: boolean;
  /** More flags for Node. */
  readonly flags?: readonly string[];
}

export function startCompiler(
  folder: string,
  { interactive = false, flags = [] }: CompilerOptions = {},
): CompilerProcess {
  const waiting = new Map<number, Call>();
  /** Cells whose declarations later cells see, for a new process. */
  const committed: { code: string; values: Values }[] = [];
  let compiled: string | undefined;
  let next = 0;
  let closed = false;
  let heapFlags = compilerFlags;
  let snapshot = findSnapshot([...heapFlags, ...flags]);
  /** Why it cannot be started. */
  let broken: Error | undefined;
  let child = start();

  function start(): ChildProcess {
    const started = fork(main, [folder, interactive ? "interactive" : "headless"], {
      execArgv: [...heapFlags, ...(snapshot === undefined ? [] : ["--snapshot-blob", snapshot]), ...flags],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let stderrTail = "";
    let isReady = false;
    started.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderrTail = (stderrTail + text).slice(-8192);
    });
    started.on("message", ({ id, value, error }: CompilerAnswer) => {
      isReady = true;
      const call = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(new Error(`The compiler failed: ${error}`));
    });
    started.on("error", (error) => {
      stderrTail += error.message;
    });
    started.on("close", (code) => {
      if (closed) return rejectAll(new Error("The compiler was closed."));
      if (isReady) {
        child = start();
        rejectAll(describeFailure(stderrTail));
      } else if (withLess(code)) {
        child = start();
        for (const { request } of waiting.values()) child.send(request, () => {});
      } else {
        broken = new Error(`The compiler does not start. ${stderrTail.trim()}`.trimEnd());
        rejectAll(broken);
      }
    });
    for (const { code, values } of committed) post(started, "restore", [code, values]);
    return started;
  }

  /** True when a process that did not start may with less: the snapshot may be damaged, the flags be another Node's. */
  function withLess(code: number | null): boolean {
    if (snapshot !== undefined) {
      rmSync(snapshot, { force: true });
      snapshot = undefined;
      return true;
    }
    if (code !== invalidFlag || heapFlags.length === 0) return false;
    heapFlags = [];
    return true;
  }

  function rejectAll(error: Error): void {
    for (const call of waiting.values()) call.reject(error);
    waiting.clear();
  }

  function post(to: ChildProcess, method: keyof Compiler, args: unknown[]): CompilerRequest {
    const request: CompilerRequest = { id: next++, method, args };
    // Its end, if that is why it cannot be sent, rejects what waits.
    to.send(request, () => {});
    return request;
  }

  function ask<T>(method: keyof Compiler, args: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      if (broken !== undefined) return reject(broken);
      const request = post(child, method, args);
      waiting.set(request.id, { request, resolve: resolve as Call["resolve"], reject });
    });
  }

  async function tell(method: "commit" | "amend", values: Values): Promise<void> {
    try {
      await ask(method, [values]);
    } catch (error) {
      // The process that was started in its place has been given what is committed, this cell too.
      if (!(error instanceof CompilerRestarted)) throw error;
    }
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
      await tell("commit", values);
    },
    async amend(values) {
      const last = committed.pop();
      if (last !== undefined) committed.push({ code: last.code, values });
      await tell("amend", values);
    },
    complete: (...args) => ask("complete", args),
    inspect: (...args) => ask("inspect", args),
    isComplete: (...args) => ask("isComplete", args),
    close() {
      closed = true;
      return new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once("close", () => resolve());
        child.kill("SIGKILL");
      });
    },
  };
}

/** The process ended; another one has taken its place. */
class CompilerRestarted extends Error {}

function describeFailure(stderr: string): CompilerRestarted {
  const [line] = stderr.trim().split("\n");
  const reason = /heap out of memory|Array buffer allocation failed/.test(stderr)
    ? "The compiler ran out of memory."
    : `The compiler's process ended. ${line}`.trimEnd();
  return new CompilerRestarted(
    `${reason} It was started again, and earlier cells and their variables are kept.`,
  );
}
