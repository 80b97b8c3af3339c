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
} from "../engine/index.js";
import { buildPiece, type GraphVariant, type PieceId } from "../families/index.js";
import { attentionOf, type Stream } from "../forward/index.js";
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

export function nothingDepends(name: string): ModalscopeError {
  return new ModalscopeError(`Nothing depends on "${name}" here.`, "What it leads to is frozen.");
}
