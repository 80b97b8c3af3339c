import type { Cell, Notebook } from "../../lib/notebook/index.js";
import type { ErrorContent, Output } from "../protocol/index.js";

/** Progress of a run. `index` counts code cells from 0, of `cells`; `name` is the cell's, for people. */
export type RunEvent =
  | { type: "start"; notebook: Notebook; cells: number }
  | { type: "cell-start"; cell: Cell; index: number; cells: number; name: string }
  | { type: "output"; cell: Cell; output: Output }
  | { type: "cell-end"; cell: Cell; index: number; seconds: number; error?: ErrorContent }
  /** A cell that is not run: its tag says so, or its earlier outputs were kept. */
  | {
      type: "cell-skip";
      cell: Cell;
      index: number;
      cells: number;
      name: string;
      reason: "skip-execution" | "cached";
    }
  /** What the given parameters do not reach; it comes before the first cell. */
  | { type: "warning"; message: string }
  /** A save failed; the next one is tried all the same. */
  | { type: "save-failed"; error: unknown };

export type OnEvent = (event: RunEvent) => void;
