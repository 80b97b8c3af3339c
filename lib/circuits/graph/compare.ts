/** Two graphs side by side, such as those of two images under one question. */
import { ModalscopeError } from "../../errors.js";
import { callback, checkOptions } from "../../options.js";
import { nodeInfluence } from "./influence.js";
import type { AttributionGraph } from "./nodes.js";

export interface CompareOptions {
  /** Position in the second graph of one in the first (default: the same, in prompts of one length). */
  readonly position?: (position: number) => number | undefined;
}

/** A feature in two graphs, at positions that stand for each other. */
export interface ComparedFeature {
  readonly layer: number;
  readonly feature: number;
  /** In the first graph; in the second, where the first lacks it. */
  readonly position: number;
  /** Activation in each graph; 0 where it is not active. */
  readonly activations: readonly [number, number];
  /** Share of the influence on the outputs in each graph. */
  readonly influences: readonly [number, number];
}

export interface GraphComparison {
  /** The features that are active in either graph, those whose influence differs most first. */
  readonly features: readonly ComparedFeature[];
  /** Σ min(influence) / Σ max(influence) over them: 1 for equal graphs, 0 for graphs without a common feature. */
  readonly overlap: number;
}

/**
 * Compares graphs by layer, feature and position.
 * @throws ModalscopeError for graphs of different checkpoints or transcoders, or of prompts whose positions are not mapped
 */
export function compareGraphs(
  a: AttributionGraph,
  b: AttributionGraph,
  options: CompareOptions = {},
): GraphComparison {
  checkOptions("compareGraphs", options, { position: callback });
  if (a.model !== b.model || a.transcoders !== b.transcoders)
    throw new ModalscopeError("The graphs are of different models.", "Their features are not the same ones.");
  if (!options.position && a.tokens.length !== b.tokens.length) {
    throw new ModalscopeError(
      `The prompts have ${a.tokens.length} and ${b.tokens.length} tokens.`,
      "Positions of one stand for positions of the other only if something says which.",
      "Give position, such as { position: (p) => p + 2 }.",
    );
  }
  const { position = (p: number): number => p } = options;
  const found = new Map<string, ComparedFeature>();
  const add = (graph: AttributionGraph, side: 0 | 1, place: (p: number) => number | undefined): void => {
    const influence = nodeInfluence(graph);
    graph.nodes.forEach((node, i) => {
      if (node.kind !== "feature") return;
      const at = place(node.position);
      const key = `${node.layer} ${node.feature} ${at ?? `second ${node.position}`}`;
      const before = found.get(key);
      const activations: [number, number] = [...(before?.activations ?? ([0, 0] as const))];
      const influences: [number, number] = [...(before?.influences ?? ([0, 0] as const))];
      activations[side] = node.activation;
      influences[side] = influence[i];
      const { layer, feature } = node;
      found.set(key, { layer, feature, position: at ?? node.position, activations, influences });
    });
  };
  const back = new Map<number, number>();
  a.tokens.forEach((_, p) => {
    const to = position(p);
    if (to !== undefined) back.set(to, p);
  });
  add(a, 0, (p) => p);
  add(b, 1, (p) => back.get(p));
  const difference = ({ influences: [x, y] }: ComparedFeature): number => Math.abs(x - y);
  const features = [...found.values()].sort((x, y) => difference(y) - difference(x));
  const sum = (of: (x: number, y: number) => number): number =>
    features.reduce((total, { influences: [x, y] }) => total + of(x, y), 0);
  return { features, overlap: sum(Math.min) / Math.max(sum(Math.max), 1e-300) };
}
