/** The way to the notebook: the kernel puts a {@link Display} on the global object, and `show` finds it there. */

import type { Bundle, Display } from "../../display.js";

export type { Bundle, Display };

const KEY = Symbol.for("modalscope.display");
const SIGNAL = Symbol.for("modalscope.signal");

/** The notebook's display; `undefined` when this process is not a kernel. */
export function currentDisplay(): Display | undefined {
  return (globalThis as { [KEY]?: Display })[KEY];
}

/** What tells one run of a cell from another: the signal that stops it. `undefined` between cells and outside of a kernel. */
export function currentRun(): object | undefined {
  return (globalThis as { [SIGNAL]?: AbortSignal })[SIGNAL];
}
