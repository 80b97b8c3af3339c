/** One block at work: all of a pass at once, or some rows and some columns at a time. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Tensor } from "../../tensor.js";
import { hideKeys, type KeyValues, type Pass, rowsPass, SharedFeeds, subPass } from "../batch/pass.js";
import { columns, joinColumns, joinRows, rowsOf } from "../batch/slices.js";
import { hiddenPairs } from "../edits/apply.js";
import { fromRow, mixesRows, needsAllQueries, type Plan } from "../edits/plan.js";
import { type Engine, floats } from "../engine/engine.js";
import { columnBytes } from "../engine/estimate.js";
import { type Company, runPiece } from "../engine/run-piece.js";
import { type GraphVariant, KEYS } from "../families/index.js";
import type { Hook } from "../hooks/index.js";
import { EXPERT_INPUT, EXPERT_WEIGHTS } from "../nn/index.js";
import type { ExpertInputs } from "./experts.js";

export interface BlockResult {
  readonly x: Tensor;
  readonly keys?: KeyValues;
  /** Of a sparse block, whose `x` is then still without their sum. */
  readonly experts?: ExpertInputs;
}

/** What is asked of a block, whichever part of a pass it runs on. */
interface Work {
  readonly engine: Engine;
  readonly layer: number;
  readonly company: Company;
  /** Names of the outputs wanted. */
  readonly names: readonly string[];
  readonly base: GraphVariant;
}

type Outputs = Readonly<Record<string, Tensor>>;
type Shared = Pick<SharedFeeds, "rotations" | "mask">;

/** Runs a block on the columns of a pass from `first` on; of those before, it takes the keys and values alone. */
export async function runBlock(
  engine: Engine,
  layer: number,
  pass: Pass,
  shared: Shared,
  x: Tensor,
  first: number,
  company: Company,
): Promise<BlockResult> {
  const sparse = engine.family.experts?.(engine.config, layer) !== undefined;
  const names = [...(company.keepKeys ? KEYS : []), ...(sparse ? [EXPERT_INPUT, EXPERT_WEIGHTS] : [])];
  const work: Work = { engine, layer, company, names, base: {} };
  let results: Outputs;
  if (first === 0) results = await inRows(work, pass, shared, x);
  else {
    const before = subPass(pass, 0, first, pass.past);
    const keysOnly: Work = { ...work, names: KEYS, base: { only: "keys" } };
    const keys = await inRows(keysOnly, before, sharedBy(engine, before), columns(x, 0, first));
    const rest = subPass(pass, first, pass.time, pastOf(layer, keys));
    results = await inRows(work, rest, sharedBy(engine, rest), columns(x, first, pass.time));
  }
  return {
    x: results.out,
    keys: company.keepKeys ? pastOf(layer, results)[layer] : undefined,
    experts: sparse ? { input: results[EXPERT_INPUT], weights: results[EXPERT_WEIGHTS] } : undefined,
  };
}

/** Runs rows below each other in equal parts that the processor's cache holds, unless an edit needs them together. */
async function inRows(work: Work, pass: Pass, shared: Shared, x: Tensor): Promise<Outputs> {
  const { engine, layer, company } = work;
  const inner = engine.hooks.filter((h) => h.piece === layer && h.inside);
  const count = Math.ceil(pass.size / rowsAtOnce(engine, inner, pass, company));
  if (count === 1) return inColumns(work, pass, shared, x);
  const most = Math.ceil(pass.size / count);
  const parts: Outputs[] = [];
  for (let from = 0; from < pass.size; from += most) {
    const to = Math.min(pass.size, from + most);
    const cut = (t: Tensor): Tensor => rowsOf(t, from, to);
    const own: Shared = {
      mask: (l) => cut(shared.mask(l)),
      rotations: (l) => ({ cos: cut(shared.rotations(l).cos), sin: cut(shared.rotations(l).sin) }),
    };
    const plan = fromRow(company.plan, inner, from);
    const part: Work = { ...work, company: { ...company, plan } };
    parts.push(await inColumns(part, rowsPass(pass, from, to), own, cut(x)));
    await pause(company);
  }
  return joined(parts, Object.keys(parts[0]), joinRows);
}

/** Rows that together have as many tokens as a block runs fastest on; captured values are not worth cutting. */
function rowsAtOnce(
  { tokensAtOnce }: Engine,
  inner: readonly Hook[],
  { size, time }: Pass,
  { plan, sink }: Company,
): number {
  const together = inner.some(
    ({ name }) => sink.wants(name) || plan.get(name)?.some(({ edit }) => mixesRows(edit)),
  );
  return together ? size : Math.max(1, Math.floor(tokensAtOnce / time));
}

/** Runs columns one part after the other, each on top of the keys before, where all would take too much memory. */
async function inColumns(work: Work, pass: Pass, shared: Shared, x: Tensor): Promise<Outputs> {
  const { engine, layer, names, company } = work;
  const most = queriesAtOnce(engine, layer, pass, company);
  if (most >= pass.time) return runPart(work, pass, shared, x);
  const each: Work = { ...work, names: [...new Set([...names, ...KEYS])] };
  const parts: Outputs[] = [];
  for (let start = 0, end: number; start < pass.time; start = end) {
    end = afterSpan(pass, Math.min(pass.time, start + most));
    const past = parts.length > 0 ? pastOf(layer, parts[parts.length - 1]) : pass.past;
    const own = { ...subPass(pass, start, end, past), whole: pass.whole ?? pass };
    parts.push(await runPart(each, own, sharedBy(engine, own), columns(x, start, end)));
    await pause(company);
  }
  const byColumn = Object.keys(parts[0]).filter((name) => !isKeys(name));
  // The keys of the last part are those of all.
  return { ...parts[parts.length - 1], ...joined(parts, byColumn, joinColumns) };
}

/** How many queries are taken together, so that what a block works with stays below the limit. */
function queriesAtOnce(engine: Engine, layer: number, pass: Pass, { plan }: Company): number {
  const whole = engine.hooks.some((h) => h.piece === layer && needsAllQueries(h, plan));
  return whole ? pass.time : Math.max(1, Math.floor(engine.workLimit / columnBytes(engine, pass)));
}

/** Where a part of the queries ends at the earliest: a picture's tokens see each other and stay together. */
function afterSpan({ size, start, time, spans }: Pass, end: number): number {
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

function runPart(work: Work, pass: Pass, shared: Shared, x: Tensor): Promise<Outputs> {
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
  return new SharedFeeds(engine.config, pass, (n) => floats(engine, n));
}

/** What a block found as the past of the columns that follow. */
function pastOf(layer: number, results: Outputs): (KeyValues | undefined)[] {
  const past: (KeyValues | undefined)[] = [];
  const [key, value] = KEYS.map((name) => results[name]);
  past[layer] = { key, value };
  return past;
}

/** Between two calls of a graph, which hold the event loop, timers and signals get their turn. */
async function pause({ signal }: Company): Promise<void> {
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
  const hidden = hiddenPairs(plan.get(`blocks.${layer}.attn.hook_attn_scores`) ?? [], pass);
  const mask = shared.mask(layer);
  return {
    x,
    ...shared.rotations(layer),
    mask: hidden.length > 0 ? hideKeys(mask, engine.config.num_attention_heads, hidden) : mask,
    "past.key": pass.past[layer]?.key ?? noKeys(engine, pass),
    "past.value": pass.past[layer]?.value ?? noKeys(engine, pass),
  };
}

/** The keys and values of no earlier positions. */
function noKeys({ config, float }: Engine, pass: Pick<Pass, "size">): Tensor {
  const shape = [pass.size, config.num_key_value_heads, 0, config.head_dim];
  return { data: floats({ float }, 0), shape };
}
