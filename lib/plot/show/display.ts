/** The way to the notebook: the kernel puts a {@link Display} on the global object, and `show` finds it there. */

/** A result in several forms, by MIME type; the client takes the richest that it can draw. */
export type Bundle = Record<string, unknown>;

/** Outputs of the cell that runs. */
export interface Display {
  display(bundle: Bundle, options?: { metadata?: Record<string, unknown>; displayId?: string }): void;
  /** Replaces what `display` showed under this id. */
  update(displayId: string, bundle: Bundle, metadata?: Record<string, unknown>): void;
  /** Empties the cell's output; with `wait`, when the next output arrives. */
  clear(wait?: boolean): void;
}

const KEY = Symbol.for("modalscope.display");

/** The notebook's display; `undefined` when this process is not a kernel. */
export function currentDisplay(): Display | undefined {
  return (globalThis as { [KEY]?: Display })[KEY];
}
