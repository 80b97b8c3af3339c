/** Runs one block: a whole pass at once, or some rows and some queries at a time where memory or the cache ask for it. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor } from "../../tensor.js";
import {
  AttentionInputs,
  concatBatch,
  concatTime,
  type KeyValues,
  maskKeys,
  type Pass,
  rowsPass,
  sliceBatch,
  sliceTime,
  subPass,
} from "../batch/index.js";
import { maskedPairs, needsAllQueries, planFromRow, readsOtherRows } from "../edits/index.js";
import { columnBytes, type Engine, type Feeds, floats, type RunContext, runPiece } from "../engine/index.js";
import { type GraphVariant, KEYS, NEW_KEYS } from "../families/index.js";
import type { Hook } from "../hooks/index.js";
import { EXPERT_INPUT, EXPERT_WEIGHTS } from "../nn/index.js";
import type { ExpertInputs } from "./experts.js";

/** The residual stream before a block, with the pass that it belongs to. */
export interface Stream {
  readonly pass: Pass;
  /** (batch, time, hidden_size) */
  readonly x: Tensor;
  /** Rotations and masks of the pass. */
  readonly attention: Pick<AttentionInputs, "rotations" | "mask">;
}

export interface BlockResult {
  readonly x: Tensor;
  /** Of all positions so far, or of the pass's own (`RunContext.keyValues`). */
  readonly keyValues?: KeyValues;
  /** Inputs of a sparse block's experts, whose sum is not yet in `x`. */
  readonly experts?: ExpertInputs;
}

/** A block to run, whichever part of a pass it runs on. */
interface BlockRequest {
  readonly context: RunContext;
  readonly layer: number;
  /** Names of the graph's outputs. */
  readonly outputs: readonly string[];
  readonly variant: GraphVariant;
}

/** The stream of a pass, with rotations and masks that are made when they are needed. */
export function streamOf(engine: Engine, pass: Pass, x: Tensor): Stream {
  return { pass, x, attention: attentionOf(engine, pass) };
}

/** Rotations and masks of a pass. */
export function attentionOf(engine: Engine, pass: Pass): AttentionInputs {
  return new AttentionInputs(engine.config, pass, (n) => floats(engine, n));
}

/**
 * Runs a block on the columns of a stream from `first` on; of those before, it takes the keys and values alone.
 */
export async function runBlock(
  context: RunContext,
  layer: number,
  stream: Stream,
  first: number,
): Promise<BlockResult> {
  const { engine, keyValues } = context;
  const sparse = engine.family.experts?.(engine.config, layer) !== undefined;
  const keys = keyValues === "new" ? NEW_KEYS : KEYS;
  const outputs = [...(keyValues ? keys : []), ...(sparse ? [EXPERT_INPUT, EXPERT_WEIGHTS] : [])];
  const request: BlockRequest = { context, layer, outputs, variant: {} };
  const results = await (first === 0 ? runByRowChunks(request, stream) : runFrom(request, stream, first));
  return {
    x: results.out,
    keyValues: keyValues && keyValuesOf(results, keys),
    experts: sparse ? { input: results[EXPERT_INPUT], weights: results[EXPERT_WEIGHTS] } : undefined,
  };
}

/** The columns from `first` on, on top of the keys and values of those before. */
async function runFrom(request: BlockRequest, { pass, x }: Stream, first: number): Promise<Feeds> {
  const { context, layer } = request;
  const before = subPass(pass, 0, first, pass.past);
  const keysOnly: BlockRequest = { ...request, outputs: KEYS, variant: { only: "keys" } };
  const keys = await runByRowChunks(keysOnly, streamOf(context.engine, before, sliceTime(x, 0, first)));
  const rest = subPass(pass, first, pass.seqLength, pastOf(layer, keys));
  return runByRowChunks(request, streamOf(context.engine, rest, sliceTime(x, first, pass.seqLength)));
}

/** Splits the batch into equal chunks that fit the CPU cache, unless an edit needs all rows together. */
async function runByRowChunks(request: BlockRequest, stream: Stream): Promise<Feeds> {
  const { layer, context } = request;
  const { pass, x, attention } = stream;
  const inner = context.engine.hooks.filter((h) => h.piece === layer && h.inside);
  const count = Math.ceil(pass.size / blockRowChunk(context, inner, pass));
  if (count === 1) return runByQueryChunks(request, stream);
  const most = Math.ceil(pass.size / count);
  const parts: Feeds[] = [];
  for (let from = 0; from < pass.size; from += most) {
    const to = Math.min(pass.size, from + most);
    const cut = (t: Tensor): Tensor => sliceBatch(t, from, to);
    const part: Stream = {
      pass: rowsPass(pass, from, to),
      x: cut(x),
      attention: {
        mask: (l) => cut(attention.mask(l)),
        rotations: (l) => ({ cos: cut(attention.rotations(l).cos), sin: cut(attention.rotations(l).sin) }),
      },
    };
    const plan = planFromRow(context.plan, inner, from);
    parts.push(await runByQueryChunks({ ...request, context: { ...context, plan } }, part));
    await yieldToEventLoop(context);
  }
  return joined(parts, Object.keys(parts[0]), concatBatch);
}

/** Rows that together have as many tokens as a block runs fastest on; captured values are not worth cutting. */
function blockRowChunk(
  { engine, plan, recorder }: RunContext,
  inner: readonly Hook[],
  { size, seqLength: time }: Pass,
): number {
  const together = inner.some(
    ({ name }) => recorder.wants(name) || plan.get(name)?.some(({ edit }) => readsOtherRows(edit)),
  );
  return together ? size : Math.max(1, Math.floor(engine.chunkTokens / time));
}

/** Runs some queries after the others, each on top of the keys before, where all would take too much memory. */
async function runByQueryChunks(request: BlockRequest, stream: Stream): Promise<Feeds> {
  const { layer, outputs, context } = request;
  const { pass, x } = stream;
  const most = queryChunk(context, layer, pass);
  if (most >= pass.seqLength) return runWhole(request, stream);
  const each: BlockRequest = { ...request, outputs: [...new Set([...outputs, ...KEYS])] };
  const parts: Feeds[] = [];
  for (let start = 0, end: number; start < pass.seqLength; start = end) {
    end = endOfSpan(pass, Math.min(pass.seqLength, start + most));
    const past = parts.length > 0 ? pastOf(layer, parts[parts.length - 1]) : pass.past;
    const own = { ...subPass(pass, start, end, past), parent: pass.parent ?? pass };
    parts.push(await runWhole(each, streamOf(context.engine, own, sliceTime(x, start, end))));
    await yieldToEventLoop(context);
  }
  const byColumn = Object.keys(parts[0]).filter((name) => !isKeys(name));
  // The keys of the last part are those of all.
  return { ...parts[parts.length - 1], ...joined(parts, byColumn, concatTime) };
}

/** Queries that are taken together, so that a block's values stay below the limit on memory. */
function queryChunk({ engine, plan }: RunContext, layer: number, pass: Pass): number {
  const whole = engine.hooks.some((h) => h.piece === layer && needsAllQueries(h, plan));
  return whole ? pass.seqLength : Math.max(1, Math.floor(engine.workBytes / columnBytes(engine, pass)));
}

/** First column from `end` on where queries can be split: an image's tokens that attend to each other stay together. */
function endOfSpan({ size, start, seqLength: time, bidirectionalSpans: spans }: Pass, end: number): number {
  const inside = (column: number): boolean => {
    for (let b = 0; b < size; b++) {
      const at = b * (start + time) + start + column;
      if (spans![at] && spans![at] === spans![at - 1]) return true;
    }
    return false;
  };
  let after = end;
  while (spans && after < time && inside(after)) after++;
  return after;
}

function runWhole({ context, layer, outputs, variant }: BlockRequest, stream: Stream): Promise<Feeds> {
  return runPiece(context, layer, blockFeeds(context, layer, stream), stream.pass, { outputs, variant });
}

function joined(
  parts: readonly Feeds[],
  names: readonly string[],
  join: (parts: readonly Tensor[]) => Tensor,
): Feeds {
  return Object.fromEntries(names.map((name) => [name, join(parts.map((part) => part[name]))]));
}

function isKeys(name: string): boolean {
  return (KEYS as readonly string[]).includes(name);
}

/** A block's keys and values as the past of the columns that follow. */
function pastOf(layer: number, results: Feeds): (KeyValues | undefined)[] {
  const past: (KeyValues | undefined)[] = [];
  past[layer] = keyValuesOf(results, KEYS);
  return past;
}

function keyValuesOf(results: Feeds, [key, value]: typeof KEYS | typeof NEW_KEYS): KeyValues {
  return { key: results[key], value: results[value] };
}

/** onnxruntime holds the event loop while it computes: between two calls, timers and signals get their turn. */
async function yieldToEventLoop({ signal }: RunContext): Promise<void> {
  signal?.throwIfAborted();
  await nextTurn();
}

/** Inputs of a block's graph, with the attention that edits block. */
export function blockFeeds(
  { engine, plan }: Pick<RunContext, "engine" | "plan">,
  layer: number,
  { pass, x, attention }: Stream,
): Record<string, Tensor> {
  const blocked = maskedPairs(plan.get(`blocks.${layer}.attn.hook_attn_scores`) ?? [], pass);
  const mask = attention.mask(layer);
  return {
    x,
    ...attention.rotations(layer),
    mask: blocked.length > 0 ? maskKeys(mask, engine.config.num_attention_heads, blocked) : mask,
    "past.key": pass.past[layer]?.key ?? noKeys(engine, pass),
    "past.value": pass.past[layer]?.value ?? noKeys(engine, pass),
  };
}

/** The keys and values of no earlier positions. */
function noKeys({ config, float }: Engine, pass: Pick<Pass, "size">): Tensor {
  const shape = [pass.size, config.num_key_value_heads, 0, config.head_dim];
  return { data: floats({ float }, 0), shape };
}
