/** Attribution graphs as data: nodes, and the direct effect of each on every node that was followed. */
import type { PatchPlaces } from "./patches.js";

/** A node by what it is. */
export type GraphNode =
  /** A feature that is active at a position. `margin`: with TopK, its activation above the largest one left out. */
  | {
      readonly kind: "feature";
      readonly layer: number;
      readonly position: number;
      readonly feature: number;
      readonly activation: number;
      readonly margin?: number;
    }
  /** The part of a layer's MLP output at a position that the transcoders leave unexplained. */
  | { readonly kind: "error"; readonly layer: number; readonly position: number }
  /** A text token's embedding. */
  | { readonly kind: "token"; readonly position: number; readonly token: number }
  /** An image token as the projector makes it, DeepStack's additions included. */
  | { readonly kind: "image token"; readonly position: number }
  /** Biases of a block with its transcoder's b_dec (`layer`), of the head, or the targets' own b_enc. */
  | { readonly kind: "bias"; readonly of: "block" | "head" | "encoder"; readonly layer?: number }
  /** A token's logit minus the mean logit, at the last position. */
  | { readonly kind: "logit"; readonly token: number; readonly probability: number }
  /** A direction that the caller named. */
  | { readonly kind: "direction"; readonly name: string; readonly weight: number };

/** The direct effects through the frozen model, and what they belong to. */
export interface AttributionGraph {
  /** Hash of the checkpoint, and the name of the model that the transcoders are of. */
  readonly model: string;
  readonly transcoders: string;
  /** Token ids of the prompt, and each as text. */
  readonly tokens: readonly number[];
  readonly text: readonly string[];
  readonly layers: number;
  /** Features by layer and position, then errors, tokens, biases, logits and directions. */
  readonly nodes: readonly GraphNode[];
  /** Nodes whose inputs were followed, in the order of the rows: logits and directions, then features from the top layer down. */
  readonly targets: readonly number[];
  /** (targets, nodes): how much of a target's value comes straight from a source. */
  readonly edges: Float32Array;
  /** (targets): a feature's pre-activation, or a logit minus the mean, as the run computed it. */
  readonly values: Float64Array;
  /** Share of the influence on the logits that ends at nodes that were followed, or have no inputs: 1 where all were. */
  readonly followed: number;
  /** Features that are active, of which `targets` holds some. */
  readonly active: number;
  /** Shares of the patches in the edges from image tokens, where patches were asked for. */
  readonly patches?: PatchEdges;
}

/** Direct effects of the image's patches, through the projector and the tower with patterns, scales and gates held. */
export interface PatchEdges extends PatchPlaces {
  /** Images (or tiles), and patches of each. */
  readonly images: number;
  readonly perImage: number;
  /** (targets, images · patches) */
  readonly edges: Float32Array;
  /** (targets): from the tower's positions, class token and biases, which no image changes. */
  readonly constants: Float64Array;
}

/** Row of the edges that a node's inputs stand in; undefined where they were not followed. */
export function rowOf(graph: AttributionGraph, node: number): Float32Array | undefined {
  const row = graph.targets.indexOf(node);
  return row < 0 ? undefined : edgeRow(graph, row);
}

/** One row of the edges: (nodes). */
export function edgeRow({ edges, nodes }: AttributionGraph, row: number): Float32Array {
  return edges.subarray(row * nodes.length, (row + 1) * nodes.length);
}

/** True for a node that edges lead to from others: its inputs can be followed. */
export const isTarget = ({ kind }: GraphNode): boolean =>
  kind === "feature" || kind === "logit" || kind === "direction";

/** Weight of each node as an output of the graph: a logit's probability, a direction's own. */
export function outputWeights({ nodes }: AttributionGraph): Float64Array {
  return Float64Array.from(nodes, (n) =>
    n.kind === "logit" ? n.probability : n.kind === "direction" ? n.weight : 0,
  );
}

/** A node's id in circuit-tracer's files; undefined for one that has no place there. */
export function nodeId({ layers, tokens }: AttributionGraph, node: GraphNode): string | undefined {
  switch (node.kind) {
    case "feature":
      return `${node.layer}_${node.feature}_${node.position}`;
    case "error":
      return `${node.layer}_-1_${node.position}`;
    case "token":
    case "image token":
      return `E_${tokens[node.position]}_${node.position}`;
    case "logit":
      return `${layers + 1}_${node.token}_${tokens.length - 1}`;
    default:
      return undefined;
  }
}
