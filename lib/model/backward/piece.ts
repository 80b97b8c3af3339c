/**
 * Vector-Jacobian products of one piece of the model, from the metrics' cotangents `g` at what leaves it:
 *
 *     for each piece, from the last to the first:
 *         its graph computes its values again, edits included, from the stream that the forward run captured
 *         g at its outputs is pulled back to its input x, for all metrics at once: (targets, …)
 *         where a hook is asked for, the cotangent that arrives there is its gradient
 *     an edit that depends on its value cuts the graph: g is pulled through the edit here, and goes on before it
 */
import { ModalscopeError } from "../../errors.js";
import { sizeOf, type Tensor, zerosLike } from "../../tensor.js";
import { fillPadding, type Pass } from "../batch/index.js";
import { ActivationCache, CaptureRecorder } from "../captures/index.js";
import { isAffine, vjpEdits, withoutPaddedKeys } from "../edits/index.js";
import {
  type Engine,
  type Feeds,
  floats,
  type GraphRequest,
  type RunContext,
  resolveInnerEdits,
  runSession,
  shapeOf,
  withPiece,
} from "../engine/index.js";
import { buildPiece, type GraphVariant, HEAD, type PieceId } from "../families/index.js";
import {
  attentionOf,
  blockFeeds,
  finalNorm,
  NORMALIZED,
  pickColumns,
  type Stream,
} from "../forward/index.js";
import {
  cotangentOf,
  derivativeBy,
  frozenInput,
  input,
  type Node,
  preEditOf,
  pullback,
} from "../graph/index.js";
import { axesOf, type Hook } from "../hooks/index.js";
import { EXPERT_INPUT, EXPERT_POST, EXPERT_WEIGHTS, MLP_OUT } from "../nn/index.js";
import { vjpExperts } from "./experts.js";

/** Hooks of a backward pass. */
export interface BackwardHooks {
  /** Hooks to differentiate by. */
  readonly wrt: readonly Hook[];
  /** Constants: nothing passes through these. They have their own values, or those given. */
  readonly frozen: readonly Hook[];
  readonly frozenValues?: ReadonlyMap<string, Tensor>;
}

/** Everything that goes along with a backward pass over the pieces. */
export interface BackwardContext extends RunContext, Required<BackwardHooks> {
  readonly pass: Pass;
  /** Rotations and masks of the pass. */
  readonly attention: Stream["attention"];
  /** Gradients by hook, (targets, …the hook's shape). */
  readonly gradients: ActivationCache;
}

/** The backward pass of a run. */
export function backwardContext(
  { engine, plan, signal, onProgress }: Omit<RunContext, "recorder">,
  pass: Pass,
  { wrt, frozen, frozenValues = new Map() }: BackwardHooks,
): BackwardContext {
  return {
    engine,
    plan,
    signal,
    onProgress,
    // Values that are computed again are not captured again.
    recorder: new CaptureRecorder(engine.hooks, []),
    pass,
    attention: attentionOf(engine, pass),
    gradients: new ActivationCache(),
    wrt,
    frozen,
    frozenValues,
  };
}

/** The cotangent (targets, batch, time, hidden_size) at a block's input x, from that at its output. */
export async function vjpBlock(back: BackwardContext, layer: number, x: Tensor, g: Tensor): Promise<Tensor> {
  const feeds = blockFeeds(back, layer, { pass: back.pass, x, attention: back.attention });
  const experts = await vjpBlockExperts(back, layer, feeds, g);
  return vjpPiece(back, layer, feeds, { out: g, ...experts });
}

/**
 * The cotangent (targets, batch, time, hidden_size) at the final norm's input, from that of logits at some columns:
 * the head's matrix is pulled through at these alone, the norm at all.
 */
export async function vjpHead(
  back: BackwardContext,
  x: Tensor,
  columns: readonly (readonly number[])[],
  g: Tensor,
): Promise<Tensor> {
  const { engine, pass } = back;
  const normalized = await finalNorm(back, pass, x);
  const variant = { frozen: [NORMALIZED] };
  const request = backwardGraph(engine, HEAD, { wrt: [NORMALIZED], frozen: [], from: ["out"], variant });
  const feeds = { [frozenInput(NORMALIZED)]: pickColumns(normalized, columns), [cotangentOf("out")]: g };
  const d = derivativeBy(NORMALIZED);
  const results = await engine.pool.use(request, (session) => runSession(engine, session, feeds, [d]));
  const spread = scatterPositions(results[d], columns, pass.seqLength);
  return vjpPiece(back, HEAD, { x }, { [NORMALIZED]: spread }, { only: "hookPoints" });
}

/**
 * Pulls cotangents that arrive at hooks of a piece, or at its `out`, back to its `x`; gradients asked for inside are
 * kept. An edit that depends on its value cuts the graph in two: the cotangent after it is pulled through the edit
 * here, and arrives again before it.
 */
export async function vjpPiece(
  back: BackwardContext,
  id: PieceId,
  feeds: Feeds,
  arriving: Feeds,
  base: GraphVariant = {},
): Promise<Tensor> {
  const { engine, pass, plan, gradients } = back;
  const { wrt, frozen, held, cuts } = hooksInside(back, id);
  const { variant, inputs } = await resolveInnerEdits(back, id, feeds, pass, base);
  const targets = Object.values(arriving)[0].shape[0];
  const given: Record<string, Tensor> = { ...feeds, ...inputs };
  for (const h of held) given[frozenInput(h.local)] = withoutZeros(back.frozenValues.get(h.name)!, h, pass);
  for (const [name, g] of Object.entries(arriving)) given[cotangentOf(name)] = g;
  for (const cut of cuts) {
    const shape = [targets, ...shapeOf(cut, pass, feeds.x)];
    given[cotangentOf(preEditOf(cut.local))] = { data: floats(engine, sizeOf(shape)), shape };
  }
  const request = backwardGraph(engine, id, {
    wrt: locals([...new Set([...wrt, ...cuts])]),
    frozen: locals(frozen),
    from: [...Object.keys(arriving), ...locals(cuts).map(preEditOf)],
    variant: { ...variant, withoutPast: true, frozen: locals(held) },
  });
  return engine.pool.use(request, async (session) => {
    for (const cut of [...cuts].reverse()) {
      const d = derivativeBy(cut.local);
      if (!session.outputNames.includes(d)) continue;
      const after = (await runSession(engine, session, given, [d]))[d];
      given[cotangentOf(preEditOf(cut.local))] = vjpEdits(after, cut, plan.get(cut.name)!, pass);
    }
    const missing = wrt.find((h) => !session.outputNames.includes(derivativeBy(h.local)));
    if (missing) throw nothingDepends(missing.name);
    const outputs = ["x", ...locals(wrt)].map(derivativeBy);
    const offered = outputs.filter((name) => session.outputNames.includes(name));
    const results = offered.length > 0 ? await runSession(engine, session, given, offered) : {};
    for (const h of wrt) gradients.set(h.name, withoutPaddedKeys(results[derivativeBy(h.local)], h, pass));
    return results[derivativeBy("x")] ?? zeroCotangent(feeds.x, targets);
  });
}

/** The hooks of a piece's graph: to differentiate by, frozen, held at a value, and those whose edits cut the graph. */
function hooksInside(
  back: BackwardContext,
  id: PieceId,
): Record<"wrt" | "frozen" | "held" | "cuts", readonly Hook[]> {
  const { engine, plan, frozenValues } = back;
  const inside = (hooks: readonly Hook[]): Hook[] => hooks.filter((h) => h.piece === id && h.inside);
  const constant = inside(back.frozen);
  const held = constant.filter(({ name }) => frozenValues.has(name));
  return {
    wrt: inside(back.wrt),
    frozen: constant.filter((h) => !held.includes(h)),
    held,
    cuts: inside(engine.hooks).filter(
      (h) => plan.has(h.name) && !isAffine(plan.get(h.name)!) && !constant.includes(h),
    ),
  };
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

/** The derivatives and cotangents of a backward graph. */
interface BackwardGraph {
  /** Hooks to differentiate by, besides `x`. */
  readonly wrt: readonly string[];
  /** Hooks that are constants. */
  readonly frozen: readonly string[];
  /** Values that cotangents arrive at: `out`, a hook, or a hook before its edit. */
  readonly from: readonly string[];
  readonly variant: GraphVariant;
}

/** The graph that pulls cotangents (targets, …) back through a piece: derivatives by `x` and by hooks, where any exist. */
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
      ...[...preEdit].map(([n, v]) => [preEditOf(n), v] as const),
    ]);
    const cotangents = new Map(
      graph.from.map((name) => {
        const at = points.get(name)!;
        return [at, input(cotangentOf(name), ["targets", ...at.shape])];
      }),
    );
    const by = ["x", ...graph.wrt];
    const wrt = by.map((name) => (name === "x" ? x : hookPoints.get(name)!));
    const frozen = new Set(graph.frozen.map((name) => hookPoints.get(name)!));
    const derivatives = pullback(cotangents, wrt, { targets: true, frozen });
    const outputs: Record<string, Node> = {};
    derivatives.forEach((d, i) => {
      if (d) outputs[derivativeBy(by[i])] = d;
    });
    return outputs;
  };
  return { key: `back ${id} ${JSON.stringify(graph)}`, build, prepack: false };
}

/**
 * Cotangents by the inputs of a sparse block's experts, which arrive in the block's own graph; none where there are no
 * experts, or where their sum is a constant.
 */
async function vjpBlockExperts(
  back: BackwardContext,
  layer: number,
  feeds: Feeds,
  g: Tensor,
): Promise<Feeds> {
  const { engine, pass, plan, gradients } = back;
  if (!engine.family.experts?.(engine.config, layer)) return {};
  const hookOf = (local: string): Hook => engine.hooks.find((h) => h.piece === layer && h.local === local)!;
  const [sum, post] = [hookOf(MLP_OUT), hookOf(EXPERT_POST)];
  if (back.wrt.includes(sum)) gradients.set(sum.name, g);
  if (back.frozen.includes(sum)) {
    if (back.wrt.includes(post)) throw nothingDepends(post.name);
    return {};
  }
  const { variant, inputs } = await resolveInnerEdits(back, layer, feeds, pass);
  const read = await withPiece(engine, layer, variant, (session) =>
    runSession(engine, session, { ...feeds, ...inputs }, [EXPERT_INPUT, EXPERT_WEIGHTS]),
  );
  const values = { input: read[EXPERT_INPUT], weights: read[EXPERT_WEIGHTS] };
  const cotangent = vjpEdits(g, sum, plan.get(sum.name) ?? [], pass);
  const d = await vjpExperts(back, layer, values, cotangent, back.frozen.includes(post));
  if (back.wrt.includes(post)) gradients.set(post.name, d.post);
  return { [EXPERT_INPUT]: d.input, [EXPERT_WEIGHTS]: d.weights };
}

function recordGradient({ gradients, wrt }: BackwardContext, name: string, g: Tensor): void {
  if (wrt.some((h) => h.name === name)) gradients.set(name, g);
}

/** Pulls a cotangent through a hook of the stream, whose gradient it is; zero where the stream is frozen. */
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
