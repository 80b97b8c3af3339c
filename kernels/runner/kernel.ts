import { languageInfo } from "../typescript/language-info.js";
import type { ErrorContent, Output } from "../typescript/messages.js";
import { openSession } from "../typescript/session.js";

/** What runs a notebook's cells, whatever its language. */
export interface RunnerKernel {
  /** For the notebook's metadata. */
  readonly languageInfo: Record<string, unknown>;
  execute(code: string, onOutput: (output: Output) => void): Promise<CellResult>;
  interrupt(): void;
  close(): Promise<void>;
}

export interface CellResult {
  executionCount: number | null;
  error?: ErrorContent;
  /** Whether the kernel has died of it. */
  died: boolean;
}

/** This package's kernel, without sockets. */
export function ownKernel(options: { folder: string; cwd: string }): RunnerKernel {
  const session = openSession(options);
  let count = 0;
  return {
    languageInfo,
    async execute(code, onOutput) {
      // As everywhere in Jupyter, a cell of white space is not run and has no number.
      if (code.trim() === "") return { executionCount: null, died: false };
      count++;
      const { error, cause } = await session.execute(code, { count, onOutput });
      return { executionCount: count, error, died: cause === "death" };
    },
    interrupt: session.interrupt,
    close: session.close,
  };
}
