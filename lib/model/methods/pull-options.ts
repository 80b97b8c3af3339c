/** What is pulled back, and what is handed over. */
import {
  callback,
  integer,
  list,
  type OptionChecks,
  oneOf,
  required,
  some,
  TASK_OPTIONS,
  text,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";

/** A vector to pull back: the row of targets that reads `vector · hook` at a column. */
export interface PullTarget {
  readonly hook: string;
  readonly column: number;
  /** Of the hook's width; heads follow each other. */
  readonly vector: ArrayLike<number>;
}

/** A hook whose cotangents are handed over. */
export interface PullPoint {
  readonly hook: string;
  /**
   * (time, K, width), in the tower (images, time, K, width): hands over the products with K vectors at each position in
   * place of the cotangents.
   */
  readonly vectors?: Tensor;
}

/** A linear way past the MLP of a block: `to` has matrix · `from` in it, and what else it holds is a constant. */
export interface SkipConnection {
  /** Such as `blocks.3.mlp.hook_in`. */
  readonly from: string;
  /** A hook of the same block, such as `blocks.3.mlp.hook_out`. */
  readonly to: string;
  /** (width of `to`, width of `from`) */
  readonly matrix: Tensor;
}

/** The cotangents of some rows at a hook. Columns that are left out at the end are zero. */
export interface Pulled {
  /** A hook, or the biases of a piece: `biases of 3`, `biases of vision.blocks.0`. */
  readonly hook: string;
  /** Numbers of the rows: targets in the order in which they were given. */
  readonly rows: readonly number[];
  /** (rows, time, …); (time, rows, K) of a point with vectors; (rows) of biases; (rows, images, …) in the tower. */
  readonly values: Tensor;
}

export interface PullOptions extends TaskOptions {
  /** Rows to pull back; those that start nearer to the head come first. */
  readonly targets: readonly PullTarget[];
  /**
   * Further rows that start inside a block, asked for when the rows so far have been pulled through it. They reach what
   * lies before their hook.
   */
  readonly join?: (layer: number) => readonly PullTarget[];
  /** The hook of each block that rows of `join` start at, where it is one: a streamed block is then loaded once. */
  readonly joinAt?: string;
  readonly at: readonly PullPoint[];
  /** Skip connections, at most one of each block; without them nothing goes through an MLP. */
  readonly skips?: readonly SkipConnection[];
  /** Receives cotangents as they come; nothing of them is kept. */
  readonly take: (pulled: Pulled) => void;
  /** Also hands over what each piece's own biases contribute, Σ g · b; those of the tower only with true. */
  readonly biases?: boolean | "language model";
  /** Rows in one call (default 64). */
  readonly atOnce?: number;
  /** Most rows that there will be, for the estimate of memory (default: those of `targets`). */
  readonly most?: number;
}

export const PULL_OPTIONS: OptionChecks<PullOptions> = {
  ...TASK_OPTIONS,
  targets: required(some(list), "a list of targets"),
  join: callback,
  joinAt: text,
  at: required(some(list), "a list of hooks"),
  skips: list,
  take: required(callback, "a function"),
  biases: oneOf(true, false, "language model"),
  atOnce: integer(1),
  most: integer(0),
};
