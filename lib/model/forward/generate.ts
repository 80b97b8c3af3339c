import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { type Random, seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/batch.js";
import { type KeyValues, type Pass, promptPass } from "../batch/pass.js";
import type { ActivationCache } from "../captures/activation-cache.js";
import { CaptureRecorder, type CaptureRequest } from "../captures/recorder.js";
import type { Tokenizer } from "../checkpoint/index.js";
import type { Edits } from "../edits/edit.js";
import { checkPlan, type Plan, planEdits } from "../edits/plan.js";
import type { Engine } from "../engine/engine.js";
import { blockBytes, checkMemory, keyBytes, logitBytes, type MemoryDemand } from "../engine/estimate.js";
import { ELEMENT_BYTES } from "../engine/pool.js";
import type { RunContext } from "../engine/run-piece.js";
import { type Hook, reaches } from "../hooks/index.js";
import { passFor } from "../vision/rows.js";
import { towerBytes } from "../vision/tower.js";
import { runBlocks } from "./blocks.js";
import { embedBatch, embedTokens, runsVision } from "./embed.js";
import { logitsAt } from "./head.js";

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

/** One row's continuation. */
export interface Generated {
  readonly text: string;
  /** Generated ids; the token that ended the row is the last of them. */
  readonly ids: readonly number[];
  /** What ended it. */
  readonly finishReason: "token" | "stop" | "length";
  /** By step, each (vocab_size); empty unless asked for. */
  readonly logits: readonly Tensor[];
  /** By step, for the whole batch; shared by its rows. */
  readonly steps: readonly ActivationCache[];
}

/** What generating needs of a model. */
interface Generator {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer | undefined;
  /** Tokens that end a row unless others are given. */
  readonly eosTokenIds: readonly number[];
  decode(ids: readonly number[]): string;
}

interface Row {
  readonly ids: number[];
  readonly logits: Tensor[];
  readonly random: Random;
  text: string;
  /** Characters that `onText` was given. */
  streamed: number;
  finishReason?: Generated["finishReason"];
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
  const maxNewTokens = options.maxNewTokens ?? 100;
  const runs = reaches({ skip: options.skipLayers, withVision: runsVision(engine, batch) });
  const plan = planEdits(engine.hooks, options.edits ?? {}, runs);
  const { max_position_embeddings: most } = engine.config;
  if (batch.seqLength + maxNewTokens > most) {
    throw new ModalscopeError(
      `${batch.seqLength} tokens of prompt and ${maxNewTokens} more are too many.`,
      `The model was made for ${most} (max_position_embeddings).`,
      "Ask for fewer: maxNewTokens.",
    );
  }
  let pass = promptPass(batch);
  const counted = passFor(engine, batch, pass);
  checkPlan(engine.hooks, plan, counted, maxNewTokens);
  const newRecorder = (): CaptureRecorder => new CaptureRecorder(engine.hooks, options.capture ?? [], runs);
  newRecorder().check(counted);
  checkMemory(
    engine,
    demandOf(engine, batch, pass, counted, plan, newRecorder(), maxNewTokens, options.outputLogits),
  );
  const stopIds = new Set(options.eosTokenIds ?? model.eosTokenIds);
  const steps: ActivationCache[] = [];
  const rows: Row[] = batch.tokenPositions.map((_, b) => ({
    ids: [],
    logits: [],
    text: "",
    streamed: 0,
    random: seeded((options.seed ?? 0) + 1_000_003 * b),
  }));
  let ids = batch.inputIds;
  for (let step = 0; step < maxNewTokens; step++) {
    options.signal?.throwIfAborted();
    const recorder = newRecorder();
    const company: RunContext = { plan, recorder, useCache: true, signal: options.signal };
    const entered =
      step === 0
        ? await embedBatch(engine, batch, company)
        : { pass, x: embedTokens(engine, ids, pass, company) };
    pass = entered.pass;
    const { x } = entered;
    const at = step === 0 ? batch.last.map((c) => [c]) : rows.map(() => [pass.start]);
    const asked = Math.min(...at.flat());
    const ran = await runBlocks(engine, pass, x, {
      ...company,
      skipLayers: options.skipLayers,
      firstPosition: asked,
    });
    const { logits } = await logitsAt(engine, ran.pass, ran.x, at, company);
    if (options.capture) steps.push(recorder.finish());
    ids = Int32Array.from(rows, (row, b) => extend(model, row, vectorAt(logits, b), b, stopIds, options));
    options.onProgress?.(step + 1, maxNewTokens, "tokens");
    if (rows.every((row) => row.finishReason)) break;
    pass = nextPass(pass, batch, ran.keyValues, step);
  }
  rows.forEach((row, b) => {
    if (row.streamed < row.text.length) options.onText?.(row.text.slice(row.streamed), b);
  });
  return rows.map(({ ids, logits, text, finishReason }) => ({
    ids,
    logits,
    text,
    finishReason: finishReason ?? "length",
    steps,
  }));
}

/** What a generation holds at its end, if no row ends before. */
function demandOf(
  engine: Engine,
  batch: Batch,
  pass: Pass,
  counted: (hook: Hook) => Pass,
  plan: Plan,
  recorder: CaptureRecorder,
  maxNewTokens: number,
  outputLogits = false,
): MemoryDemand {
  const { size, seqLength: time } = pass;
  const element = ELEMENT_BYTES[engine.float];
  const captured = (start: number): number =>
    // Images are looked at once, with the prompt.
    recorder.estimate(
      (hook) => ({ size: counted(hook) === pass ? size : 0, seqLength: 1, start, phase: "decoding" }),
      element,
    );
  // What a step keeps grows evenly with the keys, or not at all.
  const decoded = ((maxNewTokens - 1) * (captured(time) + captured(time + maxNewTokens - 2))) / 2;
  return {
    captures: recorder.estimate(counted, element) + decoded,
    logits: logitBytes(engine, size, outputLogits ? maxNewTokens : 1),
    // Each step writes them anew, one position longer, before the last step's are let go.
    "keys and values": 2 * keyBytes(engine, size, time + maxNewTokens - 1),
    "values inside a block": Math.max(
      blockBytes(engine, pass, plan),
      towerBytes(engine, batch, plan, recorder),
    ),
  };
}

/** Chooses a row's next token and returns it; a row that has ended goes on with padding nobody reads. */
function extend(
  model: Generator,
  row: Row,
  logits: Tensor,
  b: number,
  ends: ReadonlySet<number>,
  options: GenerateOptions,
): number {
  if (row.finishReason) return 0;
  if (options.outputLogits) row.logits.push(logits);
  const id = sampleToken(logits.data, options, row.random);
  row.ids.push(id);
  if (ends.has(id)) {
    row.finishReason = "token";
    return id;
  }
  if (!model.tokenizer) return id;
  const text = model.decode(row.ids);
  const cut = (options.stopStrings ?? []).map((s) => text.indexOf(s)).filter((i) => i >= 0);
  const shown = cut.length > 0 ? text.slice(0, Math.min(...cut)) : text;
  if (cut.length > 0) row.finishReason = "stop";
  row.text = shown;
  // Held back: a character that is not complete yet (U+FFFD), and what may be the start of a stop string.
  const settled = row.finishReason
    ? shown
    : shown.slice(0, shown.length - heldBackChars(shown, options.stopStrings ?? []));
  if (settled.length > row.streamed) {
    options.onText?.(settled.slice(row.streamed), b);
    row.streamed = settled.length;
  }
  return id;
}

/** How many last characters may still change or turn out to belong to a stop string. */
function heldBackChars(text: string, stops: readonly string[]): number {
  let held = text.endsWith("\uFFFD") ? 1 : 0;
  for (const stop of stops) {
    for (let n = Math.min(stop.length - 1, text.length); n > held; n--) {
      if (stop.startsWith(text.slice(text.length - n))) held = n;
    }
  }
  return held;
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

/** The likeliest token, or one drawn from the distribution cut to the top k and the nucleus p. */
export function sampleToken(
  logits: Float32Array,
  { temperature = 0, topK, topP }: Pick<GenerateOptions, "temperature" | "topK" | "topP">,
  random: Random,
): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  if (temperature <= 0) return best;
  // Tokens this far below the best have no weight that a float could show: most of a large vocabulary.
  const floor = logits[best] - 40 * temperature;
  let order = Array.from(logits.keys()).filter((i) => logits[i] >= floor);
  order.sort((a, b) => logits[b] - logits[a]);
  if (topK !== undefined) order = order.slice(0, Math.max(1, topK));
  const weights = order.map((i) => Math.exp((logits[i] - logits[best]) / temperature));
  const kept = nucleus(weights, topP ?? 1);
  let point = random.uniform() * kept.reduce((a, b) => a + b, 0);
  for (let i = 0; i < kept.length; i++) {
    point -= kept[i];
    if (point < 0) return order[i];
  }
  return order[kept.length - 1];
}

/** The fewest leading weights that hold a share p of the total. */
function nucleus(weights: readonly number[], p: number): number[] {
  const target = p * weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  let n = 0;
  while (n < weights.length && sum < target) sum += weights[n++];
  return weights.slice(0, Math.max(1, n));
}
