import { once } from "node:events";
import { ModalscopeError } from "../../../lib/errors.js";
import type { ErrorContent, Output } from "../../protocol/index.js";
import { languageInfo, openSession } from "../../typescript/index.js";

/** Kernel that runs a notebook's cells, whatever its language. */
export interface RunnerKernel {
  /** For the notebook's metadata. */
  readonly languageInfo: Record<string, unknown>;
  /** Why it is dead, once it is. */
  readonly death: ErrorContent | undefined;
  /** Whether its figures come without still images, which the runner adds. */
  readonly leavesStills?: boolean;
  /** @param next code of the next cell, which a kernel may get ready meanwhile */
  execute(code: string, onOutput: (output: Output) => void, next?: string): Promise<CellResult>;
  /** Asks the running cell to stop. */
  interrupt(): void;
  /** Ends the kernel's process at once; a running cell ends with it. */
  kill(): void;
  close(): Promise<void>;
}

export interface CellResult {
  executionCount: number | null;
  error?: ErrorContent;
  /** Whether the kernel has died of it. */
  died: boolean;
}

export interface KernelStart {
  /** The notebook's folder. */
  folder: string;
  /** The working folder of the cells. */
  cwd: string;
  /** Gives up the start. */
  signal: AbortSignal;
}

/**
 * Starts this package's kernel, without sockets.
 * @throws ModalscopeError when it does not start; the signal's reason when that comes first.
 */
export async function startOwnKernel({ folder, cwd, signal }: KernelStart): Promise<RunnerKernel> {
  signal.throwIfAborted();
  let death: ErrorContent | undefined;
  const onDeath = (error: ErrorContent): void => {
    death = error;
  };
  const session = openSession({ folder, cwd, onDeath, addsStills: true });
  const aborted = once(signal, "abort").then(() => undefined);
  // The first cell pays for the compiler's start: this one, so that the time of the first real one is its own.
  const first = await Promise.race([session.execute("void 0", { count: 0, onOutput() {} }), aborted]);
  if (first === undefined || first.error !== undefined) {
    await session.close();
    signal.throwIfAborted();
    throw new ModalscopeError("The kernel did not start.", first?.error?.evalue);
  }
  let count = 0;
  return {
    languageInfo,
    leavesStills: true,
    get death() {
      return death;
    },
    async execute(code, onOutput, next) {
      count++;
      const { error, cause } = await session.execute(code, { count, onOutput, next });
      return { executionCount: count, error, died: cause === "death" };
    },
    interrupt: session.interrupt,
    kill: () => void session.close(),
    close: session.close,
  };
}
