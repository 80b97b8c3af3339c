/** Attention knockouts between groups of tokens, block by block and in windows. */
import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  checkSome,
  integer,
  integers,
  type OptionChecks,
  record,
  required,
  some,
  TASK_OPTIONS,
  texts,
} from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { type Random, seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { Batch } from "../batch/index.js";
import { type Edits, edit } from "../edits/index.js";
import type { Model } from "../model.js";
import { lessClean } from "./delta.js";
import { type AttentionRoute, type RouteEnds, routeEnds } from "./groups.js";
import type { Metric } from "./metrics.js";
import { sweep } from "./sweep.js";

/** The routes of cross-modal information flow (Zhang et al. 2024, arXiv 2411.18620). */
export const FLOW_ROUTES: readonly AttentionRoute[] = [
  "Question→Last",
  "Image→Last",
  "Image→Question",
  "Last→Last",
];

export interface KnockoutOptions extends TaskOptions {
  readonly metric: Metric;
  /** Routes that are cut, one at a time (default: `FLOW_ROUTES`). */
  readonly routes?: readonly AttentionRoute[];
  /** Blocks at which a route is cut: this odd number of them, centred (default 1; the literature takes 9). */
  readonly window?: number;
  /** Blocks at the windows' centres (default: all). */
  readonly layers?: readonly number[];
}

const KNOCKOUT_OPTIONS: OptionChecks<KnockoutOptions> = {
  ...TASK_OPTIONS,
  metric: required(record, "a metric, such as logProb(token)"),
  routes: some(texts),
  window: integer(1),
  layers: some(integers),
};

export interface Knockouts {
  readonly routes: readonly AttentionRoute[];
  readonly layers: readonly number[];
  /** (routes, layers, batch): the metric with a route cut. */
  readonly values: Tensor<Float64Array>;
  /** (routes, layers, batch): `values` less the clean run's. */
  readonly delta: Tensor<Float64Array>;
  /** (batch) */
  readonly clean: Float64Array;
}

/**
 * Attention knockouts (Geva et al. 2023): the metric where queries of one group no longer attend to keys of another.
 * The mask of padding and of what comes later stays.
 * @throws ModalscopeError for an even window, an unknown route, and a row without tokens of a group
 */
export async function attentionKnockouts(
  model: Model,
  batch: Batch,
  options: KnockoutOptions,
): Promise<Knockouts> {
  checkOptions("attentionKnockouts", options, KNOCKOUT_OPTIONS);
  const { metric, routes = FLOW_ROUTES, window = 1, layers = model.layers, onProgress, signal } = options;
  const ends = new Map(routes.map((route) => [route, routeEnds(batch, route)]));
  const cut = ({ route, layer }: { readonly route: AttentionRoute; readonly layer: number }): Edits =>
    blocked(ends.get(route)!, windowAround(layer, window, model.layers.length));
  const over = { route: routes, layer: layers };
  const { values, clean } = await sweep(model, batch, { over, edit: cut, metric, onProgress, signal });
  return { routes, layers, values, delta: lessClean(values, clean), clean };
}

/** Edits that keep queries from attending to keys in some blocks. */
function blocked({ keys: to, queries: from }: RouteEnds, layers: readonly number[]): Edits {
  return Object.fromEntries(
    layers.map((l) => [`blocks.${l}.attn.hook_attn_scores`, edit.blockAttention({ from, to })]),
  );
}

/**
 * Edits that cut a route in some blocks, for runs and generations.
 * @throws ModalscopeError for an unknown route, and a row without tokens of a group
 */
export function blockRoute(batch: Batch, route: AttentionRoute, layers: readonly number[]): Edits {
  checkSome("blockRoute", "layers", layers);
  return blocked(routeEnds(batch, route), layers);
}

/**
 * The control of {@link blockRoute}: in the same blocks, exactly as many edges of attention among the visual tokens
 * themselves. Visual tokens are drawn that no longer attend to any other, nor to themselves.
 * @throws ModalscopeError as `blockRoute`, and where a row's visual tokens have fewer edges than the route
 */
export function blockAsMany(
  batch: Batch,
  route: AttentionRoute,
  layers: readonly number[],
  options: { readonly seed?: number } = {},
): Edits {
  checkOptions("blockAsMany", options, { seed: integer() });
  checkSome("blockAsMany", "layers", layers);
  const random = seeded(options.seed ?? 0);
  const { keys, queries } = routeEnds(batch, route);
  const from = batch.visual.map((visual, row) => {
    const wanted = edgesBetween(keys[row], queries[row]);
    const all = (visual.length * (visual.length + 1)) / 2;
    if (wanted > all)
      throw new ModalscopeError(
        `Row ${row} has ${wanted} edges on "${route}", and ${all} among its ${visual.length} visual tokens.`,
        "A control of equal size cannot be drawn from them.",
        "Use images with more tokens, or shorter questions.",
      );
    return drawQueries(visual, wanted, random);
  });
  return blocked({ keys: batch.visual, queries: from }, layers);
}

/** Pairs of a query and a key that does not come after it. */
function edgesBetween(keys: readonly number[], queries: readonly number[]): number {
  return queries.reduce((sum, query) => sum + keys.filter((key) => key <= query).length, 0);
}

/** Tokens whose edges to those before them, and to themselves, are `wanted` together. */
function drawQueries(tokens: readonly number[], wanted: number, random: Random): number[] {
  let left = wanted;
  const drawn = new Set<number>();
  for (const i of random.shuffle(tokens.map((_, index) => index))) {
    if (i + 1 > left) continue;
    left -= i + 1;
    drawn.add(i);
  }
  if (left > 0) {
    // What was not drawn has more than `left` edges, so all with fewer are drawn, and one of those drawn has a
    // neighbour `left` further on that is not: else every token would be.
    const short = [...drawn].find((i) => i + left < tokens.length && !drawn.has(i + left))!;
    drawn.delete(short);
    drawn.add(short + left);
  }
  return [...drawn].sort((a, b) => a - b).map((i) => tokens[i]);
}

/**
 * The blocks of a window: max(0, layer − ⌊w/2⌋) … min(layers − 1, layer + ⌊w/2⌋).
 * @throws ModalscopeError for an even window, which has no centre
 */
export function windowAround(layer: number, window: number, layers: number): number[] {
  if (window % 2 === 0)
    throw new ModalscopeError(`A window of ${window} blocks has no centre.`, "", "Take an odd number.");
  const half = (window - 1) / 2;
  const first = Math.max(0, layer - half);
  const last = Math.min(layers - 1, layer + half);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/**
 * Relative change of a probability in percent, 100·(p′ − p)/p, from the change of its logarithm in nats. It has no
 * upper bound: where p is small, a mean over samples is that of few of them.
 */
export function relativeChange(delta: number): number {
  return 100 * Math.expm1(delta);
}
