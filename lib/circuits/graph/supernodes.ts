/** Groups of features that stand for one thing: made by hand, read from a file, or proposed. */
import { readFileSync } from "node:fs";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, number, type OptionChecks } from "../../options.js";
import { seeded } from "../../random.js";
import type { PrunedGraph } from "./influence.js";
import { nodeId } from "./nodes.js";

export interface Supernode {
  readonly label: string;
  /** Ids of nodes, as in circuit-tracer's files. */
  readonly members: readonly string[];
}

/**
 * Reads [["label", "id", …], …], the form that the viewer's address and its saved graphs have.
 * @throws ModalscopeError for another form, or a node that stands in two groups
 */
export function readSupernodes(path: string): Supernode[] {
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ModalscopeError(
      `${path} cannot be read.`,
      error instanceof Error ? error.message : String(error),
    );
  }
  const given = isRecord(raw) && isRecord(raw.qParams) ? raw.qParams.supernodes : raw;
  const good =
    Array.isArray(given) &&
    given.every((g) => Array.isArray(g) && g.length > 1 && g.every((id) => typeof id === "string"));
  if (!good)
    throw new ModalscopeError(`${path} holds no supernodes.`, 'Their form is [["label", "node id", …], …].');
  const groups = (given as string[][]).map(([label, ...members]) => ({ label, members }));
  const seen = new Set<string>();
  for (const id of groups.flatMap(({ members }) => members)) {
    if (seen.has(id)) throw new ModalscopeError(`${path} has the node "${id}" in two groups.`);
    seen.add(id);
  }
  return groups;
}

const isRecord = (x: unknown): x is Record<string, unknown> =>
  typeof x === "object" && x !== null && !Array.isArray(x);

export interface ProposeOptions {
  /** Least mean cosine of the profiles of two groups that are joined (default 0.7). */
  readonly similarity?: number;
  /** Halves of the profiles that the stability is measured on (default 20). */
  readonly halves?: number;
  readonly seed?: number;
}

export interface ProposedSupernode extends Supernode {
  /** Mean cosine between its members' profiles. */
  readonly similarity: number;
  /** Share of its pairs of members that are joined again from a random half of the profiles. */
  readonly stability: number;
}

const PROPOSE_OPTIONS: OptionChecks<ProposeOptions> = {
  similarity: number(-1, 1),
  halves: integer(1),
  seed: integer(),
};

/**
 * Proposes groups of features that read from and write to the same nodes. A feature's profile is its inputs and outputs
 * among the kept edges, each with a length of 1; features are joined by average linkage as long as the mean cosine between
 * two groups is at least `similarity`. The stability repeats this with random halves of the inputs and outputs.
 */
export function proposeSupernodes(pruned: PrunedGraph, options: ProposeOptions = {}): ProposedSupernode[] {
  checkOptions("proposeSupernodes", options, PROPOSE_OPTIONS);
  const { similarity = 0.7, halves = 20, seed = 0 } = options;
  const { graph } = pruned;
  const features = graph.nodes.flatMap((n, i) => (n.kind === "feature" && pruned.nodes[i] ? [i] : []));
  const profiles = profilesOf(pruned, features);
  const all = cosines(profiles);
  const groups = linked(all, similarity).filter((g) => g.length > 1);
  const together = new Float64Array(features.length ** 2);
  const random = seeded(seed);
  for (let h = 0; h < halves; h++) {
    const kept = Array.from(
      { length: graph.nodes.length + graph.targets.length },
      () => random.uniform() < 0.5,
    );
    const half = profiles.map((p) => new Map([...p].filter(([i]) => kept[i])));
    for (const group of linked(cosines(half), similarity))
      for (const a of group) for (const b of group) together[a * features.length + b] += 1 / halves;
  }
  return groups.map((group, n) => {
    const pairs = group.flatMap((a, i) => group.slice(i + 1).map((b) => [a, b] as const));
    const mean = (of: (a: number, b: number) => number): number =>
      pairs.reduce((sum, [a, b]) => sum + of(a, b), 0) / pairs.length;
    return {
      label: `group ${n + 1}`,
      members: group.map((i) => nodeId(graph, graph.nodes[features[i]])!),
      similarity: mean((a, b) => all[a][b]),
      stability: mean((a, b) => together[a * features.length + b]),
    };
  });
}

/** What is not zero of a feature's inputs, then outputs, by place: few of a graph's edges are kept. */
type Profile = ReadonlyMap<number, number>;

/** Inputs, then outputs, of each feature among the kept edges. */
function profilesOf({ graph, edges: kept }: PrunedGraph, features: readonly number[]): Profile[] {
  const count = graph.nodes.length;
  const rowOfNode = new Map(graph.targets.map((node, row) => [node, row]));
  const keptEdges = (places: readonly number[], edgeAt: (place: number) => number): Profile =>
    unit(new Map(places.flatMap((i) => (kept[edgeAt(i)] ? [[i, graph.edges[edgeAt(i)]] as const] : []))));
  const [sources, rows] = [[...graph.nodes.keys()], [...graph.targets.keys()]];
  return features.map((node) => {
    const row = rowOfNode.get(node);
    const inputs = row === undefined ? [] : keptEdges(sources, (s) => row * count + s);
    const outputs = keptEdges(rows, (r) => r * count + node);
    return new Map([...inputs, ...[...outputs].map(([r, v]) => [count + r, v] as const)]);
  });
}

function unit(x: Profile): Profile {
  let sum = 0;
  for (const v of x.values()) sum += v * v;
  const length = Math.sqrt(sum);
  return length > 0 ? new Map([...x].map(([i, v]) => [i, v / length])) : x;
}

/** Place by place, so that only features which share one are multiplied. */
function cosines(profiles: readonly Profile[]): Float64Array[] {
  const at: (readonly [feature: number, value: number])[][] = [];
  profiles.forEach((profile, feature) => {
    for (const [i, value] of unit(profile)) {
      at[i] ??= [];
      at[i].push([feature, value]);
    }
  });
  const out = profiles.map(() => new Float64Array(profiles.length));
  at.forEach((own) => {
    for (const [a, x] of own) for (const [b, y] of own) out[a][b] += x * y;
  });
  return out;
}

/** Average linkage: joins the two nearest groups while their mean similarity is at least `least`. */
function linked(similarities: readonly Float64Array[], least: number): number[][] {
  let groups = similarities.map((_, i) => [i]);
  for (;;) {
    let best = { a: -1, b: -1, mean: least };
    groups.forEach((one, a) => {
      for (let b = a + 1; b < groups.length; b++) {
        let sum = 0;
        for (const i of one) for (const j of groups[b]) sum += similarities[i][j];
        const mean = sum / (one.length * groups[b].length);
        if (mean >= best.mean) best = { a, b, mean };
      }
    });
    if (best.a < 0) return groups;
    const joined = [...groups[best.a], ...groups[best.b]];
    groups = [...groups.filter((_, i) => i !== best.a && i !== best.b), joined];
  }
}
