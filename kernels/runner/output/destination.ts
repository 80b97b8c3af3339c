import type { Notebook } from "../../../lib/notebook/index.js";

/** Destination of a run's notebook. */
export interface Destination {
  /** The first save, before a cell is run: where it fails, no other can be hoped for. */
  begin(notebook: Notebook): Promise<void>;
  /** Brings the file up to date; what can be written only once, as standard output, waits for `finish`. */
  save(notebook: Notebook): void;
  /** The last save. */
  finish(notebook: Notebook): Promise<void>;
  /** Lets other runs write to it. */
  release(): void;
}
