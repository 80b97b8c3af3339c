import {
  callback,
  checkOptions,
  flag,
  integer,
  integers,
  list,
  number,
  type OptionChecks,
  optional,
  record,
  TASK_OPTIONS,
  texts,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { ActivationCache, CaptureRequest } from "../captures/index.js";
import type { Edits } from "../edits/index.js";

/** Options of `Model.generate`. */
export interface GenerateOptions extends TaskOptions {
  /** Tokens at most (default 100). */
  readonly maxNewTokens?: number;
  /** 0 (default) takes the likeliest token; above 0 the distribution is sampled. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  /** Ends a row as soon as its text holds one of these; the text is cut before it. */
  readonly stopStrings?: readonly string[];
  /** Token ids that end a row (default: the checkpoint's own). */
  readonly eosTokenIds?: readonly number[];
  readonly edits?: Edits;
  /** Blocks that are left out, in the prompt and while decoding. */
  readonly skipLayers?: readonly number[];
  /** Kept at each step: `steps[0]` of the prompt, `steps[n]` of the n-th token read back. */
  readonly capture?: readonly CaptureRequest[];
  /** Keep the logits of each step. */
  readonly outputLogits?: boolean;
  /** Text as it comes, by row. */
  readonly onText?: (text: string, row: number) => void;
}

const GENERATE_OPTIONS: OptionChecks<GenerateOptions> = {
  ...TASK_OPTIONS,
  maxNewTokens: integer(1),
  temperature: number(0),
  topK: integer(1),
  topP: number(0, 1),
  seed: integer(),
  // An empty one is in every text, and would end a row at once.
  stopStrings: optional(
    "a list of strings that are not empty",
    (v) => texts(v) === undefined && !(v as string[]).includes(""),
  ),
  eosTokenIds: integers,
  edits: record,
  skipLayers: integers,
  capture: list,
  outputLogits: flag,
  onText: callback,
};

/** @throws ModalscopeError for an option that `Model.generate` does not have, or a value that is not of its kind */
export function checkGenerateOptions(options: GenerateOptions): void {
  checkOptions("model.generate", options, GENERATE_OPTIONS);
}

/** One row's continuation. */
export interface Generated {
  readonly text: string;
  /** Generated ids; the token that ended the row is the last of them. */
  readonly ids: readonly number[];
  /** The event that ended it: an end token, a stop string, or `maxNewTokens`. */
  readonly finishReason: "token" | "stop" | "length";
  /** By step, each (vocab_size); empty unless asked for. */
  readonly logits: readonly Tensor[];
  /** By step, for the whole batch; shared by its rows. */
  readonly steps: readonly ActivationCache[];
}
