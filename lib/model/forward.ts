import { setImmediate as nextTurn } from "node:timers/promises";
import type { LongCall } from "../progress.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { Sink } from "./capture.js";
import { columns, joinColumns, sum } from "./columns.js";
import { type Engine, floats, runSession, withPiece } from "./engine.js";
import { columnBytes } from "./estimate.js";
import { EXPERT_INPUT, EXPERT_WEIGHTS, MLP_OUT } from "./experts/graph.js";
import { type ExpertInputs, runExperts } from "./experts/run.js";
import type { Hook } from "./hooks.js";
import { asInputs, asReplacement, edited, hiddenPairs, isAffine } from "./intervene.js";
import { hideKeys, type KeyValues, keyCount, type Pass, SharedFeeds, subPass } from "./pass.js";
import { needsAllQueries, type Plan } from "./plan.js";
import { HEAD, type PieceId, type Variant, visionBlock } from "./program.js";

/** What happens besides computing while a pass runs. */
export interface Company extends LongCall {
  readonly plan: Plan;
  readonly sink: Sink;
  /** Keep each layer's rotated keys and values. */
  readonly keepKeys?: boolean;
}

export interface BlocksOptions extends Company {
  /** First block (default 0), and the block before which to stop (default: none). */
  readonly from?: number;
  readonly to?: number;
  /** Blocks that pass the residual stream on unchanged. */
  readonly skip?: readonly number[];
}

/**
 * Runs the residual stream through blocks `from` … `to`−1.
 * @param x (batch, time, hidden_size)
 */
export async function runBlocks(
  engine: Engine,
  pass: Pass,
  x: Tensor,
  options: BlocksOptions,
): Promise<{ x: Tensor; keys: (KeyValues | undefined)[] }> {
  const { from = 0, to = engine.config.num_hidden_layers, skip = [] } = options;
  const shared = new SharedFeeds(engine.config, pass, (n) => floats(engine, n));
  const keys: (KeyValues | undefined)[] = [];
  let stream = x;
  for (let l = from; l < to; l++) {
    options.signal?.throwIfAborted();
    options.progress?.(l - from, to - from, `block ${l}`);
    stream = atStream(engine, `blocks.${l}.hook_resid_pre`, stream, pass, options);
    if (!skip.includes(l)) {
      const block = await runBlock(engine, l, pass, shared, stream, options);
      stream = block.experts ? await withExperts(engine, l, pass, block.x, block.experts, options) : block.x;
      keys[l] = block.keys;
    }
    stream = injected(engine, l, stream, pass, options);
    stream = atStream(engine, `blocks.${l}.hook_resid_post`, stream, pass, options);
    // onnxruntime holds the event loop while it computes; here timers, messages and signals get their turn.
    await nextTurn();
  }
  options.progress?.(to - from, to - from, "blocks");
  return { x: stream, keys };
}

/** Adds what DeepStack brings after a block; a block that is skipped does not keep it away. */
function injected(engine: Engine, layer: number, x: Tensor, pass: Pass, company: Company): Tensor {
  const found = pass.injections?.get(layer);
  if (!found) return x;
  return sum(x, atStream(engine, `blocks.${layer}.hook_deepstack`, found, pass, company));
}

/** Edits and captures a point between the pieces. */
export function atStream(
  engine: Engine,
  name: string,
  x: Tensor,
  pass: Pass,
  { plan, sink }: Company,
): Tensor {
  const edits = plan.get(name);
  if (!edits && !sink.wants(name)) return x;
  const hook = engine.hooks.find((h) => h.name === name)!;
  const out = edited(x, hook, edits, pass);
  sink.take(name, out, pass);
  return out;
}

interface BlockResult {
  readonly x: Tensor;
  readonly keys?: KeyValues;
  /** Of a sparse block, whose `x` is then still without their sum. */
  readonly experts?: ExpertInputs;
}

/** The second half of a sparse block, outside its graph: x + hook_mlp_out. */
async function withExperts(
  engine: Engine,
  layer: number,
  pass: Pass,
  x: Tensor,
  inputs: ExpertInputs,
  company: Company,
): Promise<Tensor> {
  const { plan, sink, signal } = company;
  const nameOf = (local: string): string => `blocks.${layer}.${local}`;
  const at = (local: string, value: Tensor): Tensor => atStream(engine, nameOf(local), value, pass, company);
  const touches = (local: string): boolean => plan.has(nameOf(local)) || sink.wants(nameOf(local));
  return sum(x, at(MLP_OUT, await runExperts(engine, layer, pass, inputs, { at, touches, signal })));
}

async function runBlock(
  engine: Engine,
  layer: number,
  pass: Pass,
  shared: SharedFeeds,
  x: Tensor,
  company: Company,
): Promise<BlockResult> {
  const rows = queriesAtOnce(engine, layer, pass, company);
  if (rows >= pass.time) return runWhole(engine, layer, pass, shared, x, company);
  const parts: BlockResult[] = [];
  let past = pass.past[layer];
  for (let start = 0, end: number; start < pass.time; start = end) {
    end = afterSpan(pass, Math.min(pass.time, start + rows));
    const layered: (KeyValues | undefined)[] = [];
    layered[layer] = past;
    const own = { ...subPass(pass, start, end, layered), whole: pass };
    const feeds = new SharedFeeds(engine.config, own, (n) => floats(engine, n));
    const block = await runWhole(engine, layer, own, feeds, columns(x, start, end), {
      ...company,
      keepKeys: true,
    });
    past = block.keys;
    parts.push(block);
    company.signal?.throwIfAborted();
    await nextTurn();
  }
  const joined = (of: (part: BlockResult) => Tensor): Tensor => joinColumns(parts.map(of));
  const experts = parts[0].experts && {
    input: joined((part) => part.experts!.input),
    weights: joined((part) => part.experts!.weights),
  };
  return { x: joined((part) => part.x), keys: past, experts };
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

async function runWhole(
  engine: Engine,
  layer: number,
  pass: Pass,
  shared: SharedFeeds,
  x: Tensor,
  company: Company,
): Promise<BlockResult> {
  const feeds = blockFeeds(engine, layer, pass, shared, x, company.plan);
  const sparse = engine.family.experts?.(engine.config, layer) !== undefined;
  const keep = [
    ...(company.keepKeys ? ["present.key", "present.value"] : []),
    ...(sparse ? [EXPERT_INPUT, EXPERT_WEIGHTS] : []),
  ];
  const results = await runPiece(engine, layer, feeds, pass, company, keep);
  const keys = company.keepKeys
    ? { key: results["present.key"], value: results["present.value"] }
    : undefined;
  const experts = sparse ? { input: results[EXPERT_INPUT], weights: results[EXPERT_WEIGHTS] } : undefined;
  return { x: results.out, keys, experts };
}

/** What a block's graph is given, with the keys that edits hide. */
export function blockFeeds(
  engine: Engine,
  layer: number,
  pass: Pass,
  shared: SharedFeeds,
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

/** Final norm and language head of (batch, n, hidden_size). `pass` tells which columns these are. */
export async function runHead(engine: Engine, pass: Pass, x: Tensor, company: Company): Promise<Tensor> {
  return (await runPiece(engine, HEAD, { x }, pass, company, [])).out;
}

/** Rows from which repacking the language head's matrix pays. */
const HEAD_ROWS = 16;

/** Runs a block or the head with its inner edits and captures. */
export async function runPiece(
  engine: Engine,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  pass: Pass,
  { plan, sink }: Company,
  keep: readonly string[],
  base: Variant = {},
): Promise<Record<string, Tensor>> {
  const { variant, inputs } = await settledEdits(engine, id, feeds, pass, plan, base);
  const wanted = engine.hooks.filter((h) => h.piece === id && h.inside && sink.wants(h.name));
  const outputs = [...(base.tapsOnly ? [] : ["out"]), ...keep, ...wanted.map((h) => h.local)];
  const results = await runVariant(engine, id, variant, { ...feeds, ...inputs }, [...new Set(outputs)]);
  for (const hook of wanted) sink.take(hook.name, results[hook.local], pass);
  return results;
}

/**
 * The inner edits of a piece as a variant of its graph and that graph's inputs. Edits that depend on a value are
 * settled one by one: fetch the value, change it, and go on with it in place.
 */
export async function settledEdits(
  engine: Engine,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  pass: Pass,
  plan: Plan,
  base: Variant,
): Promise<{ variant: Variant; inputs: Record<string, Tensor> }> {
  const touched = engine.hooks.filter(
    (h) => h.piece === id && h.inside && plan.get(h.name)?.some(({ edit }) => edit.kind !== "mask"),
  );
  let variant = base;
  const inputs: Record<string, Tensor> = {};
  for (const hook of touched) {
    const edits = plan.get(hook.name)!.filter(({ edit }) => edit.kind !== "mask");
    const computed = async (): Promise<Tensor> =>
      (await runVariant(engine, id, variant, { ...feeds, ...inputs }, [hook.local]))[hook.local];
    const made = isAffine(edits)
      ? asInputs(hook, shapeOf(hook, pass, feeds.x), edits, pass, (n) => floats(engine, n))
      : asReplacement(edited(await computed(), hook, edits, pass));
    inputs[`${hook.local}.scale`] = made.scale;
    inputs[`${hook.local}.shift`] = made.shift;
    variant = { ...variant, edited: [...(variant.edited ?? []), hook.local] };
  }
  return { variant, inputs };
}

/** Runs a piece's graph; its inputs are all that it needs. */
export function runVariant(
  engine: Engine,
  id: PieceId,
  variant: Variant,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: readonly string[],
): Promise<Record<string, Tensor>> {
  const prepack = engine.resident && isUsual(engine, id, variant, sizeOf(inputs.x.shape.slice(0, 2)));
  return withPiece(engine, id, variant, (session) => runSession(engine, session, inputs, outputs), prepack);
}

/** Whether a graph is the one that most runs need of a piece: that one's weights are repacked. */
function isUsual({ fuses }: Engine, id: PieceId, variant: Variant, rows: number): boolean {
  if (variant.edited) return false;
  if (id === HEAD) return rows >= HEAD_ROWS;
  return visionBlock(id) === undefined || fuses === (variant.fused ?? false);
}

/** The lengths of a hook's tensor in this pass. */
export function shapeOf(hook: Hook, pass: Pass, x: Tensor): number[] {
  const lengths: Record<string, number> = {
    batch: x.shape[0],
    // A class token joins the patches inside the embedding.
    time: hook.piece === "vision.embed" ? pass.time : x.shape[1],
    patches: x.shape[1],
    tokens: pass.time,
    keys: keyCount(pass),
  };
  return hook.shape.map((d) => (typeof d === "number" ? d : lengths[d]));
}
