import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  flag,
  integer,
  integers,
  list,
  type OptionChecks,
  positions,
  record,
  TASK_OPTIONS,
  tensorLike,
  text,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import type { Tensor } from "../../tensor.js";
import type { KeyValues, Positions } from "../batch/index.js";
import type { ActivationCache, CaptureRequest } from "../captures/index.js";
import type { Edits } from "../edits/index.js";
import { runBlocks } from "./blocks.js";
import { embedBatch } from "./embed.js";
import { finalNorm, firstLogitPosition, logitsAt, touchesHead } from "./head.js";
import type { PreparedRun } from "./prepare-run.js";

/** Options of `Model.run`. */
export interface RunOptions extends TaskOptions {
  /** Hook names or patterns to capture, or requests that keep less. */
  readonly capture?: readonly CaptureRequest[];
  /** A safetensors file for the captures, where they would fill the memory. */
  readonly captureTo?: string;
  readonly edits?: Edits;
  /** Columns to compute logits at: all (default; zero at padding), the last token, chosen ones, or nowhere. */
  readonly logits?: Positions | "none";
  /** First block to run, on `residual` instead of the embeddings. */
  readonly startAtLayer?: number;
  /** The residual stream before `startAtLayer`, (batch, time, hidden_size), such as another run's `residual`. */
  readonly residual?: Tensor;
  /** Stops before this block; no logits then. */
  readonly stopAtLayer?: number;
  /** Blocks that are left out: the residual stream passes them unchanged. */
  readonly skipLayers?: readonly number[];
  /** Keep each layer's rotated keys and values, to go on from. */
  readonly useCache?: boolean;
}

const RUN_OPTIONS: OptionChecks<RunOptions> = {
  ...TASK_OPTIONS,
  capture: list,
  captureTo: text,
  edits: record,
  logits: (value) => (value === "none" ? undefined : positions(value)),
  startAtLayer: integer(),
  residual: tensorLike,
  stopAtLayer: integer(),
  skipLayers: integers,
  useCache: flag,
};

/** @throws ModalscopeError for an option that `Model.run` does not have, or a value that is not of its kind */
export function checkRunOptions(options: RunOptions): void {
  checkOptions("model.run", options, RUN_OPTIONS);
}

export interface RunResult {
  /** (batch, positions, vocab_size); undefined where none were asked for. */
  readonly logits: Tensor | undefined;
  /** For each row, the columns that the logits stand at. */
  readonly logitPositions: readonly (readonly number[])[];
  readonly cache: ActivationCache;
  /**
   * The residual stream after the last block that ran, (batch, time, hidden_size); undefined where logits were asked
   * for at some columns and the last block computed no others. A capture of its `hook_resid_post` has it in any case.
   */
  readonly residual: Tensor | undefined;
  /** By layer; empty without `useCache`. */
  readonly pastKeyValues: readonly (KeyValues | undefined)[];
}

/** Runs a prepared run: embedding, blocks, and the head where logits or hooks there are asked for. */
export async function run(prepared: PreparedRun, options: RunOptions): Promise<RunResult> {
  const { recorder, range } = prepared;
  const { stopAtLayer, skipLayers, startAtLayer } = range;
  const { logits = "all" } = options;
  try {
    checkResidual(prepared, options);
    const { x, pass } = await embedBatch(prepared, prepared.batch, options);
    const firstPosition = stopAtLayer === undefined ? firstLogitPosition(logits, pass) : undefined;
    const blocks = { startAtLayer, stopAtLayer, skipLayers, firstPosition };
    const ran = await runBlocks(prepared, pass, x, blocks);
    const withLogits = stopAtLayer === undefined && logits !== "none";
    const head = withLogits ? await logitsAt(prepared, ran.pass, ran.x, logits) : undefined;
    if (stopAtLayer === undefined && !head && touchesHead(prepared)) await finalNorm(prepared, pass, ran.x);
    return {
      logits: head?.logits,
      logitPositions: head?.logitPositions ?? [],
      cache: recorder.finish(),
      residual: ran.pass === pass ? ran.x : undefined,
      pastKeyValues: ran.keyValues,
    };
  } finally {
    recorder.abort();
  }
}

function checkResidual({ engine, batch }: PreparedRun, { startAtLayer, residual }: RunOptions): void {
  if ((startAtLayer === undefined) !== (residual === undefined)) {
    throw new ModalscopeError(
      `The run is given ${residual ? "residual without startAtLayer" : "startAtLayer without residual"}.`,
      "A run that starts at a block needs the residual stream before it.",
      "Give both, such as { startAtLayer: 4, residual: earlier.residual }.",
    );
  }
  const expected = [batch.size, batch.seqLength, engine.config.hidden_size];
  if (residual && residual.shape.join() !== expected.join()) {
    throw new ModalscopeError(
      `The starting stream has the shape (${residual.shape.join(", ")}).`,
      `This batch needs (${expected.join(", ")}).`,
    );
  }
}
