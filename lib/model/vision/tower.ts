/** The blocks of the vision tower at work: some rows at a time, and of a large image some queries at a time. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../../tensor.js";
import type { Batch } from "../batch/batch.js";
import { keyCount, MASKED_SCORE, maskKeys, type Pass, rowsPass } from "../batch/pass.js";
import { concatTime, sliceBatch, sliceTime } from "../batch/slices.js";
import type { CaptureRecorder } from "../captures/recorder.js";
import { maskedPairs } from "../edits/apply.js";
import { needsAllQueries, type Plan, planFromRow, readsOtherRows } from "../edits/plan.js";
import { type Engine, floats, type ModelSpec } from "../engine/engine.js";
import { queryScoreBytes, tokenBytes } from "../engine/estimate.js";
import { ELEMENT_BYTES } from "../engine/pool.js";
import { type RunContext, resolveInnerEdits, runPiece, runVariant } from "../engine/run-piece.js";
import { type Hook, overKeys } from "../hooks/index.js";
import { visionRows } from "./rows.js";

type BlockId = `vision.blocks.${number}`;

/** What all blocks of the tower are given: the turns of rows and columns, and which patches are looked at. */
export type TowerInputs = Readonly<Record<"cos" | "sin" | "mask", Tensor>>;

/** How a block can be taken apart under the edits and captures inside it. */
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

/** Runs one block: (rows, time, hidden_size) → the same. What fills a row up is zero then. */
export async function runTowerBlock(
  engine: Engine,
  layer: number,
  x: Tensor,
  shared: TowerInputs,
  pass: Pass,
  company: RunContext,
): Promise<Tensor> {
  const id: BlockId = `vision.blocks.${layer}`;
  const inner = innerHooks(engine, id);
  const way = splitPlan(engine, inner, company);
  const parts = rowChunks(engine, pass, way);
  if (parts.length === 1 && !parts[0].parent) return runRows(engine, id, x, shared, pass, company, way);
  const data = zerosLike(x.data, x.data.length);
  const [size, time, width] = x.shape;
  for (const part of parts) {
    const from = part.rowOffset!;
    const cut = (t: Tensor): Tensor =>
      t.shape[0] === size && t.shape[1] > 0
        ? sliceTime(sliceBatch(t, from, from + part.size), 0, part.seqLength)
        : t;
    const feeds = { cos: cut(shared.cos), sin: cut(shared.sin), mask: paddingMask(engine, part) };
    const own = { ...company, plan: planFromRow(company.plan, inner, from) };
    const out = await runRows(engine, id, cut(x), feeds, part, own, way);
    for (let b = 0; b < part.size; b++) data.set(sliceBatch(out, b, b + 1).data, (from + b) * time * width);
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  return { data, shape: x.shape };
}

/** The hooks inside a block. */
function innerHooks({ hooks }: Engine, id: BlockId): Hook[] {
  return hooks.filter((h) => h.piece === id && h.inside);
}

function splitPlan(
  { fusedAttention }: Engine,
  inner: readonly Hook[],
  { plan, recorder }: Pick<RunContext, "plan" | "recorder">,
): SplitPlan {
  const edited = inner.filter(({ name }) => plan.has(name));
  const atKeys = inner.filter(overKeys);
  const together = edited.some(({ name }) => plan.get(name)!.some(({ edit }) => readsOtherRows(edit)));
  return {
    allRows: together,
    trimmed: !atKeys.some(({ name }) => plan.get(name)?.some(({ edit }) => edit.kind !== "blockAttention")),
    fused: fusedAttention && !together && !atKeys.some(({ name }) => plan.has(name) || recorder.wants(name)),
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

/** How many queries of a row are taken at once; all of them where attention keeps no scores. */
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
function rowChunks(engine: Engine, pass: Pass, way: SplitPlan): Pass[] {
  if (way.allRows) return [pass];
  const lengths = pass.tokenPositions.map((row) => (way.trimmed ? row.length : pass.seqLength));
  const parts: Pass[] = [];
  for (let from = 0, to: number; from < pass.size; from = to) {
    const time = lengths[from];
    const bytes = rowBytes(engine, time, way.fused ? 0 : time);
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

async function runRows(
  engine: Engine,
  id: BlockId,
  x: Tensor,
  shared: TowerInputs,
  pass: Pass,
  company: RunContext,
  way: SplitPlan,
): Promise<Tensor> {
  const queries = queryChunk(engine, pass, way);
  if (queries < pass.seqLength) return runByQueryChunks(engine, id, x, shared, pass, company, queries);
  const mask = maskWithEdits(engine, id, shared.mask, pass, company.plan);
  const variant = way.fused ? { fused: true } : {};
  return (await runPiece(engine, id, { ...shared, x, mask }, pass, company, [], variant)).out;
}

/** Queries, keys and values of all columns first; the rest of the block for some queries at a time. */
async function runByQueryChunks(
  engine: Engine,
  id: BlockId,
  x: Tensor,
  shared: TowerInputs,
  pass: Pass,
  company: RunContext,
  queries: number,
): Promise<Tensor> {
  const known = await precomputeQkv(engine, id, { ...shared, x }, pass, company.plan);
  const parts: Tensor[] = [];
  for (let from = 0; from < pass.seqLength; from += queries) {
    const to = Math.min(pass.seqLength, from + queries);
    const cut = (t: Tensor): Tensor => (t.shape[1] === pass.seqLength ? sliceTime(t, from, to) : t);
    const part = { ...queriesPass(pass, from, to), parent: pass.parent ?? pass };
    const feeds = {
      cos: cut(shared.cos),
      sin: cut(shared.sin),
      x: cut(x),
      mask: maskWithEdits(engine, id, shared.mask, part, company.plan),
      ...known,
      "precomputed.query": cut(known["precomputed.query"]),
    };
    parts.push((await runPiece(engine, id, feeds, part, company, [], { precomputed: true })).out);
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  return concatTime(parts);
}

/** The rotated queries, keys and values of a block, with the edits before them. */
async function precomputeQkv(
  engine: Engine,
  id: BlockId,
  feeds: Readonly<Record<string, Tensor>>,
  pass: Pass,
  plan: Plan,
): Promise<Record<"precomputed.query" | "precomputed.key" | "precomputed.value", Tensor>> {
  const inner = innerHooks(engine, id);
  const before = inner.slice(0, inner.findIndex(overKeys)).filter(({ name }) => plan.has(name));
  const own = new Map(before.map(({ name }) => [name, plan.get(name)!]));
  const { variant, inputs } = await resolveInnerEdits(engine, id, feeds, pass, own, {});
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

/** The mask of a block with what its edits hide. */
export function maskWithEdits(engine: Engine, id: string, mask: Tensor, pass: Pass, plan: Plan): Tensor {
  const hidden = maskedPairs(plan.get(`${id}.attn.hook_attn_scores`) ?? [], pass);
  const heads = engine.config.vision_config!.num_attention_heads;
  return hidden.length > 0 ? maskKeys(fullMask(engine, mask, pass), heads, hidden) : mask;
}

/** (1 or rows, 1, 1, 1 or keys): patches that fill a row up are not looked at. */
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

/** Bytes that one call of the tower's most demanding block works with; none where no image is looked at. */
export function towerBytes(
  engine: Engine,
  { images = [] }: Pick<Batch, "images">,
  plan: Plan,
  recorder: CaptureRecorder,
): number {
  const vision = engine.config.vision_config;
  if (!vision || images.length === 0) return 0;
  const { tower } = visionRows(vision, images);
  const bytes = Array.from({ length: vision.num_hidden_layers }, (_, l) => {
    const inner = innerHooks(engine, `vision.blocks.${l}`);
    const way = splitPlan(engine, inner, { plan, recorder });
    return rowChunks(engine, tower, way).map((part) => {
      const queries = way.fused ? 0 : queryChunk(engine, part, way);
      return part.size * rowBytes(engine, part.seqLength, queries);
    });
  });
  return Math.max(...bytes.flat());
}
