/**
 * Greedy or sampled continuation of prompts, with a key/value cache:
 *
 *     pass = the whole prompts                every later pass reads one column, on top of the cached keys and values
 *     x = blocks(embed(pass))
 *     ids = sample(head(x at the last token)) one token a row; a row ends at an end token or a stop string
 *     pass = ids
 */
import { ModalscopeError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { Batch, KeyValues, Pass } from "../batch/index.js";
import type { ActivationCache } from "../captures/index.js";
import {
  ELEMENT_BYTES,
  type Engine,
  keyBytes,
  logitBytes,
  type MemoryDemand,
  type RunContext,
} from "../engine/index.js";
import { runBlocks } from "./blocks.js";
import { Continuation, type Decoder } from "./continuation.js";
import { embedBatch, embedTokens } from "./embed.js";
import type { Generated, GenerateOptions } from "./generate-options.js";
import { logitsAt } from "./head.js";
import { innerBytes, type PreparedRun, prepareRun } from "./prepare-run.js";

/** The parts of a model that generating needs. */
interface Generator extends Decoder {
  readonly engine: Engine;
}

/**
 * Reads the prompts once, then one token of every row at a time, with a key/value cache.
 * @throws ModalscopeError for a hook that is unknown or does not run, an edit that does not fit, more tokens than the
 * model was made for, or more captures, logits and keys than the memory holds
 */
export async function generate(
  model: Generator,
  batch: Batch,
  options: GenerateOptions,
): Promise<Generated[]> {
  const { engine } = model;
  const { maxNewTokens = 100, skipLayers, signal, onProgress } = options;
  checkLength(engine, batch, maxNewTokens);
  const { edits, capture } = options;
  const request = { edits, capture, skipLayers, generated: maxNewTokens };
  const run = prepareRun(engine, batch, request, (prepared) => generateDemand(prepared, options));
  const rows = batch.tokenPositions.map((_, row) => new Continuation(model, row, options));
  const steps: ActivationCache[] = [];
  let { pass } = run;
  let ids = batch.inputIds;
  for (let step = 0; step < maxNewTokens; step++) {
    signal?.throwIfAborted();
    const recorder = run.newRecorder();
    const context: RunContext = { engine, plan: run.plan, recorder, useCache: true, signal };
    const embedded =
      step === 0 ? await embedBatch(context, batch) : { pass, x: embedTokens(context, ids, pass) };
    const at = step === 0 ? batch.last.map((c) => [c]) : rows.map(() => [pass.start]);
    const blocks = { skipLayers, firstPosition: Math.min(...at.flat()) };
    const ran = await runBlocks(context, embedded.pass, embedded.x, blocks);
    const { logits } = await logitsAt(context, ran.pass, ran.x, at);
    if (capture) steps.push(recorder.finish());
    ids = Int32Array.from(rows, (row, b) => row.extend(vectorAt(logits, b)));
    onProgress?.(step + 1, maxNewTokens, "tokens");
    if (rows.every((row) => row.finishReason)) break;
    pass = nextPass(embedded.pass, batch, ran.keyValues, step);
  }
  for (const row of rows) row.flush();
  return rows.map(({ ids, logits, text, finishReason = "length" }) => ({
    ids,
    logits,
    text,
    finishReason,
    steps,
  }));
}

/** @throws ModalscopeError for more tokens than the model was made for */
function checkLength({ config }: Engine, batch: Batch, maxNewTokens: number): void {
  const { max_position_embeddings: most } = config;
  if (batch.seqLength + maxNewTokens <= most) return;
  throw new ModalscopeError(
    `${batch.seqLength} tokens of prompt and ${maxNewTokens} more are too many.`,
    `The model was made for ${most} (max_position_embeddings).`,
    "Ask for fewer: maxNewTokens.",
  );
}

/** Memory of a generation at its end, if no row ends before. */
function generateDemand(
  run: PreparedRun,
  { maxNewTokens = 100, outputLogits = false }: GenerateOptions,
): MemoryDemand {
  const { engine, pass, recorder } = run;
  const { size, seqLength: time } = pass;
  const element = ELEMENT_BYTES[engine.float];
  const captured = (start: number): number =>
    // Images are encoded once, with the prompt.
    recorder.estimate(
      (hook) => ({ size: run.passFor(hook) === pass ? size : 0, seqLength: 1, start, phase: "decoding" }),
      element,
    );
  // Captures of a step grow evenly with the keys, or not at all.
  const decoded = ((maxNewTokens - 1) * (captured(time) + captured(time + maxNewTokens - 2))) / 2;
  return {
    captures: recorder.estimate(run.passFor, element) + decoded,
    logits: logitBytes(engine, size, outputLogits ? maxNewTokens : 1),
    // Each step writes them anew, one position longer, before the last step's are let go.
    "keys and values": 2 * keyBytes(engine, size, time + maxNewTokens - 1),
    "values inside a block": innerBytes(run),
  };
}

/** The pass that reads the tokens just chosen. */
function nextPass(pass: Pass, batch: Batch, past: readonly (KeyValues | undefined)[], step: number): Pass {
  const keys = pass.start + pass.seqLength;
  const keyMask = new Uint8Array(pass.size * (keys + 1));
  for (let b = 0; b < pass.size; b++) {
    keyMask.set(pass.keyMask.subarray(b * keys, (b + 1) * keys), b * (keys + 1));
    keyMask[b * (keys + 1) + keys] = 1;
  }
  return {
    ...pass,
    seqLength: 1,
    start: keys,
    positionIds: pass.positionIds.map(() =>
      Int32Array.from(batch.nextPositionIds, (position) => position + step),
    ),
    injections: undefined,
    bidirectionalSpans: undefined,
    keyMask,
    tokenPositions: batch.tokenPositions.map(() => [keys]),
    phase: "decoding",
    past,
  };
}

function vectorAt(logits: Tensor, b: number): Tensor {
  const width = logits.shape[2];
  return { data: logits.data.slice(b * width, (b + 1) * width), shape: [width] };
}
