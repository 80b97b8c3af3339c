/**
 * Edges held against interventions: the source is raised in the forward pass, with attention patterns, norm scales and all
 * other MLP outputs at their values, and what each target then reads must change by its edge for each time that the source is added.
 */
import { ModalscopeError } from "../../errors.js";
import type { Batch, Model } from "../../model/index.js";
import { freeze } from "../../model/methods/index.js";
import { checkOptions, integer, type OptionChecks, oneOf, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { type FrozenChanges, FrozenForward } from "./frozen-forward.js";
import { nodeInfluence } from "./influence.js";
import { type AttributionGraph, edgeRow, type GraphNode } from "./nodes.js";
import { type FirstPosition, findSources, sourceHooks } from "./sources.js";

export interface VerifyOptions extends TaskOptions {
  /** Features to raise, besides every token and error (default 100): half the most influential, half at random. */
  readonly features?: number;
  readonly seed?: number;
  /** As the graph was made with. */
  readonly firstPosition?: FirstPosition;
  /** Sources in one forward pass (default 16). */
  readonly atOnce?: number;
}

const VERIFY_OPTIONS: OptionChecks<VerifyOptions> = {
  ...TASK_OPTIONS,
  features: integer(0),
  seed: integer(),
  firstPosition: oneOf("whole", "features", "none"),
  atOnce: integer(1),
};

/** How far measured changes are from the edges. */
export interface Verification {
  /** Sources that were raised, by kind. */
  readonly sources: Readonly<Record<string, number>>;
  /** Their nodes. */
  readonly nodes: readonly number[];
  readonly edges: number;
  /** Share of the influence on the outputs that these sources have. */
  readonly coverage: number;
  /** Largest |measured − edge| at features, and at logits less their mean. */
  readonly worst: { readonly features: number; readonly logits: number };
  /** Edges beyond |measured − edge| ≤ atol + rtol · |edge|. */
  readonly beyond: number;
  readonly tolerances: typeof TOLERANCES;
}

/** circuit-tracer's own, in float32. */
const TOLERANCES = { features: { atol: 5e-4, rtol: 1e-5 }, logits: { atol: 1e-5, rtol: 1e-3 } } as const;

/**
 * Raises every token, every error and some features one at a time, everything else held, and compares what targets
 * read with the edges. The forward pass is the model's own with edits: it shares no code with the sweep that made the graph.
 * @throws ModalscopeError when the graph is of another prompt
 */
export async function verifyEdges(
  model: Model,
  batch: Batch,
  set: TranscoderSet,
  graph: AttributionGraph,
  options: VerifyOptions = {},
): Promise<Verification> {
  checkOptions("verifyEdges", options, VERIFY_OPTIONS);
  const { features = 100, seed = 0, firstPosition = "whole", atOnce = 16, signal, onProgress } = options;
  if (graph.tokens.join() !== Array.from(batch.inputIds).join())
    throw new ModalscopeError("The graph is of another prompt.", `It has ${graph.tokens.length} tokens.`);
  const run = await freeze(model, batch, { capture: sourceHooks(model, set), signal });
  const { points } = await findSources(model, set, run, firstPosition);
  const influence = nodeInfluence(graph);
  const nodes = sourcesToRaise(graph, influence, features, seed);
  const frozen = new FrozenForward(model, set, { run, points });
  const readers = readersOf(graph, set);
  const capture = set.layers.map(({ hookIn }) => hookIn);
  const found = { edges: 0, beyond: 0, features: 0, logits: 0 };
  const kinds = graph.targets.map((target) => graph.nodes[target].kind);
  const compare = (node: number, changes: Float64Array): void => {
    for (let row = 0, e = node; row < kinds.length; row++, e += graph.nodes.length) {
      if (kinds[row] === "direction") continue;
      const predicted = graph.edges[e];
      const kind = kinds[row] === "feature" ? "features" : "logits";
      const difference = Math.abs(changes[row] - predicted);
      const { atol, rtol } = TOLERANCES[kind];
      found.edges++;
      if (!(difference <= atol + rtol * Math.abs(predicted))) found.beyond++;
      if (!(difference <= found[kind])) found[kind] = difference;
    }
  };
  for (let i = 0; i < nodes.length; i += atOnce) {
    signal?.throwIfAborted();
    onProgress?.(i, nodes.length, "sources raised");
    const some = nodes.slice(i, i + atOnce);
    const changes = readChanges(readers, await frozen.raised(some, capture), some.length);
    some.forEach((node, n) => {
      compare(node, changes[n]);
    });
  }
  const all = influence.reduce((a, b) => a + b, 0);
  const counted: Record<string, number> = {};
  for (const node of nodes) counted[graph.nodes[node].kind] = (counted[graph.nodes[node].kind] ?? 0) + 1;
  return {
    sources: counted,
    nodes,
    edges: found.edges,
    coverage: nodes.reduce((sum, node) => sum + influence[node], 0) / all,
    worst: { features: found.features, logits: found.logits },
    beyond: found.beyond,
    tolerances: TOLERANCES,
  };
}

function sourcesToRaise(
  graph: AttributionGraph,
  influence: Float64Array,
  count: number,
  seed: number,
): number[] {
  const of = (test: (node: GraphNode) => boolean): number[] =>
    graph.nodes.flatMap((node, i) => (test(node) ? [i] : []));
  const fixed = of(({ kind }) => kind === "error" || kind === "token" || kind === "image token");
  const features = of(({ kind }) => kind === "feature").sort((a, b) => influence[b] - influence[a]);
  const best = features.slice(0, Math.ceil(count / 2));
  const rest = features.slice(best.length);
  seeded(seed).shuffle(rest);
  return [...fixed, ...best, ...rest.slice(0, count - best.length)];
}

/** By target, what its encoder, or its logit, makes of a source's changes. */
function readChanges(
  { graph, set, encoders }: Readers,
  { changes, logits }: FrozenChanges,
  sources: number,
): Float64Array[] {
  const captured = set.layers.map(({ hookIn }) => changes(hookIn));
  const read = Array.from({ length: sources }, () => new Float64Array(graph.targets.length));
  for (const [row, target] of graph.targets.entries()) {
    const node = graph.nodes[target];
    for (let n = 0; n < sources; n++) {
      if (node.kind === "logit") read[n][row] = logits[n][node.token];
      else if (node.kind !== "feature") read[n][row] = Number.NaN;
      else read[n][row] = dotAt(encoders[row]!, captured[node.layer][n], node.position);
    }
  }
  return read;
}

/** Product of a vector with one row of (rows, width). */
function dotAt(vector: Float32Array, x: Float64Array, row: number): number {
  let sum = 0;
  for (let j = 0, i = row * vector.length; j < vector.length; j++, i++) sum += vector[j] * x[i];
  return sum;
}

/** Vectors that the targets of a graph are read with. */
interface Readers {
  readonly graph: AttributionGraph;
  readonly set: TranscoderSet;
  /** By target, the encoder row of a feature. */
  readonly encoders: readonly (Float32Array | undefined)[];
}

function readersOf(graph: AttributionGraph, set: TranscoderSet): Readers {
  const encoders = graph.targets.map((target) => {
    const node = graph.nodes[target];
    return node.kind === "feature" ? set.layers[node.layer].encoderRows([node.feature]).data : undefined;
  });
  return { graph, set, encoders };
}

/** Largest difference between a target's value and the sum of its edges, as a share of the target's largest edge or value. */
export function sumCheck(graph: AttributionGraph): { worst: number; absolute: number } {
  let [worst, absolute] = [0, 0];
  graph.targets.forEach((_, row) => {
    const edges = edgeRow(graph, row);
    let [sum, most] = [0, Math.abs(graph.values[row])];
    for (const e of edges) {
      sum += e;
      most = Math.max(most, Math.abs(e));
    }
    const difference = Math.abs(sum - graph.values[row]);
    worst = Math.max(worst, difference / Math.max(most, 1e-12));
    absolute = Math.max(absolute, difference);
  });
  return { worst, absolute };
}
