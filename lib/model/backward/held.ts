/**
 * The model as a linear map: attention patterns and norm scales have the values of one run, and MLP outputs are
 * constants. Cotangents go back through its pieces without any value being computed again. The linearisation is that
 * of "Circuit Tracing" (Ameisen et al. 2025, transformer-circuits.pub/2025/attribution-graphs/methods.html).
 */
import { sizeOf, type Tensor } from "../../tensor.js";
import type { Pass } from "../batch/index.js";
import { type Engine, type Feeds, floats, type GraphRequest, runSession } from "../engine/index.js";
import type { PieceId } from "../families/index.js";
import { cotangentOf, derivativeBy, frozenInput } from "../graph/index.js";
import type { Hook } from "../hooks/index.js";
import { ADDED, MLP_OUT } from "../nn/index.js";
import { BIASES, backwardGraph, projectionsOf, SKIP } from "./piece.js";

/** One prompt's run, as far as its linear map needs it. */
export interface HeldRun {
  readonly engine: Engine;
  readonly pass: Pass;
  /** Patterns and scales by hook name, and the stream before each piece by its `hook_resid_pre`. */
  readonly values: ReadonlyMap<string, Tensor>;
}

/** A linear way past a block's MLP, whose output is a constant otherwise. */
export interface HeldSkip {
  readonly from: Hook;
  readonly to: Hook;
  /** (width of `to`, width of `from`) */
  readonly matrix: Tensor;
}

/** Cotangents that arrive at a piece, and the values that are read of it. */
export interface HeldPull {
  /** Cotangents (targets, 1, time, …) by `out` or an inner hook; `time` may be less than the prompt's. */
  readonly arriving: Feeds;
  /** Inner hooks whose cotangents are wanted. */
  readonly wrt: readonly Hook[];
  /** Vectors (1, time, width, K) that a wanted cotangent is projected on. */
  readonly projections: ReadonlyMap<string, Tensor>;
  readonly biases: boolean;
  readonly skip?: HeldSkip;
}

/** Whether a hook's value is held: patterns, and scales of norms that the stream or a head's output goes through. */
export function isHeld({ local, inside }: Hook): boolean {
  if (!inside) return false;
  return (
    local === "attn.hook_pattern" || (local.endsWith(".hook_scale") && !/^attn\.[qk]_norm\./.test(local))
  );
}

/**
 * Pulls cotangents back through a piece of a held run.
 * @returns the cotangent of its `x`, of each wanted hook that one reaches, and BIASES
 */
export async function vjpHeld(run: HeldRun, id: PieceId, pull: HeldPull): Promise<Record<string, Tensor>> {
  const { engine, values } = run;
  const { arriving, wrt, projections } = pull;
  const held = engine.hooks.filter((h) => h.piece === id && isHeld(h));
  const time = Object.values(arriving)[0].shape[2];
  const given: Record<string, Tensor> = {
    x: firstColumns(engine, values.get(streamBefore(engine, id))!, 1, time),
  };
  for (const h of held) {
    const value = values.get(h.name)!;
    const cut = firstColumns(engine, value, value.shape.length - 2, time);
    given[frozenInput(h.local)] = h.local === "attn.hook_pattern" ? firstColumns(engine, cut, 3, time) : cut;
  }
  for (const [name, g] of Object.entries(arriving)) given[cotangentOf(name)] = g;
  for (const h of wrt) {
    const vectors = projections.get(h.name);
    if (vectors) given[projectionsOf(h.local)] = firstColumns(engine, vectors, 1, time);
  }
  if (pull.skip) given[SKIP] = pull.skip.matrix;
  const names = [derivativeBy("x"), ...wrt.map((h) => derivativeBy(h.local)), BIASES];
  const request = heldGraph(engine, id, { ...pull, from: Object.keys(arriving) });
  const results: Record<string, Tensor> = await engine.pool.use(request, async (session) => {
    const offered = names.filter((name) => session.outputNames.includes(name));
    return offered.length > 0 ? runSession(engine, session, given, offered) : {};
  });
  const found: Record<string, Tensor> = {};
  for (const name of ["x", ...wrt.map((h) => h.local)]) {
    const d = results[derivativeBy(name)];
    if (d) found[name] = d;
  }
  if (results[BIASES]) found[BIASES] = results[BIASES];
  return found;
}

/**
 * The graph that pulls back through a piece, from `out` or inner hooks. A pull through it finds its session open while
 * it is in use.
 */
export function heldGraph(
  engine: Engine,
  id: PieceId,
  { from, wrt, projections, biases, skip }: Omit<HeldPull, "arriving"> & { readonly from: readonly string[] },
): GraphRequest {
  const own = engine.hooks.filter((h) => h.piece === id && h.inside);
  const request = backwardGraph(engine, id, {
    wrt: wrt.map((h) => h.local),
    frozen: own.filter((h) => h.local === MLP_OUT).map((h) => h.local),
    from,
    variant: { withoutPast: true, frozen: own.filter(isHeld).map((h) => h.local) },
    projected: wrt.filter((h) => projections.has(h.name)).map((h) => h.local),
    biases,
    // What arrives at the end of a sparse block is the cotangent of what its experts add.
    ...(skip && { skip: { from: skip.from.local, to: isAfterGraph(skip.to) ? "out" : skip.to.local } }),
  });
  // Many rows go through a piece: packing pays, and takes the attention's weights alone.
  return { ...request, prepack: engine.resident ? "if it fits" : false };
}

/** Hooks of a sparse block that lie after its graph: what arrives at the block's end is their cotangent. */
export const isAfterGraph = ({ inside, local }: Hook): boolean =>
  !inside && (local === MLP_OUT || local === ADDED);

function streamBefore({ config }: Engine, id: PieceId): string {
  return typeof id === "number"
    ? `blocks.${id}.hook_resid_pre`
    : `blocks.${config.num_hidden_layers - 1}.hook_resid_post`;
}

/** The first `n` entries along an axis. */
function firstColumns(engine: Engine, x: Tensor, axis: number, n: number): Tensor {
  const length = x.shape[axis];
  if (length === n) return x;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  const shape = x.shape.map((d, i) => (i === axis ? n : d));
  if (outer === 1) return { data: x.data.subarray(0, n * inner), shape };
  const data = floats(engine, outer * n * inner);
  for (let o = 0; o < outer; o++) {
    data.set(x.data.subarray(o * length * inner, o * length * inner + n * inner), o * n * inner);
  }
  return { data, shape };
}
