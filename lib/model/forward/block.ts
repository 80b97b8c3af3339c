/** One block at work: all of a pass at once, or some rows and some columns at a time. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor } from "../../tensor.js";
import { AttentionInputs, type KeyValues, maskKeys, type Pass, rowsPass, subPass } from "../batch/pass.js";
import { concatBatch, concatTime, sliceBatch, sliceTime } from "../batch/slices.js";
import { maskedPairs } from "../edits/apply.js";
import { needsAllQueries, type Plan, planFromRow, readsOtherRows } from "../edits/plan.js";
import { type Engine, floats } from "../engine/engine.js";
import { columnBytes } from "../engine/estimate.js";
import { type RunContext, runPiece } from "../engine/run-piece.js";
import { type GraphVariant, KEYS } from "../families/index.js";
import type { Hook } from "../hooks/index.js";
import { EXPERT_INPUT, EXPERT_WEIGHTS } from "../nn/index.js";
import type { ExpertInputs } from "./experts.js";

export interface BlockResult {
  readonly x: Tensor;
  readonly keyValues?: KeyValues;
  /** Of a sparse block, whose `x` is then still without their sum. */
  readonly experts?: ExpertInputs;
}

/** What is asked of a block, whichever part of a pass it runs on. */
interface BlockRequest {
  readonly engine: Engine;
  readonly layer: number;
  readonly company: RunContext;
  /** Names of the outputs wanted. */
  readonly names: readonly string[];
  readonly base: GraphVariant;
}

type Outputs = Readonly<Record<string, Tensor>>;
type Shared = Pick<AttentionInputs, "rotations" | "mask">;

/** Runs a block on the columns of a pass from `first` on; of those before, it takes the keys and values alone. */
export async function runBlock(
  engine: Engine,
  layer: number,
  pass: Pass,
  shared: Shared,
  x: Tensor,
  first: number,
  company: RunContext,
): Promise<BlockResult> {
  const sparse = engine.family.experts?.(engine.config, layer) !== undefined;
  const names = [...(company.useCache ? KEYS : []), ...(sparse ? [EXPERT_INPUT, EXPERT_WEIGHTS] : [])];
  const work: BlockRequest = { engine, layer, company, names, base: {} };
  let results: Outputs;
  if (first === 0) results = await runByRowChunks(work, pass, shared, x);
  else {
    const before = subPass(pass, 0, first, pass.past);
    const keysOnly: BlockRequest = { ...work, names: KEYS, base: { only: "keys" } };
    const keys = await runByRowChunks(keysOnly, before, sharedBy(engine, before), sliceTime(x, 0, first));
    const rest = subPass(pass, first, pass.seqLength, pastOf(layer, keys));
    results = await runByRowChunks(work, rest, sharedBy(engine, rest), sliceTime(x, first, pass.seqLength));
  }
  return {
    x: results.out,
    keyValues: company.useCache ? pastOf(layer, results)[layer] : undefined,
    experts: sparse ? { input: results[EXPERT_INPUT], weights: results[EXPERT_WEIGHTS] } : undefined,
  };
}

/** Runs rows below each other in equal parts that the processor's cache holds, unless an edit needs them together. */
async function runByRowChunks(work: BlockRequest, pass: Pass, shared: Shared, x: Tensor): Promise<Outputs> {
  const { engine, layer, company } = work;
  const inner = engine.hooks.filter((h) => h.piece === layer && h.inside);
  const count = Math.ceil(pass.size / blockRowChunk(engine, inner, pass, company));
  if (count === 1) return runByQueryChunks(work, pass, shared, x);
  const most = Math.ceil(pass.size / count);
  const parts: Outputs[] = [];
  for (let from = 0; from < pass.size; from += most) {
    const to = Math.min(pass.size, from + most);
    const cut = (t: Tensor): Tensor => sliceBatch(t, from, to);
    const own: Shared = {
      mask: (l) => cut(shared.mask(l)),
      rotations: (l) => ({ cos: cut(shared.rotations(l).cos), sin: cut(shared.rotations(l).sin) }),
    };
    const plan = planFromRow(company.plan, inner, from);
    const part: BlockRequest = { ...work, company: { ...company, plan } };
    parts.push(await runByQueryChunks(part, rowsPass(pass, from, to), own, cut(x)));
    await yieldToEventLoop(company);
  }
  return joined(parts, Object.keys(parts[0]), concatBatch);
}

/** Rows that together have as many tokens as a block runs fastest on; captured values are not worth cutting. */
function blockRowChunk(
  { chunkTokens }: Engine,
  inner: readonly Hook[],
  { size, seqLength: time }: Pass,
  { plan, recorder }: RunContext,
): number {
  const together = inner.some(
    ({ name }) => recorder.wants(name) || plan.get(name)?.some(({ edit }) => readsOtherRows(edit)),
  );
  return together ? size : Math.max(1, Math.floor(chunkTokens / time));
}

/** Runs columns one part after the other, each on top of the keys before, where all would take too much memory. */
async function runByQueryChunks(work: BlockRequest, pass: Pass, shared: Shared, x: Tensor): Promise<Outputs> {
  const { engine, layer, names, company } = work;
  const most = queryChunk(engine, layer, pass, company);
  if (most >= pass.seqLength) return runPart(work, pass, shared, x);
  const each: BlockRequest = { ...work, names: [...new Set([...names, ...KEYS])] };
  const parts: Outputs[] = [];
  for (let start = 0, end: number; start < pass.seqLength; start = end) {
    end = endOfSpan(pass, Math.min(pass.seqLength, start + most));
    const past = parts.length > 0 ? pastOf(layer, parts[parts.length - 1]) : pass.past;
    const own = { ...subPass(pass, start, end, past), parent: pass.parent ?? pass };
    parts.push(await runPart(each, own, sharedBy(engine, own), sliceTime(x, start, end)));
    await yieldToEventLoop(company);
  }
  const byColumn = Object.keys(parts[0]).filter((name) => !isKeys(name));
  // The keys of the last part are those of all.
  return { ...parts[parts.length - 1], ...joined(parts, byColumn, concatTime) };
}

/** How many queries are taken together, so that what a block works with stays below the limit. */
function queryChunk(engine: Engine, layer: number, pass: Pass, { plan }: RunContext): number {
  const whole = engine.hooks.some((h) => h.piece === layer && needsAllQueries(h, plan));
  return whole ? pass.seqLength : Math.max(1, Math.floor(engine.workBytes / columnBytes(engine, pass)));
}

/** Where a part of the queries ends at the earliest: an image's tokens see each other and stay together. */
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

function runPart(work: BlockRequest, pass: Pass, shared: Shared, x: Tensor): Promise<Outputs> {
  const { engine, layer, company, names, base } = work;
  const feeds = blockFeeds(engine, layer, pass, shared, x, company.plan);
  return runPiece(engine, layer, feeds, pass, company, names, base);
}

function joined(
  parts: readonly Outputs[],
  names: readonly string[],
  join: (parts: readonly Tensor[]) => Tensor,
): Outputs {
  return Object.fromEntries(names.map((name) => [name, join(parts.map((part) => part[name]))]));
}

function isKeys(name: string): boolean {
  return (KEYS as readonly string[]).includes(name);
}

function sharedBy(engine: Engine, pass: Pass): Shared {
  return new AttentionInputs(engine.config, pass, (n) => floats(engine, n));
}

/** What a block found as the past of the columns that follow. */
function pastOf(layer: number, results: Outputs): (KeyValues | undefined)[] {
  const past: (KeyValues | undefined)[] = [];
  const [key, value] = KEYS.map((name) => results[name]);
  past[layer] = { key, value };
  return past;
}

/** Between two calls of a graph, which hold the event loop, timers and signals get their turn. */
async function yieldToEventLoop({ signal }: RunContext): Promise<void> {
  signal?.throwIfAborted();
  await nextTurn();
}

/** What a block's graph is given, with the keys that edits hide. */
export function blockFeeds(
  engine: Engine,
  layer: number,
  pass: Pass,
  shared: Shared,
  x: Tensor,
  plan: Plan,
): Record<string, Tensor> {
  const hidden = maskedPairs(plan.get(`blocks.${layer}.attn.hook_attn_scores`) ?? [], pass);
  const mask = shared.mask(layer);
  return {
    x,
    ...shared.rotations(layer),
    mask: hidden.length > 0 ? maskKeys(mask, engine.config.num_attention_heads, hidden) : mask,
    "past.key": pass.past[layer]?.key ?? noKeys(engine, pass),
    "past.value": pass.past[layer]?.value ?? noKeys(engine, pass),
  };
}

/** The keys and values of no earlier positions. */
function noKeys({ config, float }: Engine, pass: Pick<Pass, "size">): Tensor {
  const shape = [pass.size, config.num_key_value_heads, 0, config.head_dim];
  return { data: floats({ float }, 0), shape };
}
