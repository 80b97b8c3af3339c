import { setImmediate as nextTurn } from "node:timers/promises";
import { ModalscopeError } from "../errors.js";
import type { LongCall } from "../progress.js";
import { at0, sizeOf, type Tensor, zerosLike } from "../tensor.js";
import type { Batch, Positions } from "./batch.js";
import { Cache } from "./cache.js";
import { type Engine, floats, runSession, withPiece } from "./engine.js";
import { backThroughExperts } from "./experts/back.js";
import { EXPERT_INDICES, EXPERT_INPUT, EXPERT_POST, EXPERT_WEIGHTS, MLP_OUT } from "./experts/graph.js";
import { noKeys } from "./forward.js";
import { input, type Node } from "./graph/node.js";
import { pullback } from "./graph/vjp.js";
import { type Hook, matchHooks } from "./hooks.js";
import { pickColumns } from "./logits.js";
import type { Metric } from "./metrics.js";
import type { Model } from "./model.js";
import { type Pass, promptPass, SharedFeeds } from "./pass.js";
import { buildPiece, HEAD, type PieceId } from "./program.js";

export interface GradientOptions extends LongCall {
  /** Hooks to differentiate by. */
  readonly wrt: readonly (string | RegExp)[];
  /** Where the metrics read logits (default: the last token of each row). */
  readonly positions?: Positions;
  /** Hooks taken as constants, such as attention patterns and norm scales: no gradient flows through them. */
  readonly frozen?: readonly (string | RegExp)[];
}

export interface Gradients {
  /** By metric, one number per row. */
  readonly values: readonly Float64Array[];
  /** ∂metric/∂hook: (metrics, …the hook's shape), each row's metric by its own activations. */
  readonly gradients: Cache;
  readonly logits: Tensor;
}

/**
 * Derivatives of metrics by activations, block by block from the last to the first: each block's graph computes
 * its values again and pulls all metrics' cotangents back at once.
 * @throws ModalscopeError for an unknown hook, or one that the metric does not depend on
 */
export async function gradients(
  model: Model,
  batch: Batch,
  metrics: readonly Metric[],
  options: GradientOptions,
): Promise<Gradients> {
  const { engine } = model;
  const wanted = options.wrt.flatMap((pattern) => matchHooks(engine.hooks, pattern));
  const frozen = (options.frozen ?? []).flatMap((pattern) => matchHooks(engine.hooks, pattern));
  checkDifferentiable(wanted);
  const positions = options.positions ?? "last";
  const { signal } = options;
  const run = await model.run(batch, { capture: ["blocks.*.hook_resid_pre"], logits: positions, signal });
  const logits = run.logits!;
  const found = new Cache();
  const back: Backward = { engine, pass: promptPass(batch), found, wanted, frozen, signal };
  const cotangent = stacked(
    engine,
    metrics.map((m) => m.gradient(logits)),
  );
  const chosen = pickColumns(run.residual, run.logitColumns);
  const atHead = await backThrough(back, HEAD, { x: chosen }, cotangent);
  let g = spread(engine, atHead, run.logitColumns, [metrics.length, ...run.residual.shape]);
  // The head saw only the chosen columns; what it kept is given its place among all.
  for (const { name } of wanted.filter((h) => h.piece === HEAD)) {
    const kept = found.get(name);
    const shape = [metrics.length, batch.size, batch.time, kept.shape[3]];
    found.set(name, spread(engine, kept, run.logitColumns, shape));
  }
  const shared = new SharedFeeds(engine.config, back.pass, (n) => floats(engine, n));
  const first = firstLayer(wanted);
  for (let l = engine.config.num_hidden_layers - 1; l >= first; l--) {
    signal?.throwIfAborted();
    options.progress?.(
      engine.config.num_hidden_layers - 1 - l,
      engine.config.num_hidden_layers - first,
      `block ${l}`,
    );
    g = atStream(back, `blocks.${l}.hook_resid_post`, g);
    const { cos, sin } = shared.rotations(l);
    const x = run.cache.get(`blocks.${l}.hook_resid_pre`);
    g = await backThrough(back, l, { x, cos, sin, mask: shared.mask(l) }, g);
    g = atStream(back, `blocks.${l}.hook_resid_pre`, g);
    await nextTurn();
  }
  atStream(back, "hook_embed", g);
  return { values: metrics.map((m) => m.value(logits)), gradients: found, logits };
}

interface Backward extends LongCall {
  readonly engine: Engine;
  readonly pass: Pass;
  readonly found: Cache;
  readonly wanted: readonly Hook[];
  readonly frozen: readonly Hook[];
}

/** Pulls cotangents (metrics, …out) back through a piece; what was asked for inside is kept. */
async function backThrough(
  back: Backward,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  cotangent: Tensor,
): Promise<Tensor> {
  const { engine, found } = back;
  const inside = (hooks: readonly Hook[]): string[] =>
    hooks.filter((h) => h.piece === id && h.inside).map((h) => h.local);
  const wanted = inside(back.wanted);
  const frozen = inside(back.frozen);
  const experts = await throughExperts(back, id, feeds, cotangent);
  const build = (): Record<string, Node> => backwardGraph(engine, id, wanted, frozen, Object.keys(experts));
  const key = `back ${id} ${JSON.stringify([wanted, frozen, Object.keys(experts)])}`;
  const outputs = ["d x", ...wanted.map((name) => `d ${name}`)];
  const results = await engine.pool.use({ key, build, prepack: false }, (session) =>
    runSession(engine, session, { ...feeds, ...experts, g: cotangent }, outputs),
  );
  const prefix = id === HEAD ? "" : `blocks.${id}.`;
  for (const name of wanted) found.set(prefix + name, results[`d ${name}`]);
  return results["d x"];
}

/**
 * Of a sparse block: cotangents by what its experts read, as inputs of the block's own backward graph. None where
 * there are no experts, or where their sum is a constant.
 */
async function throughExperts(
  back: Backward,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  cotangent: Tensor,
): Promise<Record<string, Tensor>> {
  const { engine, pass, found } = back;
  if (typeof id !== "number" || !engine.family.experts?.(engine.config, id)) return {};
  const has = (hooks: readonly Hook[], local: string): boolean =>
    hooks.some((h) => h.piece === id && h.local === local);
  const name = (local: string): string => `blocks.${id}.${local}`;
  if (has(back.wanted, MLP_OUT)) found.set(name(MLP_OUT), cotangent);
  if (has(back.frozen, MLP_OUT)) {
    if (has(back.wanted, EXPERT_POST)) throw nothingDepends(EXPERT_POST);
    return {};
  }
  const past = { "past.key": noKeys(engine, pass), "past.value": noKeys(engine, pass) };
  const values = await withPiece(engine, id, {}, (session) =>
    runSession(engine, session, { ...feeds, ...past }, [EXPERT_INPUT, EXPERT_WEIGHTS]),
  );
  const inputs = { input: values[EXPERT_INPUT], weights: values[EXPERT_WEIGHTS] };
  const frozenPost = has(back.frozen, EXPERT_POST);
  const d = await backThroughExperts(engine, id, pass, inputs, cotangent, frozenPost, back.signal);
  if (has(back.wanted, EXPERT_POST)) found.set(name(EXPERT_POST), d.post);
  return { [`g ${EXPERT_INPUT}`]: d.input, [`g ${EXPERT_WEIGHTS}`]: d.weights };
}

/** @throws ModalscopeError for a hook that is a choice, not a number */
function checkDifferentiable(wanted: readonly Hook[]): void {
  const choice = wanted.find((h) => h.local === EXPERT_INDICES);
  if (!choice) return;
  throw new ModalscopeError(
    `There is no derivative by "${choice.name}".`,
    "It says which experts were chosen, which is taken as a constant.",
    "Ask for mlp.hook_expert_weights or mlp.hook_router_logits.",
  );
}

function nothingDepends(name: string): ModalscopeError {
  return new ModalscopeError(`Nothing depends on "${name}" here.`, "What it leads to is frozen.");
}

/**
 * A piece with the pullback of a cotangent `g` (targets, …out): `d x` and `d <hook>`.
 * @param more inputs `g <tap>`: cotangents of other taps
 */
export function backwardGraph(
  { family, config }: Pick<Engine, "family" | "config">,
  id: PieceId,
  wanted: readonly string[],
  frozen: readonly string[] = [],
  more: readonly string[] = [],
): Record<string, Node> {
  const piece = buildPiece(family, config, id, { withoutPast: true });
  const arriving = (name: string, at: Node): [Node, Node] => [at, input(name, ["targets", ...at.shape])];
  const cotangents = new Map([
    arriving("g", piece.out),
    ...more.map((name) => arriving(name, piece.taps.get(name.slice("g ".length))!)),
  ]);
  const wrt = [piece.x, ...wanted.map((name) => piece.taps.get(name)!)];
  const constants = new Set(frozen.map((name) => piece.taps.get(name)!));
  const derivatives = pullback(cotangents, wrt, { targets: true, frozen: constants });
  const outputs: Record<string, Node> = {};
  ["x", ...wanted].forEach((name, i) => {
    const d = derivatives[i];
    if (!d) throw nothingDepends(name);
    outputs[`d ${name}`] = d;
  });
  return outputs;
}

/** Keeps a cotangent of the stream if it is asked for, and returns what goes on: nothing where the stream is frozen. */
function atStream({ found, wanted, frozen }: Backward, name: string, g: Tensor): Tensor {
  if (wanted.some((h) => h.name === name)) found.set(name, g);
  if (!frozen.some((h) => h.name === name)) return g;
  return { data: zerosLike(g.data, g.data.length), shape: g.shape };
}

/** The earliest block that a gradient must reach. */
function firstLayer(wanted: readonly Hook[]): number {
  const pieces = wanted.map(({ piece }) =>
    typeof piece === "number" ? piece : piece === HEAD ? Number.POSITIVE_INFINITY : 0,
  );
  return Math.min(...pieces);
}

/** Tensors of one shape along a new first axis. */
function stacked(engine: Engine, parts: readonly Tensor[]): Tensor {
  const size = sizeOf(parts[0].shape);
  const data = floats(engine, size * parts.length);
  parts.forEach((p, i) => {
    data.set(p.data, i * size);
  });
  return { data, shape: [parts.length, ...parts[0].shape] };
}

/** Puts (metrics, batch, n, d) at its columns in zeros (metrics, batch, time, d). */
function spread(
  engine: Engine,
  g: Tensor,
  columns: readonly (readonly number[])[],
  shape: readonly number[],
): Tensor {
  const [count, size, time, width] = shape;
  const n = g.shape[2];
  const data = floats(engine, sizeOf(shape));
  for (let m = 0; m < count; m++) {
    for (let b = 0; b < size; b++) {
      columns[b].forEach((column, i) => {
        const from = ((m * size + b) * n + i) * width;
        const to = ((m * size + b) * time + column) * width;
        // A column may be named twice: its derivatives add up.
        for (let j = 0; j < width; j++) data[to + j] += g.data[from + j];
      });
    }
  }
  return { data, shape };
}

/** How a metric's last-token logits depend on what is added to the residual stream, and to each head, directly. */
export interface DirectCotangents {
  /** (batch): the metric. */
  readonly values: Float64Array;
  /** (batch, time, hidden_size): by the residual stream, the final norm's scale held. */
  readonly stream: Tensor;
  /** By layer, (batch, time, heads, head_dim): by `attn.hook_z`, everything after the block's attention held. */
  readonly heads: readonly Tensor[];
}

/** The cotangents that direct logit attribution needs; those of the heads only if asked for. */
export async function directCotangents(
  model: Model,
  batch: Batch,
  metric: Metric,
  withHeads: boolean,
  { signal }: LongCall = {},
): Promise<DirectCotangents> {
  const { engine } = model;
  const run = await model.run(batch, {
    capture: withHeads ? ["blocks.*.hook_resid_pre"] : [],
    logits: "last",
    signal,
  });
  const scales = engine.hooks.filter((h) => h.local.endsWith("hook_scale"));
  const mlps = engine.hooks.filter((h) => h.local === "hook_mlp_out");
  const z = withHeads ? matchHooks(engine.hooks, "blocks.*.attn.hook_z") : [];
  const pass = promptPass(batch);
  const back: Backward = {
    engine,
    pass,
    found: new Cache(),
    wanted: z,
    frozen: [...scales, ...mlps],
    signal,
  };
  const g = stacked(engine, [metric.gradient(run.logits!)]);
  const atHead = await backThrough(back, HEAD, { x: pickColumns(run.residual, run.logitColumns) }, g);
  const stream = spread(engine, atHead, run.logitColumns, [1, ...run.residual.shape]);
  const shared = new SharedFeeds(engine.config, pass, (n) => floats(engine, n));
  const heads: Tensor[] = [];
  for (const { name, piece } of z) {
    const l = piece as number;
    const { cos, sin } = shared.rotations(l);
    const x = run.cache.get(`blocks.${l}.hook_resid_pre`);
    await backThrough(back, l, { x, cos, sin, mask: shared.mask(l) }, stream);
    heads[l] = at0(back.found.get(name), 0);
  }
  return { values: metric.value(run.logits!), stream: at0(stream, 0), heads };
}
