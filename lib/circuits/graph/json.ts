/**
 * Pruned graphs as circuit-tracer's JSON, which its viewer and Neuronpedia's open. Biases have no place in it and are
 * left out; image tokens are embeddings.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import {
  callback,
  checkOptions,
  listOf,
  number,
  type OptionChecks,
  record,
  required,
  text,
} from "../../options.js";
import { replaceFile } from "../../replace-file.js";
import { featureNumber } from "../dashboard/feature-files.js";
import type { GraphJson, GraphJsonNode, GraphJsonPatches, PatchInputs } from "../view/graph-json.js";
import type { Fidelity, GraphFidelity } from "./fidelity.js";
import { type GraphScores, graphScores, type PrunedGraph } from "./influence.js";
import { edgeRow, type GraphNode, nodeId, type PatchEdges } from "./nodes.js";
import type { Supernode } from "./supernodes.js";
import type { Verification } from "./verify.js";

export interface GraphFileOptions {
  /** Name of the graph, and of its file. */
  readonly slug: string;
  /** Where a viewer finds feature examples: what `writeFeatureFiles` returns, or a set's name (default). */
  readonly scan?: string;
  readonly prompt?: string;
  readonly nodeThreshold?: number;
  /** A feature's label. */
  readonly label?: (node: Extract<GraphNode, { kind: "feature" }>) => string | undefined;
  /** Members that were pruned away are left out. The viewer shows those of its address (`?supernodes=`). */
  readonly supernodes?: readonly Supernode[];
  /** Result of `verifyEdges`, which is written to the file. */
  readonly verification?: Verification;
  /** Result of `graphFidelity`: scores of null transcoders and the KL, beside the graph's scores. */
  readonly fidelity?: GraphFidelity;
}

/** A node with all fields that circuit-tracer writes. */
export interface CircuitTracerNode extends GraphJsonNode {
  readonly node_id: string;
  readonly feature: number;
  readonly layer: string;
  readonly ctx_idx: number;
  readonly feature_type: "cross layer transcoder" | "mlp reconstruction error" | "embedding" | "logit";
  readonly token_prob: number;
  readonly is_target_logit: boolean;
  readonly run_idx: 0;
  readonly reverse_ctx_idx: 0;
  readonly jsNodeId: string;
  readonly clerp: string;
  /** The share of all influence that nodes at least as influential have together. */
  readonly influence: number | null;
  readonly activation: number | null;
}

/** A graph in circuit-tracer's schema, version 1, and what that has no place for. */
export interface CircuitTracerGraph extends GraphJson {
  readonly nodes: readonly CircuitTracerNode[];
}

const GRAPH_FILE_OPTIONS: OptionChecks<GraphFileOptions> = {
  slug: required(text, "a string"),
  scan: text,
  prompt: text,
  nodeThreshold: number(0, 1),
  label: callback,
  supernodes: listOf(record),
  verification: record,
  fidelity: record,
};

/** A pruned graph as circuit-tracer writes it. */
export function graphJson(
  pruned: PrunedGraph,
  options: GraphFileOptions,
  decode: (token: number) => string,
): CircuitTracerGraph {
  checkOptions("graphJson", options, GRAPH_FILE_OPTIONS);
  const { graph, nodes: kept, edges: keptEdges } = pruned;
  const { slug, scan = graph.transcoders, prompt = graph.text.join(""), nodeThreshold = 0.8 } = options;
  const ids = graph.nodes.map((node, i) => (kept[i] ? nodeId(graph, node) : undefined));
  const links = graph.targets.flatMap((target, row) => {
    const id = ids[target];
    if (id === undefined) return [];
    return Array.from(edgeRow(graph, row)).flatMap((weight, s) => {
      const source = keptEdges[row * graph.nodes.length + s] ? ids[s] : undefined;
      return source === undefined ? [] : [{ source, target: id, weight }];
    });
  });
  const linked = new Set(links.flatMap(({ source, target }) => [source, target]));
  const nodes = graph.nodes.flatMap((node, i) => {
    const id = ids[i];
    const always = node.kind !== "feature" && node.kind !== "error";
    return id === undefined || !(always || linked.has(id))
      ? []
      : [{ ...jsonNode(pruned, i, id, options, decode), ...verified(i, options) }];
  });
  const written = new Set(nodes.map(({ node_id }) => node_id));
  const supernodes = (options.supernodes ?? [])
    .map(({ label, members }) => ({ label, members: members.filter((id) => written.has(id)) }))
    .filter(({ members }) => members.length > 0);
  return {
    metadata: {
      slug,
      scan,
      transcoder_list: [],
      prompt_tokens: graph.text,
      prompt,
      // The viewer hides nodes beyond this share, and the last one that was kept crosses the threshold.
      node_threshold: nodes.reduce((most, { influence }) => Math.max(most, influence ?? 0), nodeThreshold),
      schema_version: 1,
      info: { generator: { name: "modalscope" }, description: `checkpoint ${graph.model}` },
      generation_settings: { active_features: graph.active, influence_followed: graph.followed },
      graph_scores: { ...scoresJson(graphScores(graph)), ...fidelityJson(options.fidelity) },
      ...(options.verification && { verification: verificationJson(options.verification) }),
    },
    qParams: {
      // The viewer draws a supernode of nodes that are pinned.
      pinnedIds: supernodes.flatMap(({ members }) => members),
      supernodes: supernodes.map(({ label, members }) => [label, ...members]),
      linkType: "both",
      clickedId: "",
      sg_pos: "",
    },
    nodes,
    links,
    ...(graph.patches && { patch_edges: patchesJson(graph.patches, graph.targets, written, ids) }),
  };
}

/** Patches of a node that a file names one by one. */
const MOST_PATCHES = 256;

function patchesJson(
  { images, perImage, edges, constants, imageOf, sizes, boxes }: PatchEdges,
  targets: readonly number[],
  written: ReadonlySet<string>,
  ids: readonly (string | undefined)[],
): GraphJsonPatches {
  const count = images * perImage;
  const inputs = targets.flatMap((target, row): [string, PatchInputs][] => {
    const id = ids[target];
    if (id === undefined || !written.has(id)) return [];
    const own = edges.subarray(row * count, (row + 1) * count);
    const order = Array.from(own.keys()).sort((a, b) => Math.abs(own[b]) - Math.abs(own[a]));
    const strongest = order.slice(0, MOST_PATCHES).map((patch) => [patch, own[patch]] as const);
    const others = order.slice(MOST_PATCHES).reduce((sum, patch) => sum + own[patch], 0);
    return [[id, { strongest, others, constant: constants[row] }]];
  });
  const places = { image_of: imageOf, image_sizes: sizes, boxes };
  return { images, per_image: perImage, ...places, inputs: Object.fromEntries(inputs) };
}

const scoresJson = ({ replacement, completeness }: GraphScores): Record<string, number> => ({
  replacement_score: replacement,
  completeness_score: completeness,
});

function fidelityJson(fidelity: GraphFidelity | undefined): Record<string, unknown> {
  if (!fidelity) return {};
  const { own, nulls, klWithoutFeatures } = fidelity;
  const shown = (found: readonly Fidelity[]): unknown[] =>
    found.map(({ kl, ...scores }) => ({ ...scoresJson(scores), kl_bits: kl }));
  return {
    ...{ kl_bits: own.kl, kl_bits_without_features: klWithoutFeatures },
    nulls: { random_rows: shown(nulls.random), shuffled_decoders: shown(nulls.shuffled) },
  };
}

/** A view's text on a node whose edges were held against an intervention. */
function verified(i: number, { verification }: GraphFileOptions): Pick<GraphJsonNode, "verification"> {
  if (!verification?.nodes.includes(i)) return {};
  const { beyond, worst } = verification;
  const outcome = beyond === 0 ? "each edge from it agrees" : `${beyond} edges of the graph do not agree`;
  return { verification: `raised with all else held: ${outcome}, to ${worst.features.toExponential(0)}` };
}

function verificationJson({ nodes: _, ...found }: Verification): Record<string, unknown> {
  return { ...found, method: "source raised, all else held" };
}

function jsonNode(
  { graph, cumulative }: PrunedGraph,
  i: number,
  node_id: string,
  { label }: GraphFileOptions,
  decode: (token: number) => string,
): CircuitTracerNode {
  const node = graph.nodes[i];
  const common = {
    node_id,
    run_idx: 0,
    reverse_ctx_idx: 0,
    is_target_logit: false,
    token_prob: 0,
    activation: null,
  } as const;
  const influence = cumulative[i];
  if (node.kind === "feature") {
    const { layer: l, feature: f, position, activation } = node;
    const own = {
      feature: featureNumber(l, f),
      layer: String(l),
      ctx_idx: position,
      jsNodeId: `${l}_${f}-0`,
      activation,
      influence,
    };
    return { ...common, ...own, feature_type: "cross layer transcoder", clerp: label?.(node) ?? "" };
  }
  if (node.kind === "error") {
    const own = { feature: -1, layer: String(node.layer), ctx_idx: node.position, influence, clerp: "" };
    return {
      ...common,
      ...own,
      jsNodeId: `${node.layer}_${node.position}-0`,
      feature_type: "mlp reconstruction error",
    };
  }
  if (node.kind === "logit") {
    const { token, probability } = node;
    const last = graph.tokens.length - 1;
    // The viewer reads "(p=…)" from the text.
    const clerp = `Output "${decode(token)}" (p=${probability.toFixed(3)})`;
    const own = {
      feature: token,
      layer: String(graph.layers + 1),
      ctx_idx: last,
      jsNodeId: `L_${token}-${last}`,
      clerp,
    };
    const target = graph.nodes.findIndex(({ kind }) => kind === "logit") === i;
    return {
      ...common,
      ...own,
      token_prob: probability,
      is_target_logit: target,
      influence: null,
      feature_type: "logit",
    };
  }
  if (node.kind !== "token" && node.kind !== "image token")
    throw new TypeError(`A ${node.kind} has no place in the file.`);
  const { position } = node;
  const own = {
    feature: position,
    layer: "E",
    ctx_idx: position,
    jsNodeId: `E_${graph.tokens[position]}-${position}`,
  };
  return { ...common, ...own, influence, clerp: "", feature_type: "embedding" };
}

/**
 * Writes `<slug>.json` and enters it in the folder's `graph-metadata.json`, in the place of one of that name.
 * @throws ModalscopeError when the slug is no file's name, or the folder's list is damaged
 */
export function writeGraphFiles(folder: string, json: GraphJson): void {
  const slug = String(json.metadata.slug);
  if (!/^[\w][\w.-]*$/.test(slug))
    throw new ModalscopeError(
      `The slug ${JSON.stringify(slug)} is no file's name.`,
      "Letters, digits, - . and _ are.",
    );
  mkdirSync(folder, { recursive: true });
  const list = join(folder, "graph-metadata.json");
  const others = existsSync(list) ? readList(list) : [];
  replaceFile(join(folder, `${slug}.json`), [JSON.stringify(json)]);
  const graphs = [...others.filter((m) => m.slug !== slug), json.metadata];
  replaceFile(list, [JSON.stringify({ graphs }, null, 2)]);
}

function readList(path: string): { slug?: unknown }[] {
  try {
    const { graphs } = JSON.parse(readFileSync(path, "utf8"));
    if (Array.isArray(graphs) && graphs.every((g) => typeof g === "object" && g !== null)) return graphs;
  } catch {
    // Reported below: what is not JSON is no list either.
  }
  throw new ModalscopeError(`${path} is no list of graphs.`, 'It has {"graphs": [ … ]}.', "Move it away.");
}
