/** Attention flow: how much attention one group of tokens gives to another. */
import { checkOptions, integers, type OptionChecks, some, TASK_OPTIONS, texts } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { sizeOf, type Tensor } from "../../tensor.js";
import type { Batch } from "../batch/index.js";
import type { Model } from "../model.js";
import { type AttentionRoute, type RouteEnds, routeEnds } from "./groups.js";

export interface FlowOptions extends TaskOptions {
  /** Keys→queries (default: "Image→Text" and "Text→Image"). */
  readonly routes?: readonly AttentionRoute[];
  /** Blocks (default: all). */
  readonly layers?: readonly number[];
}

const FLOW_OPTIONS: OptionChecks<FlowOptions> = {
  ...TASK_OPTIONS,
  routes: some(texts),
  layers: some(integers),
};

export interface AttentionFlow {
  readonly routes: readonly AttentionRoute[];
  readonly layers: readonly number[];
  /** (routes, layers, heads, batch): share of the queries' attention that goes to the keys, 0–1. */
  readonly byHead: Tensor<Float64Array>;
  /** (routes, layers, batch): its mean over heads. */
  readonly share: Tensor<Float64Array>;
  /**
   * (routes, batch): the share of attention spread evenly over the tokens up to each query, which is also what as many
   * random ones of these get on average.
   */
  readonly even: Tensor<Float64Array>;
}

/**
 * Attention flow between groups of tokens: of each query's attention the share that goes to the group of keys, in the
 * mean over queries that have one of the keys before them or are one. Text before an image cannot attend to it, and
 * does not count.
 * @throws ModalscopeError for an unknown route, and a row without tokens of a group
 */
export async function attentionFlow(
  model: Model,
  batch: Batch,
  options: FlowOptions = {},
): Promise<AttentionFlow> {
  checkOptions("attentionFlow", options, FLOW_OPTIONS);
  const { routes = ["Image→Text", "Text→Image"], layers = model.layers, onProgress, signal } = options;
  const ends = routes.map((route) => seeing(routeEnds(batch, route)));
  const hooks = layers.map((l) => `blocks.${l}.attn.hook_pattern`);
  // Whole patterns of long prompts would not fit: of each query the sums over the routes' keys are kept.
  const positions = batch.tokenPositions.map((columns, b) => {
    const asked = new Set(ends.flatMap(({ queries }) => queries[b]));
    return columns.filter((c) => asked.has(c));
  });
  const reduce = { keys: ends.map(({ keys }) => keys) };
  const capture = hooks.map((hook) => ({ hook, positions, padRows: true, reduce }));
  const { cache } = await model.run(batch, { capture, logits: "none", onProgress, signal });
  const heads = model.config.num_attention_heads;
  const byHead = new Float64Array(routes.length * layers.length * heads * batch.size);
  const share = new Float64Array(routes.length * layers.length * batch.size);
  ends.forEach(({ queries }, r) => {
    const places = queries.map((columns, b) => columns.map((q) => positions[b].indexOf(q)));
    hooks.forEach((hook, l) => {
      const shares = sharesOf(cache.get(`${hook}/keys`), places, r);
      const at = r * layers.length + l;
      byHead.set(shares, at * heads * batch.size);
      shares.forEach((value, i) => {
        share[at * batch.size + (i % batch.size)] += value / heads;
      });
    });
  });
  return {
    routes,
    layers,
    byHead: { data: byHead, shape: [routes.length, layers.length, heads, batch.size] },
    share: { data: share, shape: [routes.length, layers.length, batch.size] },
    even: {
      data: Float64Array.from(ends.flatMap((route) => evenShares(batch, route))),
      shape: [routes.length, batch.size],
    },
  };
}

/** A route's queries that can see one of its keys. */
function seeing({ keys, queries }: RouteEnds): RouteEnds {
  return { keys, queries: queries.map((columns, b) => columns.filter((q) => q >= Math.min(...keys[b]))) };
}

/** (heads, batch) of sums (batch, heads, query, route) at some queries; NaN in rows where no query sees a key. */
function sharesOf(
  { data, shape }: Tensor,
  queries: readonly (readonly number[])[],
  route: number,
): Float64Array {
  const [batch, heads, places, routes] = shape;
  const out = new Float64Array(sizeOf([heads, batch]));
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const from = (b * heads + h) * places;
      const sum = queries[b].reduce((total, q) => total + data[(from + q) * routes + route], 0);
      out[h * batch + b] = sum / queries[b].length;
    }
  }
  return out;
}

/** By row the share of attention that is spread evenly over the tokens up to each query. */
function evenShares({ tokenPositions }: Batch, { keys, queries }: RouteEnds): number[] {
  const upTo = (columns: readonly number[], q: number): number => columns.filter((c) => c <= q).length;
  return queries.map((own, b) => {
    const shares = own.map((q) => upTo(keys[b], q) / upTo(tokenPositions[b], q));
    return shares.reduce((sum, share) => sum + share, 0) / own.length;
  });
}
