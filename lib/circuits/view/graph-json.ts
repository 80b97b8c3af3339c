/** An attribution graph as circuit-tracer's JSON has it: what views are drawn from, whoever wrote it. */
import { ModalscopeError } from "../../errors.js";

export interface GraphJson {
  readonly metadata: {
    readonly slug: string;
    readonly scan: string;
    readonly prompt: string;
    readonly prompt_tokens: readonly string[];
    readonly [other: string]: unknown;
  };
  readonly qParams?: Readonly<Record<string, unknown>>;
  readonly nodes: readonly GraphJsonNode[];
  readonly links: readonly GraphJsonLink[];
  /** Direct effects of image patches, by the node that they reach; other readers of the file pass over it. */
  readonly patch_edges?: GraphJsonPatches;
}

export interface GraphJsonNode {
  readonly node_id: string;
  /** "E" for what enters, a layer's number, or one more than the last for logits. */
  readonly layer: string;
  readonly ctx_idx: number;
  /**
   * `cross layer transcoder`, `mlp reconstruction error`, `embedding`, `logit`; others are shown under
   * their own name.
   */
  readonly feature_type: string;
  readonly clerp?: string | null;
  /** Cumulative share of influence at which the node comes in. */
  readonly influence?: number | null;
  readonly activation?: number | null;
  readonly token_prob?: number;
  /** Measurements of the node, in words. */
  readonly verification?: string;
}

export interface GraphJsonLink {
  readonly source: string;
  readonly target: string;
  readonly weight: number;
}

export interface GraphJsonPatches {
  /** Images, or their tiles, and patches of each. */
  readonly images: number;
  readonly per_image: number;
  /** Number of the image that each is of, and the images' pixels. */
  readonly image_of: readonly number[];
  readonly image_sizes: readonly (readonly [width: number, height: number])[];
  /** (images · patches): left, top, right and bottom in pixels of the image; null for padding. */
  readonly boxes: readonly (readonly [x0: number, y0: number, x1: number, y1: number] | null)[];
  /** By the id of a node whose inputs were followed. */
  readonly inputs: Readonly<Record<string, PatchInputs>>;
}

/** What a node's inputs from image tokens come to in the image's patches. */
export interface PatchInputs {
  /** Number of a patch (all images', row by row) and its direct effect; the strongest first. */
  readonly strongest: readonly (readonly [patch: number, weight: number])[];
  /** Of all other patches together. */
  readonly others: number;
  /** Of the tower's positions and biases, which no image changes. */
  readonly constant: number;
}

/** Kinds of node that views tell apart. */
export type NodeKind = "feature" | "error" | "token" | "logit" | "other";

const KINDS: ReadonlyMap<string, NodeKind> = new Map([
  ["cross layer transcoder", "feature"],
  ["mlp reconstruction error", "error"],
  ["embedding", "token"],
  ["logit", "logit"],
]);

export const kindOf = ({ feature_type }: GraphJsonNode): NodeKind => KINDS.get(feature_type) ?? "other";

/** The layer and feature of a feature's node, from its id `{layer}_{feature}_{position}`. */
export function featureOf(
  node: GraphJsonNode,
): { readonly layer: number; readonly feature: number } | undefined {
  const match = /^(\d+)_(\d+)_\d+$/.exec(node.node_id);
  if (kindOf(node) !== "feature" || !match) return undefined;
  return { layer: Number(match[1]), feature: Number(match[2]) };
}

/** @throws ModalscopeError when a link names no node, or two nodes have one id */
export function checkGraph({ nodes, links }: GraphJson): void {
  const ids = new Set<string>();
  for (const { node_id } of nodes) {
    if (ids.has(node_id))
      throw new ModalscopeError("This graph cannot be shown.", `Two nodes are called "${node_id}".`);
    ids.add(node_id);
  }
  const loose = links.find(({ source, target }) => !ids.has(source) || !ids.has(target));
  if (loose) {
    throw new ModalscopeError(
      "This graph cannot be shown.",
      `A link from "${loose.source}" to "${loose.target}" ends at no node.`,
    );
  }
}
