/**
 * Features switched off in the model itself, with nothing held: what the graph predicts of it beside what happens, for the
 * most influential features and for as many others of the same layers.
 */
import { ModalscopeError } from "../../errors.js";
import { type Batch, edit, type Model } from "../../model/index.js";
import { type Metric, sweep } from "../../model/methods/index.js";
import { checkOptions, integer, type OptionChecks, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { nodeInfluence } from "./influence.js";
import { type AttributionGraph, edgeRow, type GraphNode } from "./nodes.js";

export interface AblationOptions extends TaskOptions {
  /** Token whose logit (less the mean) is watched (default: the graph's first). */
  readonly token?: number;
  /** Features of either kind (default 20). */
  readonly features?: number;
  readonly seed?: number;
}

const ABLATION_OPTIONS: OptionChecks<AblationOptions> = {
  ...TASK_OPTIONS,
  token: integer(0),
  features: integer(1),
  seed: integer(),
};

/** One feature that was switched off at its position. */
export interface Ablation {
  readonly node: number;
  readonly group: "influential" | "random";
  /** Change of the logit along all paths of the graph, each feature's activation following its inputs linearly. */
  readonly predicted: number;
  readonly actual: number;
}

/**
 * Takes features away one at a time, h ← h − activation · decoder at what their layers write, and watches a logit.
 * @throws ModalscopeError when the graph has no such logit
 */
export async function ablateFeatures(
  model: Model,
  batch: Batch,
  set: TranscoderSet,
  graph: AttributionGraph,
  options: AblationOptions = {},
): Promise<Ablation[]> {
  checkOptions("ablateFeatures", options, ABLATION_OPTIONS);
  const { features = 20, seed = 0, signal, onProgress } = options;
  const output = graph.nodes.find((n) => n.kind === "logit" && n.token === (options.token ?? n.token));
  if (output?.kind !== "logit")
    throw new ModalscopeError(
      `The graph does not explain the logit of token ${options.token}.`,
      "",
      "Ask attribute for it.",
    );
  const chosen = featuresToAblate(graph, features, seed);
  const effects = totalEffects(graph, graph.nodes.indexOf(output));
  const { values, clean } = await sweep(model, batch, {
    over: { node: chosen.map(({ node }) => node) },
    edit: ({ node }) => removal(set, graph.nodes[node]),
    metric: centredLogit(output.token),
    signal,
    onProgress,
  });
  return chosen.map(({ node, group }, i) => ({
    node,
    group,
    predicted: -effects[node],
    actual: values.data[i] - clean[0],
  }));
}

/** The most influential features, and as many others of the same layers. */
function featuresToAblate(
  graph: AttributionGraph,
  count: number,
  seed: number,
): { node: number; group: Ablation["group"] }[] {
  const influence = nodeInfluence(graph);
  const features = graph.nodes
    .flatMap((n, i) => (n.kind === "feature" ? [{ layer: n.layer, i }] : []))
    .sort((a, b) => influence[b.i] - influence[a.i]);
  const best = features.slice(0, count);
  const rest = features.slice(count);
  seeded(seed).shuffle(rest);
  const others = best.flatMap(({ layer }) => {
    const at = rest.findIndex((f) => f.layer === layer);
    return at < 0 ? [] : rest.splice(at, 1);
  });
  return [
    ...best.map(({ i }) => ({ node: i, group: "influential" as const })),
    ...others.map(({ i }) => ({ node: i, group: "random" as const })),
  ];
}

/** −activation · decoder row at each layer that a feature writes to. */
function removal(set: TranscoderSet, node: GraphNode): Readonly<Record<string, ReturnType<typeof edit.add>>> {
  if (node.kind !== "feature") throw new TypeError(`A ${node.kind} is no feature.`);
  const { layer, feature, position, activation } = node;
  const own = set.layers[layer];
  return Object.fromEntries(
    own.targets.map((target) => {
      const { data } = own.decoderRows([feature], target);
      const value = { data: data.map((v) => -activation * v), shape: [data.length] };
      return [`blocks.${target}.${set.hookOut}`, edit.add(value, { positions: [position] })];
    }),
  );
}

/**
 * Effect of each node on an output along all paths: direct, and through features whose activation follows its inputs,
 * A_ts / a_t of it for each source.
 */
export function totalEffects(graph: AttributionGraph, output: number): Float64Array {
  const effects = new Float64Array(graph.nodes.length);
  graph.targets.forEach((target, row) => {
    const node = graph.nodes[target];
    const factor =
      target === output
        ? 1
        : node.kind === "feature" && graph.values[row] !== 0
          ? effects[target] / graph.values[row]
          : 0;
    if (factor === 0) return;
    const edges = edgeRow(graph, row);
    for (let s = 0; s < edges.length; s++) effects[s] += factor * edges[s];
  });
  return effects;
}

/** A logit minus the mean of all, at the last of the positions. */
function centredLogit(token: number): Metric {
  const rows = ({ data, shape: [size, n, width] }: Parameters<Metric["value"]>[0]): Float32Array[] =>
    Array.from({ length: size }, (_, b) => data.subarray((b * n + n - 1) * width, (b + 1) * n * width));
  return {
    name: "logit less the mean logit",
    value: (logits) =>
      Float64Array.from(rows(logits), (x) => x[token] - x.reduce((sum, v) => sum + v, 0) / x.length),
    gradient: (logits) => {
      const out = { data: new Float32Array(logits.data.length), shape: logits.shape };
      for (const x of rows(out)) {
        x.fill(-1 / x.length);
        x[token] += 1;
      }
      return out;
    },
  };
}
