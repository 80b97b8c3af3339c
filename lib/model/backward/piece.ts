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
  type Dim,
  derivativeBy,
  frozenInput,
  input,
  type Node,
  nameOf,
  ops,
  preEditOf,
  pullback,
  sorted,
} from "../graph/index.js";
import { axesOf, type Hook } from "../hooks/index.js";

/** Hooks of a backward pass. */
export interface BackwardHooks {
  /** Hooks to differentiate by. */
  readonly wrt: readonly Hook[];
  /** Constants: nothing passes through these. They have their own values, or those given. */
  readonly frozen: readonly Hook[];
  readonly frozenValues?: ReadonlyMap<string, Tensor>;
  /** Activation functions x · gate(x) with gates as constants (default: their derivatives). */
  readonly constantGates?: boolean;
  /** Also keeps what each piece's own biases contribute, as `biasesOf(piece)` (targets). */
  readonly biases?: boolean;
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
  { wrt, frozen, frozenValues = new Map(), constantGates = false, biases = false }: BackwardHooks,
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
    constantGates,
    biases,
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
    ...(back.constantGates && { constantGates: true }),
    ...(back.biases && { biases: true }),
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
    const outputs = [...["x", ...locals(wrt)].map(derivativeBy), BIASES];
    const offered = outputs.filter((name) => session.outputNames.includes(name));
    const results = offered.length > 0 ? await runSession(engine, session, given, offered) : {};
    for (const h of wrt) gradients.set(h.name, withoutPaddedKeys(results[derivativeBy(h.local)], h, pass));
    if (results[BIASES]) gradients.set(biasesOf(id), totals(results[BIASES]));
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
  readonly constantGates?: boolean;
  /**
   * Of these hooks not the derivative g (targets, batch, time, width) but (batch, time, targets, K): g · v for K vectors
   * at each position, the input `projectionsOf(hook)` (batch, time, width, K).
   */
  readonly projected?: readonly string[];
  /** Also gives BIASES (targets): Σ g · b over the biases b of the piece that the cotangents reach. */
  readonly biases?: boolean;
  /**
   * Hooks that a linear map SKIP (width at `to`, width at `from`) joins: what arrives at `to` also goes on at `from`,
   * whatever is frozen between them.
   */
  readonly skip?: { readonly from: string; readonly to: string };
}

/** Input of a backward graph: the matrix of its skip connection. */
export const SKIP = "skip connection";

/** Output of a backward graph: what the piece's own biases contribute. */
export const BIASES = "biases";

/** Name under which what a piece's biases contribute is kept. */
export const biasesOf = (id: PieceId): string => `biases of ${id}`;

const totals = ({ data }: Tensor): Tensor => ({ data, shape: [data.length] });

/** Input of a backward graph: the vectors that a derivative is projected on. */
export const projectionsOf = (name: string): string => `projections ${name}`;

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
    const cotangents = new Map<Node, Node>();
    // One value may have several names.
    const arrive = (at: Node, g: Node): void => {
      const other = cotangents.get(at);
      cotangents.set(at, other ? ops.add(other, g, g.shape) : g);
    };
    const arriving = new Map(
      graph.from.map((name) => [name, input(cotangentOf(name), ["targets", ...points.get(name)!.shape])]),
    );
    for (const [name, g] of arriving) arrive(points.get(name)!, g);
    const by = ["x", ...graph.wrt];
    const wrt = by.map((name) => (name === "x" ? x : hookPoints.get(name)!));
    const frozen = new Set(graph.frozen.map((name) => hookPoints.get(name)!));
    const options = { targets: true, frozen, constantGates: graph.constantGates };
    if (graph.skip) {
      const [to, from] = [graph.skip.to, graph.skip.from].map((name) => points.get(name)!);
      // A sparse block's graph ends before its experts: its `out` is hook_resid_mid too, where rows start that pass them by.
      const [g] = graph.skip.to === "out" ? [arriving.get("out")] : pullback(cotangents, [to], options);
      const width = (node: Node): Dim => node.shape[node.shape.length - 1];
      if (g) arrive(from, ops.linearTransposed(g, input(SKIP, [width(to), width(from)])));
    }
    const biases = graph.biases ? sorted(cotangents.keys()).filter(isBias) : [];
    const derivatives = pullback(cotangents, [...wrt, ...biases], options);
    const outputs: Record<string, Node> = {};
    by.forEach((name, i) => {
      const d = derivatives[i];
      if (d) outputs[derivativeBy(name)] = graph.projected?.includes(name) ? projected(name, d) : d;
    });
    const parts = biases.flatMap((b, i) => {
      const d = derivatives[wrt.length + i];
      return d ? [ops.sum(ops.mul(d, b), [-1])] : [];
    });
    if (parts.length > 0) outputs[BIASES] = parts.reduce((a, b) => ops.add(a, b));
    return outputs;
  };
  return { key: `back ${id} ${JSON.stringify(graph)}`, build, prepack: false };
}

/** A weight (width) that is added: of a norm or a projection. */
const isBias = (n: Node): boolean => n.op === "Weight" && n.shape.length === 1 && nameOf(n).endsWith("bias");

/** (targets, batch, time, width) → (batch, time, targets, K). */
function projected(name: string, d: Node): Node {
  const [, batch, time, width] = d.shape;
  return ops.matmul(
    ops.transpose(d, [1, 2, 0, 3]),
    input(projectionsOf(name), [batch, time, width, "vectors"]),
  );
}

export function nothingDepends(name: string): ModalscopeError {
  return new ModalscopeError(`Nothing depends on "${name}" here.`, "What it leads to is frozen.");
}
