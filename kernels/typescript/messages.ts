/** Messages between the parts of the kernel: compiler, process that runs the cells, session. */

import type { ErrorContent, Output } from "../protocol/index.js";

/** A mistake that the compiler found; `line` and `column` count from 1 in the cell. */
export interface Problem {
  message: string;
  code: number | undefined;
  line: number;
  column: number;
  length: number;
  /** The file, when it is not the cell itself. */
  file?: string;
}

/** Text inserted into a line of the cell before compilation; needed to map positions back. */
export interface Insertion {
  /** Counts from 0. */
  line: number;
  /** Column in the cell as written, from 0. */
  column: number;
  length: number;
}

/** The module that stands for the notebook's scope in a compiled cell. */
export const scopeSpecifier = "#scope";

/** A cell, ready to run. */
export interface CompiledCell {
  /** The cell's name in stack frames, such as `In[3]`. */
  name: string;
  javascript: string;
  /** Source map of `javascript`, to the cell with its `insertions`. */
  sourceMap: string;
  insertions: Insertion[];
  /** True for top-level await. */
  awaits: boolean;
  /** Modules to load before it runs, each with the names that it takes from it, and the import's attributes. */
  imports: { specifier: string; names: string[]; attributes?: Record<string, string> }[];
  /** Values that it declares for later cells. */
  declared: string[];
}

export type CompileResult = { ok: true; cell: CompiledCell } | { ok: false; problems: Problem[] };

export interface CompletionResult {
  matches: string[];
  /** Offsets in UTF-16 units. */
  start: number;
  end: number;
  types: { text: string; type: string; start: number; end: number }[];
}

export interface IsComplete {
  status: "complete" | "incomplete" | "invalid";
  indent: string;
}

/** Argument of the process that runs the cells, where figures get their still images on the session's side. */
export const addsStills = "adds-stills";

/** To the process that runs the cells. */
export type Command =
  | { type: "run"; run: number; code: string; cell: CompiledCell; count: number }
  | { type: "interrupt"; run: number }
  | { type: "input_reply"; request: number; value?: string; error?: string };

/** From the process that runs the cells. */
export type Report =
  | { type: "ready" }
  | { type: "output"; run: number; output: Output }
  | { type: "input_request"; run: number; request: number; prompt: string; password: boolean }
  | {
      type: "done";
      run: number;
      error?: ErrorContent;
      interrupted?: boolean;
      declared: string[];
      /** The hooks of the models that the cell has loaded. */
      hooks?: string[];
    }
  | { type: "exit"; code: number };
