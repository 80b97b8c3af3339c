/** Prepares a run: which hooks it reaches, its edits and captures, checked against the batch and the memory. */
import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import type { Batch, Pass, Positions } from "../batch/index.js";
import { CaptureRecorder, type CaptureRequest } from "../captures/index.js";
import { checkPlan, type Edits, planEdits } from "../edits/index.js";
import {
  blockBytes,
  checkMemory,
  ELEMENT_BYTES,
  type Engine,
  keyBytes,
  logitBytes,
  type MemoryDemand,
  type RunContext,
} from "../engine/index.js";
import { HEAD } from "../families/index.js";
import { type Hook, type RunRange, reaches } from "../hooks/index.js";
import { passFor, towerBytes } from "../vision/index.js";
import { batchPass, runsVision } from "./embed.js";
import { logitPositionsOf } from "./head.js";

/** The part of a run's options that decides what happens while it computes. */
export interface RunRequest extends TaskOptions {
  readonly edits?: Edits;
  readonly capture?: readonly CaptureRequest[];
  readonly captureTo?: string;
  readonly startAtLayer?: number;
  readonly stopAtLayer?: number;
  readonly skipLayers?: readonly number[];
  readonly logits?: Positions | "none";
  readonly useCache?: boolean;
  /** Tokens that are generated after the prompt (default 0). */
  readonly generated?: number;
}

/** A run that can start: everything it needs is checked. */
export interface PreparedRun extends RunContext {
  readonly batch: Batch;
  /** The pass over the whole batch. */
  readonly pass: Pass;
  /** Rows and columns of a hook's tensor. */
  readonly passFor: (hook: Hook) => Pass;
  readonly range: RunRange;
  /** A recorder of the same captures, for another pass of the same run. */
  readonly newRecorder: () => CaptureRecorder;
}

/**
 * Prepares a run of a batch.
 * @param demand memory that the run needs, by what it is for
 * @throws ModalscopeError for a block, hook, row or position that is not there, a hook that does not run, an edit that
 * does not fit, or more memory than there is
 */
export function prepareRun(
  engine: Engine,
  batch: Batch,
  request: RunRequest,
  demand: (run: PreparedRun, request: RunRequest) => MemoryDemand = runDemand,
): PreparedRun {
  const { onProgress, signal, useCache, edits = {}, capture = [], logits = "all" } = request;
  const pass = batchPass(engine, batch);
  const counted = passFor(engine, batch, pass);
  const range = runRange(engine, batch, request);
  const newRecorder = (): CaptureRecorder => new CaptureRecorder(engine.hooks, capture, reaches(range));
  const recorder = newRecorder();
  recorder.check(counted);
  // Without logits, the head still runs as far as it is captured.
  const head = logits !== "none" || recorder.localNames(HEAD).length > 0;
  const plan = planEdits(engine.hooks, edits, reaches({ ...range, head }));
  checkPlan(engine.hooks, plan, counted, request.generated);
  const keyValues = useCache ? "all" : undefined;
  const context: RunContext = { engine, plan, recorder, keyValues, onProgress, signal };
  const run: PreparedRun = { ...context, batch, pass, passFor: counted, range, newRecorder };
  checkMemory(engine, demand(run, request));
  if (request.captureTo !== undefined) {
    recorder.toFile(request.captureTo, counted, engine.float === "float32" ? "F32" : "F64");
  }
  return run;
}

/**
 * The part of the model that a run computes.
 * @throws ModalscopeError for a block that is not there, or a range without any
 */
export function runRange(
  engine: Engine,
  batch: Batch,
  { startAtLayer, stopAtLayer, skipLayers }: RunRequest,
): RunRange {
  const layers = engine.config.num_hidden_layers;
  const bad =
    [stopAtLayer, startAtLayer].find((l) => l !== undefined && !isLayer(l, layers)) ??
    skipLayers?.find((l) => !isLayer(l, layers - 1));
  if (bad !== undefined) {
    throw new ModalscopeError(`There is no block ${bad}.`, `The model has blocks 0 to ${layers - 1}.`);
  }
  if (stopAtLayer !== undefined && startAtLayer !== undefined && stopAtLayer < startAtLayer) {
    throw new ModalscopeError(
      `The run starts at block ${startAtLayer} and stops before block ${stopAtLayer}.`,
      "Nothing would run.",
    );
  }
  return { startAtLayer, stopAtLayer, skipLayers, withVision: runsVision(engine, batch, startAtLayer) };
}

const isLayer = (l: number, last: number): boolean => Number.isInteger(l) && l >= 0 && l <= last;

/** Memory of one pass: captures, logits, keys and values, and the values inside the block that needs most. */
export function runDemand(run: PreparedRun, request: RunRequest): MemoryDemand {
  const { engine, pass, recorder } = run;
  const { size, seqLength: time } = pass;
  const { logits = "all" } = request;
  const columns = logits === "all" ? time : logits === "none" ? 0 : logitPositionsOf(logits, pass)[0].length;
  return {
    captures:
      request.captureTo === undefined ? recorder.estimate(run.passFor, ELEMENT_BYTES[engine.float]) : 0,
    logits: logitBytes(engine, size, request.stopAtLayer === undefined ? columns : 0),
    "keys and values": request.useCache ? keyBytes(engine, size, time) : 0,
    "values inside a block": innerBytes(run),
  };
}

/** Bytes of the values inside the block, or the vision block, that needs most. */
export function innerBytes(run: PreparedRun): number {
  const { engine, pass, plan, range, batch } = run;
  return Math.max(blockBytes(engine, pass, plan), range.withVision ? towerBytes(run, batch) : 0);
}
