/** The blocks of the vision tower at work: some rows at a time, and of a large picture some queries at a time. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Tensor, zerosLike } from "../../tensor.js";
import type { Batch } from "../batch/batch.js";
import { HIDDEN, hideKeys, keyCount, type Pass, rowsPass } from "../batch/pass.js";
import { columns, joinColumns, rowsOf } from "../batch/slices.js";
import type { Sink } from "../captures/sink.js";
import { hiddenPairs } from "../edits/apply.js";
import { fromRow, mixesRows, needsAllQueries, type Plan } from "../edits/plan.js";
import { type Engine, type Feeding, floats } from "../engine/engine.js";
import { queryScoreBytes, tokenBytes } from "../engine/estimate.js";
import { ELEMENT_BYTES } from "../engine/pool.js";
import { type Company, runPiece, runVariant, settledEdits } from "../engine/run-piece.js";
import { type Hook, overKeys } from "../hooks/index.js";
import { countRows } from "./rows.js";

type BlockId = `vision.blocks.${number}`;

/** What all blocks of the tower are given: the turns of rows and columns, and which patches are looked at. */
export type TowerInputs = Readonly<Record<"cos" | "sin" | "mask", Tensor>>;

/** How a block can be taken apart under the edits and captures inside it. */
interface Way {
  /** All rows at once: an edit at one reads others. */
  readonly together: boolean;
  /** Rows without the patches that fill them up: no edit counts keys. */
  readonly trimmed: boolean;
  /** Attention as one operation: nothing is asked of scores and pattern. */
  readonly fused: boolean;
  /** All queries of a row at once. */
  readonly whole: boolean;
}

/** Runs one block: (rows, time, hidden_size) → the same. What fills a row up is zero then. */
export async function runTowerBlock(
  engine: Engine,
  layer: number,
  x: Tensor,
  shared: TowerInputs,
  pass: Pass,
  company: Company,
): Promise<Tensor> {
  const id: BlockId = `vision.blocks.${layer}`;
  const inner = insideOf(engine, id);
  const way = wayOf(engine, inner, company);
  const parts = partsOf(engine, pass, way);
  if (parts.length === 1 && !parts[0].whole) return runRows(engine, id, x, shared, pass, company, way);
  const data = zerosLike(x.data, x.data.length);
  const [size, time, width] = x.shape;
  for (const part of parts) {
    const from = part.firstRow!;
    const cut = (t: Tensor): Tensor =>
      t.shape[0] === size && t.shape[1] > 0 ? columns(rowsOf(t, from, from + part.size), 0, part.time) : t;
    const feeds = { cos: cut(shared.cos), sin: cut(shared.sin), mask: paddingMask(engine, part) };
    const own = { ...company, plan: fromRow(company.plan, inner, from) };
    const out = await runRows(engine, id, cut(x), feeds, part, own, way);
    for (let b = 0; b < part.size; b++) data.set(rowsOf(out, b, b + 1).data, (from + b) * time * width);
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  return { data, shape: x.shape };
}

/** The hooks inside a block. */
function insideOf({ hooks }: Engine, id: BlockId): Hook[] {
  return hooks.filter((h) => h.piece === id && h.inside);
}

function wayOf(
  { fuses }: Engine,
  inner: readonly Hook[],
  { plan, sink }: Pick<Company, "plan" | "sink">,
): Way {
  const edited = inner.filter(({ name }) => plan.has(name));
  const atKeys = inner.filter(overKeys);
  const together = edited.some(({ name }) => plan.get(name)!.some(({ edit }) => mixesRows(edit)));
  return {
    together,
    trimmed: !atKeys.some(({ name }) => plan.get(name)?.some(({ edit }) => edit.kind !== "mask")),
    fused: fuses && !together && !atKeys.some(({ name }) => plan.has(name) || sink.wants(name)),
    whole: edited.some((hook) => needsAllQueries(hook, plan)),
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
function queriesAtOnce(engine: Engine, { size, time }: Pass, { fused, whole, together }: Way): number {
  if (fused || whole || together) return time;
  const each = rowBytes(engine, time, 1) - rowBytes(engine, time, 0);
  return Math.min(time, Math.max(1, Math.floor(engine.workLimit / (size * each))));
}

/** Rows of one length that follow each other, as many as the limit on memory allows. */
function partsOf(engine: Engine, pass: Pass, way: Way): Pass[] {
  if (way.together) return [pass];
  const lengths = pass.columns.map((row) => (way.trimmed ? row.length : pass.time));
  const parts: Pass[] = [];
  for (let from = 0, to: number; from < pass.size; from = to) {
    const time = lengths[from];
    const bytes = rowBytes(engine, time, way.fused ? 0 : time);
    const most = from + Math.max(1, Math.floor(engine.workLimit / bytes));
    to = from + 1;
    while (to < pass.size && to < most && lengths[to] === time) to++;
    parts.push(towerRows(pass, from, to, time));
  }
  return parts.length === 1 && parts[0].time === pass.time ? [pass] : parts;
}

/** Rows `from` … `to`−1 of a pass of the tower, up to the column `time`. */
export function towerRows(pass: Pass, from: number, to: number, time: number): Pass {
  const part = rowsPass(pass, from, to);
  const keyMask = new Uint8Array(part.size * time);
  for (let b = 0; b < part.size; b++) {
    keyMask.set(part.keyMask.subarray(b * pass.time, b * pass.time + time), b * time);
  }
  return { ...part, time, keys: time, keyMask };
}

async function runRows(
  engine: Engine,
  id: BlockId,
  x: Tensor,
  shared: TowerInputs,
  pass: Pass,
  company: Company,
  way: Way,
): Promise<Tensor> {
  const queries = queriesAtOnce(engine, pass, way);
  if (queries < pass.time) return inQueries(engine, id, x, shared, pass, company, queries);
  const mask = withHidden(engine, id, shared.mask, pass, company.plan);
  const variant = way.fused ? { fused: true } : {};
  return (await runPiece(engine, id, { ...shared, x, mask }, pass, company, [], variant)).out;
}

/** Queries, keys and values of all columns first; the rest of the block for some queries at a time. */
async function inQueries(
  engine: Engine,
  id: BlockId,
  x: Tensor,
  shared: TowerInputs,
  pass: Pass,
  company: Company,
  queries: number,
): Promise<Tensor> {
  const known = await knownOf(engine, id, { ...shared, x }, pass, company.plan);
  const parts: Tensor[] = [];
  for (let from = 0; from < pass.time; from += queries) {
    const to = Math.min(pass.time, from + queries);
    const cut = (t: Tensor): Tensor => (t.shape[1] === pass.time ? columns(t, from, to) : t);
    const part = { ...queriesPass(pass, from, to), whole: pass.whole ?? pass };
    const feeds = {
      cos: cut(shared.cos),
      sin: cut(shared.sin),
      x: cut(x),
      mask: withHidden(engine, id, shared.mask, part, company.plan),
      ...known,
      "precomputed.query": cut(known["precomputed.query"]),
    };
    parts.push((await runPiece(engine, id, feeds, part, company, [], { precomputed: true })).out);
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  return joinColumns(parts);
}

/** The rotated queries, keys and values of a block, with the edits before them. */
async function knownOf(
  engine: Engine,
  id: BlockId,
  feeds: Readonly<Record<string, Tensor>>,
  pass: Pass,
  plan: Plan,
): Promise<Record<"precomputed.query" | "precomputed.key" | "precomputed.value", Tensor>> {
  const inner = insideOf(engine, id);
  const before = inner.slice(0, inner.findIndex(overKeys)).filter(({ name }) => plan.has(name));
  const own = new Map(before.map(({ name }) => [name, plan.get(name)!]));
  const { variant, inputs } = await settledEdits(engine, id, feeds, pass, own, {});
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
    time: to - from,
    keys: keyCount(pass),
    columns: pass.columns.map((row) => row.filter((c) => c >= from && c < to)),
  };
}

/** The mask of a block with what its edits hide. */
export function withHidden(engine: Engine, id: string, mask: Tensor, pass: Pass, plan: Plan): Tensor {
  const hidden = hiddenPairs(plan.get(`${id}.attn.hook_attn_scores`) ?? [], pass);
  const heads = engine.config.vision_config!.num_attention_heads;
  return hidden.length > 0 ? hideKeys(wholeMask(engine, mask, pass), heads, hidden) : mask;
}

/** (1 or rows, 1, 1, 1 or keys): patches that fill a row up are not looked at. */
export function paddingMask(engine: Feeding, { size, keyMask }: Pick<Pass, "size" | "keyMask">): Tensor {
  if (keyMask.every((k) => k === 1)) return { data: floats(engine, 1), shape: [1, 1, 1, 1] };
  const data = floats(engine, keyMask.length);
  keyMask.forEach((k, i) => {
    if (!k) data[i] = HIDDEN;
  });
  return { data, shape: [size, 1, 1, keyMask.length / size] };
}

/** A mask with a cell for every row, query and key. */
function wholeMask(engine: Engine, mask: Tensor, pass: Pass): Tensor {
  const { size, time } = pass;
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

/** Bytes that one call of the tower's most demanding block works with; none where no picture is looked at. */
export function towerBytes(
  engine: Engine,
  { images = [] }: Pick<Batch, "images">,
  plan: Plan,
  sink: Sink,
): number {
  const vision = engine.config.vision_config;
  if (!vision || images.length === 0) return 0;
  const { tower } = countRows(vision, images);
  const bytes = Array.from({ length: vision.num_hidden_layers }, (_, l) => {
    const inner = insideOf(engine, `vision.blocks.${l}`);
    const way = wayOf(engine, inner, { plan, sink });
    return partsOf(engine, tower, way).map((part) => {
      const queries = way.fused ? 0 : queriesAtOnce(engine, part, way);
      return part.size * rowBytes(engine, part.time, queries);
    });
  });
  return Math.max(...bytes.flat());
}
