import { createContext, Script } from "node:vm";
import { ModalscopeError } from "../../errors.js";

const context = createContext({ work: undefined });
const script = new Script("work()");

/**
 * Runs synchronous work with a limit of time, which also stops a regular expression that backtracks without end.
 * @param milliseconds of wall clock
 * @param what names the work in the error: "The tokenizer of …"
 * @throws ModalscopeError when the time is up
 */
export function withinTime<T>(milliseconds: number, what: string, work: () => T): T {
  const before = context.work;
  context.work = work;
  try {
    return script.runInContext(context, { timeout: Math.ceil(milliseconds) }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new ModalscopeError(
      `${what} was stopped after ${(milliseconds / 1000).toFixed(1)} s:`,
      "one of its regular expressions may take time without end on this text.",
      "The file may be damaged or hostile. Use the tokenizer of the original checkpoint.",
      { cause: error },
    );
  } finally {
    context.work = before;
  }
}
