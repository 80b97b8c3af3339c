/** Runs a block of the vision tower: some rows at a time, and of a large image some queries at a time. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../../tensor.js";
import {
  type Batch,
  concatTime,
  keyCount,
  MASKED_SCORE,
  maskKeys,
  type Pass,
  rowsPass,
  sliceBatch,
  sliceTime,
} from "../batch/index.js";
import { maskedPairs, needsAllQueries, planFromRow, readsOtherRows } from "../edits/index.js";
import {
  ELEMENT_BYTES,
  type Engine,
  type Feeds,
  floats,
  type ModelSpec,
  queryScoreBytes,
  type RunContext,
  resolveInnerEdits,
  runPiece,
  runVariant,
  tokenBytes,
} from "../engine/index.js";
import { type Hook, overKeys } from "../hooks/index.js";
import { visionRows } from "./rows.js";

type BlockId = `vision.blocks.${number}`;

/** Inputs that all blocks of the tower share: rotations by row and column, and the mask of padding. */
export type TowerInputs = Readonly<Record<"cos" | "sin" | "mask", Tensor>>;

/** Ways to split a block that the edits and captures inside it allow. */
interface SplitPlan {
  /** All rows at once: an edit at one reads others. */
  readonly allRows: boolean;
  /** Rows without the patches that fill them up: no edit counts keys. */
  readonly trimmed: boolean;
  /** Attention as one operation: nothing is asked of scores and pattern. */
  readonly fused: boolean;
  /** All queries of a row at once. */
  readonly allQueries: boolean;
}

/** A block of the tower to run, and how far it can be split. */
interface TowerCall {
  readonly context: RunContext;
  readonly id: BlockId;
  readonly split: SplitPlan;
}

/** Runs one block: (rows, time, hidden_size) → the same, zero at padding. */
export async function runTowerBlock(
  context: RunContext,
  layer: number,
  x: Tensor,
  inputs: TowerInputs,
  pass: Pass,
): Promise<Tensor> {
  const { engine, signal } = context;
  const id: BlockId = `vision.blocks.${layer}`;
  const inner = innerHooks(engine, id);
  const split = splitPlan(context, inner);
  const parts = rowChunks(engine, pass, split);
  if (parts.length === 1 && !parts[0].parent) return runRows({ context, id, split }, x, inputs, pass);
  const data = zerosLike(x.data, x.data.length);
  const [size, time, width] = x.shape;
  for (const part of parts) {
    const from = part.rowOffset!;
    const cut = (t: Tensor): Tensor =>
      t.shape[0] === size && t.shape[1] > 0
        ? sliceTime(sliceBatch(t, from, from + part.size), 0, part.seqLength)
        : t;
    const own = { cos: cut(inputs.cos), sin: cut(inputs.sin), mask: paddingMask(engine, part) };
    const plan = planFromRow(context.plan, inner, from);
    const out = await runRows({ context: { ...context, plan }, id, split }, cut(x), own, part);
    for (let b = 0; b < part.size; b++) data.set(sliceBatch(out, b, b + 1).data, (from + b) * time * width);
    signal?.throwIfAborted();
    await nextTurn();
  }
  return { data, shape: x.shape };
}

/** The hooks inside a block. */
function innerHooks({ hooks }: Engine, id: BlockId): Hook[] {
  return hooks.filter((h) => h.piece === id && h.inside);
}

function splitPlan(
  { engine: { fused }, plan, recorder }: Pick<RunContext, "engine" | "plan" | "recorder">,
  inner: readonly Hook[],
): SplitPlan {
  const edited = inner.filter(({ name }) => plan.has(name));
  const atKeys = inner.filter(overKeys);
  const together = edited.some(({ name }) => plan.get(name)!.some(({ edit }) => readsOtherRows(edit)));
  return {
    allRows: together,
    trimmed: !atKeys.some(({ name }) => plan.get(name)?.some(({ edit }) => edit.kind !== "blockAttention")),
    fused: fused && !together && !atKeys.some(({ name }) => plan.has(name) || recorder.wants(name)),
    allQueries: edited.some((hook) => needsAllQueries(hook, plan)),
  };
}

/** Bytes that a block works with for each row of `time` patches; `queries` of them are attended from at once. */
export function rowBytes({ config, float }: Engine, time: number, queries: number): number {
  const vision = config.vision_config!;
  const element = ELEMENT_BYTES[float];
  return (
    time * tokenBytes(vision, element) +
    queries * queryScoreBytes(vision.num_attention_heads, 1, time, element)
  );
}

/** Queries of a row that are taken at once; all of them where attention keeps no scores. */
function queryChunk(
  engine: Engine,
  { size, seqLength: time }: Pass,
  { fused, allQueries: whole, allRows: together }: SplitPlan,
): number {
  if (fused || whole || together) return time;
  const each = rowBytes(engine, time, 1) - rowBytes(engine, time, 0);
  return Math.min(time, Math.max(1, Math.floor(engine.workBytes / (size * each))));
}

/** Rows of one length that follow each other, as many as the limit on memory allows. */
function rowChunks(engine: Engine, pass: Pass, split: SplitPlan): Pass[] {
  if (split.allRows) return [pass];
  const lengths = pass.tokenPositions.map((row) => (split.trimmed ? row.length : pass.seqLength));
  const parts: Pass[] = [];
  for (let from = 0, to: number; from < pass.size; from = to) {
    const time = lengths[from];
    const bytes = rowBytes(engine, time, split.fused ? 0 : time);
    const most = from + Math.max(1, Math.floor(engine.workBytes / bytes));
    to = from + 1;
    while (to < pass.size && to < most && lengths[to] === time) to++;
    parts.push(towerRows(pass, from, to, time));
  }
  return parts.length === 1 && parts[0].seqLength === pass.seqLength ? [pass] : parts;
}

/** Rows `from` … `to`−1 of a pass of the tower, up to the column `time`. */
export function towerRows(pass: Pass, from: number, to: number, time: number): Pass {
  const part = rowsPass(pass, from, to);
  const keyMask = new Uint8Array(part.size * time);
  for (let b = 0; b < part.size; b++) {
    keyMask.set(part.keyMask.subarray(b * pass.seqLength, b * pass.seqLength + time), b * time);
  }
  return { ...part, seqLength: time, keys: time, keyMask };
}

async function runRows(call: TowerCall, x: Tensor, inputs: TowerInputs, pass: Pass): Promise<Tensor> {
  const { context, id, split } = call;
  const queries = queryChunk(context.engine, pass, split);
  if (queries < pass.seqLength) return runByQueryChunks(call, x, inputs, pass, queries);
  const feeds = { ...inputs, x, mask: maskWithEdits(context, id, inputs.mask, pass) };
  const variant = split.fused ? { fused: true } : {};
  return (await runPiece(context, id, feeds, pass, { variant })).out;
}

/** Queries, keys and values of all columns first; the rest of the block for some queries at a time. */
async function runByQueryChunks(
  { context, id }: TowerCall,
  x: Tensor,
  inputs: TowerInputs,
  pass: Pass,
  queries: number,
): Promise<Tensor> {
  const precomputed = await precomputeQkv(context, id, { ...inputs, x }, pass);
  const parts: Tensor[] = [];
  for (let from = 0; from < pass.seqLength; from += queries) {
    const to = Math.min(pass.seqLength, from + queries);
    const cut = (t: Tensor): Tensor => (t.shape[1] === pass.seqLength ? sliceTime(t, from, to) : t);
    const part: Pass = { ...queriesPass(pass, from, to), parent: pass.parent ?? pass };
    const feeds = {
      cos: cut(inputs.cos),
      sin: cut(inputs.sin),
      x: cut(x),
      mask: maskWithEdits(context, id, inputs.mask, part),
      ...precomputed,
      "precomputed.query": cut(precomputed["precomputed.query"]),
    };
    parts.push((await runPiece(context, id, feeds, part, { variant: { precomputed: true } })).out);
    context.signal?.throwIfAborted();
    await nextTurn();
  }
  return concatTime(parts);
}

/** The rotated queries, keys and values of a block, with the edits before them. */
async function precomputeQkv(
  context: RunContext,
  id: BlockId,
  feeds: Feeds,
  pass: Pass,
): Promise<Record<"precomputed.query" | "precomputed.key" | "precomputed.value", Tensor>> {
  const { engine, plan } = context;
  const inner = innerHooks(engine, id);
  const before = inner.slice(0, inner.findIndex(overKeys)).filter(({ name }) => plan.has(name));
  const own = { ...context, plan: new Map(before.map(({ name }) => [name, plan.get(name)!])) };
  const { variant, inputs } = await resolveInnerEdits(own, id, feeds, pass);
  const names = ["present.query", "present.key", "present.value"];
  const found = await runVariant(engine, id, variant, { ...feeds, ...inputs }, names);
  const [query, key, value] = names.map((name) => found[name]);
  return { "precomputed.query": query, "precomputed.key": key, "precomputed.value": value };
}

/** Columns `from` … `to`−1 of a pass of the tower as queries; all of it is keys. */
function queriesPass(pass: Pass, from: number, to: number): Pass {
  return {
    ...pass,
    start: from,
    seqLength: to - from,
    keys: keyCount(pass),
    tokenPositions: pass.tokenPositions.map((row) => row.filter((c) => c >= from && c < to)),
  };
}

/** The mask of a block, with the attention that its edits block. */
export function maskWithEdits(
  { engine, plan }: Pick<RunContext, "engine" | "plan">,
  id: string,
  mask: Tensor,
  pass: Pass,
): Tensor {
  const hidden = maskedPairs(plan.get(`${id}.attn.hook_attn_scores`) ?? [], pass);
  const heads = engine.config.vision_config!.num_attention_heads;
  return hidden.length > 0 ? maskKeys(fullMask(engine, mask, pass), heads, hidden) : mask;
}

/** (1 or rows, 1, 1, 1 or keys): masks the padding of shorter rows. */
export function paddingMask(engine: ModelSpec, { size, keyMask }: Pick<Pass, "size" | "keyMask">): Tensor {
  if (keyMask.every((k) => k === 1)) return { data: floats(engine, 1), shape: [1, 1, 1, 1] };
  const data = floats(engine, keyMask.length);
  keyMask.forEach((k, i) => {
    if (!k) data[i] = MASKED_SCORE;
  });
  return { data, shape: [size, 1, 1, keyMask.length / size] };
}

/** A mask with a cell for every row, query and key. */
function fullMask(engine: Engine, mask: Tensor, pass: Pass): Tensor {
  const { size, seqLength: time } = pass;
  const keys = keyCount(pass);
  const data = floats(engine, size * time * keys);
  if (mask.data.length > 1) {
    for (let b = 0; b < size; b++) {
      for (let q = 0; q < time; q++)
        data.set(mask.data.subarray(b * keys, (b + 1) * keys), (b * time + q) * keys);
    }
  }
  return { data, shape: [size, 1, time, keys] };
}

/** Bytes that one call of the tower's most demanding block works with; 0 without images. */
export function towerBytes(
  context: Pick<RunContext, "engine" | "plan" | "recorder">,
  { images = [] }: Pick<Batch, "images">,
): number {
  const { engine } = context;
  const vision = engine.config.vision_config;
  if (!vision || images.length === 0) return 0;
  const { tower } = visionRows(vision, images);
  const bytes = Array.from({ length: vision.num_hidden_layers }, (_, l) => {
    const split = splitPlan(context, innerHooks(engine, `vision.blocks.${l}`));
    return rowChunks(engine, tower, split).map((part) => {
      const queries = split.fused ? 0 : queryChunk(engine, part, split);
      return part.size * rowBytes(engine, part.seqLength, queries);
    });
  });
  return Math.max(...bytes.flat());
}
