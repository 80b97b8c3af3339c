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
import { type Batch, KeyCache, keepRows, type Pass } from "../batch/index.js";
import type { ActivationCache } from "../captures/index.js";
import {
  ELEMENT_BYTES,
  type Engine,
  keyBytes,
  logitBytes,
  type MemoryDemand,
  type RunContext,
} from "../engine/index.js";
import { runAlikeRows } from "./alike-rows.js";
import { type BlocksOptions, type BlocksResult, runBlocks } from "./blocks.js";
import { Continuation, type Decoder, readTexts } from "./continuation.js";
import { embedBatch, embedTokens } from "./embed.js";
import type { Generated, GenerateOptions } from "./generate-options.js";
import { logitsAt } from "./head.js";
import { innerBytes, type PreparedRun, prepareRun } from "./prepare-run.js";

/** Rows that have ended leave the pass when no more than this share is open: until then copying their keys costs more. */
const KEPT_SHARE = 0.75;

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
  // Edits of the prompt alone are done with when decoding begins.
  const decodingPlan = new Map(
    [...run.plan].filter(([, own]) => own.some(({ edit }) => edit.phase !== "prompt")),
  );
  /** Somebody waits for the texts as they grow. */
  const readsAlong = (options.stopStrings?.length ?? 0) > 0 || options.onText !== undefined;
  const drops = capture === undefined && decodingPlan.size === 0;
  let { pass } = run;
  let keys: KeyCache | undefined;
  let ids = batch.inputIds;
  /** Rows of the batch that are in the pass. */
  let present = rows.map((_, row) => row);
  for (let step = 0; step < maxNewTokens; step++) {
    signal?.throwIfAborted();
    const recorder = run.newRecorder();
    const plan = step === 0 ? run.plan : decodingPlan;
    const keyValues = keys ? "new" : "all";
    const context: RunContext = { engine, plan, recorder, keyValues, signal };
    const at = step === 0 ? batch.last.map((c) => [c]) : present.map(() => [pass.start]);
    const blocks = { skipLayers, firstPosition: Math.min(...at.flat()) };
    const ran =
      step === 0
        ? await readPrompts(context, batch, { blocks, alike: capture === undefined })
        : await runBlocks(context, pass, embedTokens(context, ids, pass), blocks);
    const { logits } = await logitsAt(context, ran.pass, ran.x, at);
    if (capture) steps.push(recorder.finish());
    const growing = present.map((row) => rows[row]).filter(({ finishReason }) => !finishReason);
    ids = Int32Array.from(present, (row, b) => rows[row].extend(vectorAt(logits, b)));
    if (readsAlong)
      readTexts(
        model,
        growing.filter(({ finishReason }) => !finishReason),
      );
    onProgress?.(step + 1, maxNewTokens, "tokens");
    const open = [...present.keys()].filter((b) => !rows[present[b]].finishReason);
    if (open.length === 0) break;
    const positions = Int32Array.from(present, (row) => batch.nextPositionIds[row] + step);
    if (keys) keys.append(ran.keyValues);
    else keys = new KeyCache(ran.keyValues, batch.seqLength + maxNewTokens - 1);
    pass = nextPass(pass, positions);
    if (drops && open.length <= KEPT_SHARE * present.length) {
      pass = keepRows(pass, open);
      keys = keys.rows(open);
      ids = Int32Array.from(open, (b) => ids[b]);
      present = open.map((b) => present[b]);
    }
    pass = { ...pass, past: keys.past };
  }
  if (!readsAlong) readTexts(model, rows);
  for (const row of rows) row.flush();
  return rows.map(({ ids, logits, text, finishReason = "length" }) => ({
    ids,
    logits,
    text,
    finishReason,
    steps,
  }));
}

/** The prompts through all blocks. @param alike read what rows share once: nothing is captured */
async function readPrompts(
  context: RunContext,
  batch: Batch,
  { blocks, alike }: { readonly blocks: BlocksOptions; readonly alike: boolean },
): Promise<BlocksResult> {
  const shared = alike ? await runAlikeRows(context, batch, blocks) : undefined;
  if (shared) return shared;
  const { pass, x } = await embedBatch(context, batch);
  return runBlocks(context, pass, x, blocks);
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
    // Those of the prompt come by themselves before they are kept; so do those of the rows that stay when others end.
    "keys and values": 2 * keyBytes(engine, size, time + maxNewTokens - 1),
    "values inside a block": innerBytes(run),
  };
}

/** The pass that reads the tokens just chosen, without the keys of those before. */
function nextPass(pass: Pass, positions: Int32Array): Pass {
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
    positionIds: pass.positionIds.map(() => positions),
    injections: undefined,
    bidirectionalSpans: undefined,
    keyMask,
    tokenPositions: Array.from(positions, () => [keys]),
    phase: "decoding",
    past: [],
  };
}

function vectorAt(logits: Tensor, b: number): Tensor {
  const width = logits.shape[2];
  return { data: logits.data.slice(b * width, (b + 1) * width), shape: [width] };
}
