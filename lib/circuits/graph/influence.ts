/**
 * Influence on the logits, pruning and scores of an attribution graph, as in "Circuit Tracing" (Ameisen et al. 2025) and
 * in circuit-tracer. The graph has no cycles and its rows are sorted from the outputs down, so that one pass over them sums
 * the powers of the matrix.
 */
import { ModalscopeError } from "../../errors.js";
import { checkOptions, number, type OptionChecks } from "../../options.js";
import { type AttributionGraph, edgeRow, outputWeights } from "./nodes.js";

/** Which nodes and edges of a graph count; all where left out. */
interface Mask {
  readonly nodes?: ArrayLike<number>;
}

/**
 * I = w(Â + Â² + …), Â being |edges| with rows that add up to 1 and w the weights of the outputs.
 * @returns (nodes)
 */
export function nodeInfluence(graph: AttributionGraph, { nodes: kept }: Mask = {}): Float64Array {
  const weights = outputWeights(graph);
  const influence = new Float64Array(graph.nodes.length);
  graph.targets.forEach((node, row) => {
    const flow = weights[node] + influence[node];
    if (flow === 0 || (kept && !kept[node])) return;
    const edges = edgeRow(graph, row);
    const total = sumOfAbs(edges, kept);
    if (total === 0) return;
    for (let s = 0; s < edges.length; s++) {
      if (!kept || kept[s]) influence[s] += (flow * Math.abs(edges[s])) / total;
    }
  });
  return influence;
}

function sumOfAbs(edges: Float32Array, kept?: ArrayLike<number>): number {
  let sum = 0;
  for (let s = 0; s < edges.length; s++) if (!kept || kept[s]) sum += Math.abs(edges[s]);
  return sum;
}

export interface PruneOptions {
  /** Share of the influence that the kept nodes have (default 0.8). */
  readonly nodeThreshold?: number;
  /** Share of the edges' influence that the kept edges have (default 0.98). */
  readonly edgeThreshold?: number;
}

export interface PrunedGraph {
  readonly graph: AttributionGraph;
  /** (nodes): 1 where a node is kept. */
  readonly nodes: Uint8Array;
  /** (targets, nodes): 1 where an edge is kept. */
  readonly edges: Uint8Array;
  /** (nodes): the share of all influence that nodes at least as influential have together. */
  readonly cumulative: Float64Array;
}

const PRUNE_OPTIONS: OptionChecks<PruneOptions> = {
  nodeThreshold: number(0, 1),
  edgeThreshold: number(0, 1),
};

/**
 * Keeps the most influential nodes, all tokens and outputs, of these the edges Â · (I + w) that matter most, and drops
 * features and errors that then lead nowhere, and features that nothing leads to.
 * @throws ModalscopeError for a threshold outside 0 … 1
 */
export function pruneGraph(graph: AttributionGraph, options: PruneOptions = {}): PrunedGraph {
  checkOptions("pruneGraph", options, PRUNE_OPTIONS);
  const { nodeThreshold = 0.8, edgeThreshold = 0.98 } = options;
  for (const threshold of [nodeThreshold, edgeThreshold]) {
    if (!(threshold >= 0 && threshold <= 1))
      throw new ModalscopeError(`The threshold ${threshold} is no share.`, "It lies between 0 and 1.");
  }
  const { nodes, targets } = graph;
  const influence = nodeInfluence(graph);
  const least = leastKept(influence, nodeThreshold);
  const always = nodes.map(({ kind }) => kind !== "feature" && kind !== "error" && kind !== "bias");
  const keptNodes = Uint8Array.from(nodes, (_, i) => Number(always[i] || influence[i] >= least));
  const scores = edgeScores(graph, keptNodes);
  const leastEdge = leastKept(scores, edgeThreshold);
  // A graph may have tens of millions of edges: loops, without a callback for each.
  const keptEdges = new Uint8Array(scores.length);
  for (let e = 0; e < scores.length; e++) if (scores[e] > 0 && scores[e] >= leastEdge) keptEdges[e] = 1;
  dropDeadEnds(graph, keptNodes, keptEdges);
  for (const [row, node] of targets.entries()) {
    const own = keptEdges.subarray(row * nodes.length, (row + 1) * nodes.length);
    if (!keptNodes[node]) own.fill(0);
    else for (let s = 0; s < own.length; s++) if (!keptNodes[s]) own[s] = 0;
  }
  return { graph, nodes: keptNodes, edges: keptEdges, cumulative: cumulativeShares(influence) };
}

/** Â · (I + w) by edge, of the graph of kept nodes: (targets, nodes). */
function edgeScores(graph: AttributionGraph, kept: Uint8Array): Float64Array {
  const weights = outputWeights(graph);
  const influence = nodeInfluence(graph, { nodes: kept });
  const count = graph.nodes.length;
  const scores = new Float64Array(graph.targets.length * count);
  graph.targets.forEach((node, row) => {
    if (!kept[node]) return;
    const edges = edgeRow(graph, row);
    const factor = (influence[node] + weights[node]) / Math.max(sumOfAbs(edges, kept), 1e-10);
    for (let s = 0; s < count; s++) if (kept[s]) scores[row * count + s] = Math.abs(edges[s]) * factor;
  });
  return scores;
}

/** The smallest score that is kept, where those above it have at least a share of the sum; scores are not negative. */
function leastKept(scores: Float64Array, threshold: number): number {
  // Most edges have none, and sorting them would take longer than all else.
  const sorted = scores.filter((score) => score > 0).sort();
  let total = 0;
  for (let i = sorted.length - 1; i >= 0; i--) total += sorted[i];
  let sum = 0;
  for (let i = sorted.length - 1; i >= 0; i--) {
    sum += sorted[i];
    if (sum >= threshold * total) return sorted[i];
  }
  return sorted.length < scores.length || scores.length === 0 ? 0 : sorted[0];
}

function dropDeadEnds(
  { nodes, targets }: AttributionGraph,
  keptNodes: Uint8Array,
  keptEdges: Uint8Array,
): void {
  const count = nodes.length;
  const rowOfNode = new Map(targets.map((node, row) => [node, row]));
  for (let changed = true; changed; ) {
    changed = false;
    const leads = new Uint8Array(count);
    targets.forEach((node, row) => {
      if (!keptNodes[node]) return;
      for (let s = 0; s < count; s++) if (keptEdges[row * count + s]) leads[s] = 1;
    });
    nodes.forEach(({ kind }, i) => {
      if (!keptNodes[i] || (kind !== "feature" && kind !== "error" && kind !== "bias")) return;
      const row = rowOfNode.get(i);
      const reached =
        kind !== "feature" ||
        (row !== undefined && hasKept(keptEdges.subarray(row * count, (row + 1) * count), keptNodes));
      if (leads[i] && reached) return;
      keptNodes[i] = 0;
      changed = true;
    });
  }
}

const hasKept = (edges: Uint8Array, nodes: Uint8Array): boolean => edges.some((kept, s) => kept && nodes[s]);

/** For each score, the share of the sum that it and all larger ones have. */
function cumulativeShares(scores: Float64Array): Float64Array {
  const order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  const total = scores.reduce((a, b) => a + b, 0);
  const shares = new Float64Array(scores.length);
  let sum = 0;
  for (const i of order) {
    sum += scores[i];
    shares[i] = total > 0 ? sum / total : 0;
  }
  return shares;
}

export interface GraphScores {
  /** I of tokens / (I of tokens + I of errors): influence that reaches the prompt through features. */
  readonly replacement: number;
  /** Σ (1 − share of errors among a node's inputs) · (I + w) / Σ (I + w). */
  readonly completeness: number;
}

/**
 * The scores of "Circuit Tracing" on the graph before pruning. They do not measure fidelity: random transcoders, whose
 * features carry little, reach 0.9 (the embeddings then carry all). Read them beside those of a random set and the KL.
 */
export function graphScores(graph: AttributionGraph): GraphScores {
  const { nodes, targets } = graph;
  const influence = nodeInfluence(graph);
  const weights = outputWeights(graph);
  const sumOf = (...kinds: string[]): number =>
    nodes.reduce((sum, { kind }, i) => (kinds.includes(kind) ? sum + influence[i] : sum), 0);
  const [tokens, errors] = [sumOf("token", "image token"), sumOf("error")];
  const errorShare = new Float64Array(nodes.length);
  const errorNodes = [...nodes.keys()].filter((i) => nodes[i].kind === "error");
  targets.forEach((node, row) => {
    const edges = edgeRow(graph, row);
    let error = 0;
    for (const s of errorNodes) error += Math.abs(edges[s]);
    errorShare[node] = error / Math.max(sumOfAbs(edges), 1e-10);
  });
  let [explained, all] = [0, 0];
  for (let i = 0; i < nodes.length; i++) {
    explained += (1 - errorShare[i]) * (influence[i] + weights[i]);
    all += influence[i] + weights[i];
  }
  return { replacement: tokens / (tokens + errors), completeness: explained / all };
}
