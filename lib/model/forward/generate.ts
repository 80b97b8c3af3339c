import { ModalscopeError } from "../../errors.js";
import type { TaskOptions } from "../../progress.js";
import { type Random, seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/batch.js";
import { type KeyValues, type Pass, promptPass } from "../batch/pass.js";
import type { Cache } from "../captures/activation-cache.js";
import { type CaptureRequest, Sink } from "../captures/sink.js";
import type { Tokenizer } from "../checkpoint/index.js";
import type { Edits } from "../edits/edits.js";
import { checkPlan, type Plan, planEdits } from "../edits/plan.js";
import type { Engine } from "../engine/engine.js";
import { blockBytes, checkMemory, type Demand, keyBytes, logitBytes } from "../engine/estimate.js";
import { ELEMENT_BYTES } from "../engine/pool.js";
import type { Company } from "../engine/run-piece.js";
import { type Hook, reaches } from "../hooks/index.js";
import { passOf } from "../vision/rows.js";
import { towerBytes } from "../vision/tower.js";
import { runBlocks } from "./blocks.js";
import { embedTokens, enter, looks } from "./embed.js";
import { logitsAt } from "./head.js";

export interface GenerateOptions extends TaskOptions {
  /** Tokens at most (default 100). */
  readonly maxTokens?: number;
  /** 0 (default) takes the likeliest token; above 0 the distribution is sampled. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  /** Ends a row as soon as its text holds one of these; the text is cut before it. */
  readonly stop?: readonly string[];
  /** Token ids that end a row (default: the checkpoint's own). */
  readonly stopTokens?: readonly number[];
  readonly edits?: Edits;
  /** Blocks that are left out, in the prompt and while decoding. */
  readonly skip?: readonly number[];
  /** Kept at each step: `steps[0]` of the prompt, `steps[n]` of the n-th token read back. */
  readonly capture?: readonly CaptureRequest[];
  /** Keep the logits of each step. */
  readonly keepLogits?: boolean;
  /** Text as it comes, by row. */
  readonly onText?: (text: string, row: number) => void;
}

/** One row's continuation. */
export interface Generated {
  readonly text: string;
  /** Generated ids; the token that ended the row is the last of them. */
  readonly ids: readonly number[];
  /** What ended it. */
  readonly ended: "token" | "stop" | "length";
  /** By step, each (vocab_size); empty unless asked for. */
  readonly logits: readonly Tensor[];
  /** By step, for the whole batch; shared by its rows. */
  readonly steps: readonly Cache[];
}

/** What generating needs of a model. */
interface Generator {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer | undefined;
  /** Tokens that end a row unless others are given. */
  readonly endTokens: readonly number[];
  decode(ids: readonly number[]): string;
}

interface Row {
  readonly ids: number[];
  readonly logits: Tensor[];
  readonly random: Random;
  text: string;
  /** Characters that `onText` was given. */
  streamed: number;
  ended?: Generated["ended"];
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
  const maxTokens = options.maxTokens ?? 100;
  const runs = reaches({ skip: options.skip, withVision: looks(engine, batch) });
  const plan = planEdits(engine.hooks, options.edits ?? {}, runs);
  const { max_position_embeddings: most } = engine.config;
  if (batch.time + maxTokens > most) {
    throw new ModalscopeError(
      `${batch.time} tokens of prompt and ${maxTokens} more are too many.`,
      `The model was made for ${most} (max_position_embeddings).`,
      "Ask for fewer: maxTokens.",
    );
  }
  let pass = promptPass(batch);
  const counted = passOf(engine, batch, pass);
  checkPlan(engine.hooks, plan, counted, maxTokens);
  const sinkOf = (): Sink => new Sink(engine.hooks, options.capture ?? [], runs);
  sinkOf().check(counted);
  checkMemory(engine, demandOf(engine, batch, pass, counted, plan, sinkOf(), maxTokens, options.keepLogits));
  const ends = new Set(options.stopTokens ?? model.endTokens);
  const steps: Cache[] = [];
  const rows: Row[] = batch.columns.map((_, b) => ({
    ids: [],
    logits: [],
    text: "",
    streamed: 0,
    random: seeded((options.seed ?? 0) + 1_000_003 * b),
  }));
  let ids = batch.ids;
  for (let step = 0; step < maxTokens; step++) {
    options.signal?.throwIfAborted();
    const sink = sinkOf();
    const company: Company = { plan, sink, keepKeys: true, signal: options.signal };
    const entered =
      step === 0 ? await enter(engine, batch, company) : { pass, x: embedTokens(engine, ids, pass, company) };
    pass = entered.pass;
    const { x } = entered;
    const at = step === 0 ? batch.last.map((c) => [c]) : rows.map(() => [pass.start]);
    const asked = Math.min(...at.flat());
    const ran = await runBlocks(engine, pass, x, { ...company, skip: options.skip, asked });
    const { logits } = await logitsAt(engine, ran.pass, ran.x, at, company);
    if (options.capture) steps.push(sink.finish());
    ids = Int32Array.from(rows, (row, b) => extend(model, row, vectorAt(logits, b), b, ends, options));
    options.onProgress?.(step + 1, maxTokens, "tokens");
    if (rows.every((row) => row.ended)) break;
    pass = nextPass(pass, batch, ran.keys, step);
  }
  rows.forEach((row, b) => {
    if (row.streamed < row.text.length) options.onText?.(row.text.slice(row.streamed), b);
  });
  return rows.map(({ ids, logits, text, ended }) => ({ ids, logits, text, ended: ended ?? "length", steps }));
}

/** What a generation holds at its end, if no row ends before. */
function demandOf(
  engine: Engine,
  batch: Batch,
  pass: Pass,
  counted: (hook: Hook) => Pass,
  plan: Plan,
  sink: Sink,
  maxTokens: number,
  keepLogits = false,
): Demand {
  const { size, time } = pass;
  const element = ELEMENT_BYTES[engine.float];
  const captured = (start: number): number =>
    // Pictures are looked at once, with the prompt.
    sink.estimate(
      (hook) => ({ size: counted(hook) === pass ? size : 0, time: 1, start, phase: "decoding" }),
      element,
    );
  // What a step keeps grows evenly with the keys, or not at all.
  const decoded = ((maxTokens - 1) * (captured(time) + captured(time + maxTokens - 2))) / 2;
  return {
    captures: sink.estimate(counted, element) + decoded,
    logits: logitBytes(engine, size, keepLogits ? maxTokens : 1),
    // Each step writes them anew, one position longer, before the last step's are let go.
    "keys and values": 2 * keyBytes(engine, size, time + maxTokens - 1),
    "values inside a block": Math.max(blockBytes(engine, pass, plan), towerBytes(engine, batch, plan, sink)),
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
  if (row.ended) return 0;
  if (options.keepLogits) row.logits.push(logits);
  const id = choose(logits.data, options, row.random);
  row.ids.push(id);
  if (ends.has(id)) {
    row.ended = "token";
    return id;
  }
  if (!model.tokenizer) return id;
  const text = model.decode(row.ids);
  const cut = (options.stop ?? []).map((s) => text.indexOf(s)).filter((i) => i >= 0);
  const shown = cut.length > 0 ? text.slice(0, Math.min(...cut)) : text;
  if (cut.length > 0) row.ended = "stop";
  row.text = shown;
  // Held back: a character that is not complete yet (U+FFFD), and what may be the start of a stop string.
  const settled = row.ended ? shown : shown.slice(0, shown.length - unsettled(shown, options.stop ?? []));
  if (settled.length > row.streamed) {
    options.onText?.(settled.slice(row.streamed), b);
    row.streamed = settled.length;
  }
  return id;
}

/** How many last characters may still change or turn out to belong to a stop string. */
function unsettled(text: string, stops: readonly string[]): number {
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
  const keys = pass.start + pass.time;
  const keyMask = new Uint8Array(pass.size * (keys + 1));
  for (let b = 0; b < pass.size; b++) {
    keyMask.set(pass.keyMask.subarray(b * keys, (b + 1) * keys), b * (keys + 1));
    keyMask[b * (keys + 1) + keys] = 1;
  }
  return {
    ...pass,
    time: 1,
    start: keys,
    positions: pass.positions.map(() => Int32Array.from(batch.next, (position) => position + step)),
    injections: undefined,
    spans: undefined,
    keyMask,
    columns: batch.columns.map(() => [keys]),
    phase: "decoding",
    past,
  };
}

function vectorAt(logits: Tensor, b: number): Tensor {
  const width = logits.shape[2];
  return { data: logits.data.slice(b * width, (b + 1) * width), shape: [width] };
}

/** The likeliest token, or one drawn from the distribution cut to the top k and the nucleus p. */
export function choose(
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
