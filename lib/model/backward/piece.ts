/** One piece of the model backwards: its values computed again, and cotangents pulled back through it. */
import { ModalscopeError } from "../../errors.js";
import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import type { AttentionInputs, Pass } from "../batch/pass.js";
import { fillPadding } from "../batch/pass.js";
import type { ActivationCache } from "../captures/activation-cache.js";
import { CaptureRecorder } from "../captures/recorder.js";
import { isAffine, vjpEdits, withoutPaddedKeys } from "../edits/apply.js";
import type { Plan } from "../edits/plan.js";
import { type Engine, floats, runSession, withPiece } from "../engine/engine.js";
import type { GraphRequest } from "../engine/pool.js";
import { resolveInnerEdits, shapeOf } from "../engine/run-piece.js";
import { buildPiece, type GraphVariant, HEAD, type PieceId } from "../families/index.js";
import { blockFeeds } from "../forward/block.js";
import { finalNorm, NORMALIZED, pickColumns } from "../forward/head.js";
import { input, type Node, pullback } from "../graph/index.js";
import { axesOf, type Hook } from "../hooks/index.js";
import { EXPERT_INPUT, EXPERT_POST, EXPERT_WEIGHTS, MLP_OUT } from "../nn/index.js";
import { vjpExperts } from "./experts.js";

/** What a backward pass over the pieces works with. */
export interface BackwardContext {
  readonly engine: Engine;
  readonly pass: Pass;
  readonly shared: AttentionInputs;
  readonly plan: Plan;
  /** Where the cotangents of wanted hooks go, (targets, …the hook's shape). */
  readonly gradients: ActivationCache;
  readonly wrt: readonly Hook[];
  /** Nothing passes through these; they have their own values, or those given. */
  readonly frozen: readonly Hook[];
  readonly frozenValues: ReadonlyMap<string, Tensor>;
}

/** The cotangent (targets, batch, time, hidden_size) of what enters a block, from that of what leaves it. */
export async function vjpBlock(back: BackwardContext, layer: number, x: Tensor, g: Tensor): Promise<Tensor> {
  const feeds = blockFeeds(back.engine, layer, back.pass, back.shared, x, back.plan);
  const experts = await vjpBlockExperts(back, layer, feeds, g);
  return vjpPiece(back, layer, feeds, { out: g, ...experts });
}

/**
 * The cotangent (targets, batch, time, hidden_size) of what enters the final norm, from that of logits at some columns:
 * the head's matrix is gone through at these alone, the norm at all.
 */
export async function vjpHead(
  back: BackwardContext,
  x: Tensor,
  columns: readonly (readonly number[])[],
  g: Tensor,
): Promise<Tensor> {
  const { engine, pass, plan } = back;
  const company = { plan, recorder: new CaptureRecorder(engine.hooks, []) };
  const normalized = await finalNorm(engine, pass, x, company);
  const variant = { frozen: [NORMALIZED] };
  const request = backwardGraph(engine, HEAD, { wrt: [NORMALIZED], frozen: [], from: ["out"], variant });
  const feeds = { [`frozen.${NORMALIZED}`]: pickColumns(normalized, columns), "g out": g };
  const d = `d ${NORMALIZED}`;
  const results = await engine.pool.use(request, (session) => runSession(engine, session, feeds, [d]));
  const spread = scatterPositions(results[d], columns, pass.seqLength);
  return vjpPiece(back, HEAD, { x }, { [NORMALIZED]: spread }, { only: "hookPoints" });
}

/**
 * Pulls cotangents that arrive at taps of a piece, or at its `out`, back to its `x`; what is wanted inside is kept.
 * An edit that depends on its value cuts the graph in two: what arrives after it is pulled through it here, and
 * arrives again before it.
 */
export async function vjpPiece(
  back: BackwardContext,
  id: PieceId,
  feeds: Readonly<Record<string, Tensor>>,
  arriving: Readonly<Record<string, Tensor>>,
  base: GraphVariant = {},
): Promise<Tensor> {
  const { engine, pass, plan, gradients: found, frozenValues: values } = back;
  const inside = (hooks: readonly Hook[]): Hook[] => hooks.filter((h) => h.piece === id && h.inside);
  const wanted = inside(back.wrt);
  const frozen = inside(back.frozen);
  const held = frozen.filter(({ name }) => values.has(name));
  const { variant, inputs } = await resolveInnerEdits(engine, id, feeds, pass, plan, base);
  const cuts = inside(engine.hooks).filter(
    (h) => plan.has(h.name) && !isAffine(plan.get(h.name)!) && !frozen.includes(h),
  );
  const targets = Object.values(arriving)[0].shape[0];
  const given: Record<string, Tensor> = { ...feeds, ...inputs };
  for (const h of held) given[`frozen.${h.local}`] = withoutZeros(values.get(h.name)!, h, pass);
  for (const [name, g] of Object.entries(arriving)) given[`g ${name}`] = g;
  for (const cut of cuts) {
    const shape = [targets, ...shapeOf(cut, pass, feeds.x)];
    given[`g before ${cut.local}`] = { data: floats(engine, sizeOf(shape)), shape };
  }
  const request = backwardGraph(engine, id, {
    wrt: locals([...new Set([...wanted, ...cuts])]),
    frozen: locals(frozen.filter((h) => !held.includes(h))),
    from: [...Object.keys(arriving), ...cuts.map((h) => `before ${h.local}`)],
    variant: { ...variant, withoutPast: true, frozen: locals(held) },
  });
  return engine.pool.use(request, async (session) => {
    for (const cut of [...cuts].reverse()) {
      const d = `d ${cut.local}`;
      if (!session.outputNames.includes(d)) continue;
      const after = (await runSession(engine, session, given, [d]))[d];
      given[`g before ${cut.local}`] = vjpEdits(after, cut, plan.get(cut.name)!, pass);
    }
    const missing = wanted.find((h) => !session.outputNames.includes(`d ${h.local}`));
    if (missing) throw nothingDepends(missing.name);
    const outputs = ["d x", ...locals(wanted).map((name) => `d ${name}`)];
    const offered = outputs.filter((name) => session.outputNames.includes(name));
    const results = offered.length > 0 ? await runSession(engine, session, given, offered) : {};
    for (const h of wanted) found.set(h.name, withoutPaddedKeys(results[`d ${h.local}`], h, pass));
    return results["d x"] ?? zeroCotangent(feeds.x, targets);
  });
}

const locals = (hooks: readonly Hook[]): string[] => hooks.map((h) => h.local);

function zeroCotangent({ data, shape }: Tensor, targets: number): Tensor {
  return { data: zerosLike(data, targets * data.length), shape: [targets, ...shape] };
}

/** Captured values are zero at padding, where a scale of zero would divide: nothing there reaches a token. */
function withoutZeros({ data, shape }: Tensor, hook: Hook, pass: Pass): Tensor {
  const filled = data.slice();
  fillPadding(filled, shape, axesOf(hook).time, pass, 1);
  return { data: filled, shape };
}

/** What a backward graph is of. */
interface BackwardGraph {
  /** Taps to differentiate by, besides `x`. */
  readonly wrt: readonly string[];
  /** Taps that are constants. */
  readonly frozen: readonly string[];
  /** Where cotangents arrive: `out`, a tap, or `before` and a tap: its value before the edit. */
  readonly from: readonly string[];
  readonly variant: GraphVariant;
}

/** A piece with the pullback of the cotangents `g <from>` (targets, …): `d x` and `d <tap>`, where anything depends on them. */
export function backwardGraph(
  { family, config }: Pick<Engine, "family" | "config">,
  id: PieceId,
  graph: BackwardGraph,
): GraphRequest {
  const build = (): Record<string, Node> => {
    const { x, out, hookPoints, preEdit } = buildPiece(family, config, id, graph.variant);
    const points = new Map([
      ["out", out],
      ...hookPoints,
      ...[...preEdit].map(([n, v]) => [`before ${n}`, v] as const),
    ]);
    const cotangents = new Map(
      graph.from.map((name) => {
        const at = points.get(name)!;
        return [at, input(`g ${name}`, ["targets", ...at.shape])];
      }),
    );
    const by = ["x", ...graph.wrt];
    const wrt = by.map((name) => (name === "x" ? x : hookPoints.get(name)!));
    const frozen = new Set(graph.frozen.map((name) => hookPoints.get(name)!));
    const derivatives = pullback(cotangents, wrt, { targets: true, frozen });
    const outputs: Record<string, Node> = {};
    derivatives.forEach((d, i) => {
      if (d) outputs[`d ${by[i]}`] = d;
    });
    return outputs;
  };
  return { key: `back ${id} ${JSON.stringify(graph)}`, build, prepack: false };
}

/**
 * Of a sparse block: cotangents by what its experts read, which arrive in the block's own graph. None where there are
 * no experts, or where their sum is a constant.
 */
async function vjpBlockExperts(
  back: BackwardContext,
  layer: number,
  feeds: Readonly<Record<string, Tensor>>,
  g: Tensor,
): Promise<Record<string, Tensor>> {
  const { engine, pass, plan, gradients: found } = back;
  if (!engine.family.experts?.(engine.config, layer)) return {};
  const hookOf = (local: string): Hook => engine.hooks.find((h) => h.piece === layer && h.local === local)!;
  const [sum, post] = [hookOf(MLP_OUT), hookOf(EXPERT_POST)];
  if (back.wrt.includes(sum)) found.set(sum.name, g);
  if (back.frozen.includes(sum)) {
    if (back.wrt.includes(post)) throw nothingDepends(post.name);
    return {};
  }
  const { variant, inputs } = await resolveInnerEdits(engine, layer, feeds, pass, plan, {});
  const read = await withPiece(engine, layer, variant, (session) =>
    runSession(engine, session, { ...feeds, ...inputs }, [EXPERT_INPUT, EXPERT_WEIGHTS]),
  );
  const values = { input: read[EXPERT_INPUT], weights: read[EXPERT_WEIGHTS] };
  const before = vjpEdits(g, sum, plan.get(sum.name) ?? [], pass);
  const d = await vjpExperts(engine, layer, pass, values, before, back.frozen.includes(post));
  if (back.wrt.includes(post)) found.set(post.name, d.post);
  return { [EXPERT_INPUT]: d.input, [EXPERT_WEIGHTS]: d.weights };
}

function recordGradient({ gradients: found, wrt: wanted }: BackwardContext, name: string, g: Tensor): void {
  if (wanted.some((h) => h.name === name)) found.set(name, g);
}

/** Keeps a cotangent of the stream if it is asked for, and returns what goes on: nothing where the stream is frozen. */
export function vjpStream(back: BackwardContext, name: string, g: Tensor): Tensor {
  recordGradient(back, name, g);
  if (back.frozen.some((h) => h.name === name)) {
    return { data: zerosLike(g.data, g.data.length), shape: g.shape };
  }
  const edits = back.plan.get(name);
  return edits ? vjpEdits(g, back.engine.hooks.find((h) => h.name === name)!, edits, back.pass) : g;
}

function nothingDepends(name: string): ModalscopeError {
  return new ModalscopeError(`Nothing depends on "${name}" here.`, "What it leads to is frozen.");
}

/** Puts (targets, batch, n, d) at its columns in zeros (targets, batch, time, d). */
function scatterPositions(g: Tensor, columns: readonly (readonly number[])[], time: number): Tensor {
  const [count, size, n, width] = g.shape;
  const data = zerosLike(g.data, count * size * time * width);
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
  return { data, shape: [count, size, time, width] };
}
