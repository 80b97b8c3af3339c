/**
 * Edges held against interventions: the source is raised in the forward pass, with attention patterns, norm scales and all
 * other MLP outputs at their values, and what each target then reads must change by its edge for each time that the source is added.
 */
import { ModalscopeError } from "../../errors.js";
import { type Batch, type Edits, edit, type Model } from "../../model/index.js";
import { type FrozenRun, freeze } from "../../model/methods/index.js";
import { anything, checkOptions, integer, type OptionChecks, TASK_OPTIONS } from "../../options.js";
import type { TaskOptions } from "../../progress.js";
import { seeded } from "../../random.js";
import type { Tensor } from "../../tensor.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { nodeInfluence } from "./influence.js";
import { type AttributionGraph, edgeRow, type GraphNode } from "./nodes.js";
import { type FirstPosition, findSources, type SourcePoint, sourceHooks } from "./sources.js";

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
  firstPosition: anything,
  atOnce: integer(1),
};

/**
 * A source is raised by this many times itself, and the change divided by it: the map is linear, and the difference of two
 * logits of 40 is known to some 10⁻⁵ only.
 */
const GAIN = 32;

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
  const frozen = new FrozenForward(model, set, graph, { run, points });
  const found = { edges: 0, beyond: 0, features: 0, logits: 0 };
  const compare = (node: number, changes: Float64Array): void => {
    graph.targets.forEach((target, row) => {
      if (graph.nodes[target].kind === "direction") return;
      const predicted = edgeRow(graph, row)[node];
      const kind = graph.nodes[target].kind === "feature" ? "features" : "logits";
      const difference = Math.abs(changes[row] - predicted);
      const { atol, rtol } = TOLERANCES[kind];
      found.edges++;
      if (!(difference <= atol + rtol * Math.abs(predicted))) found.beyond++;
      if (!(difference <= found[kind])) found[kind] = difference;
    });
  };
  for (let i = 0; i < nodes.length; i += atOnce) {
    signal?.throwIfAborted();
    onProgress?.(i, nodes.length, "sources raised");
    const some = nodes.slice(i, i + atOnce);
    const changes = await frozen.raised(some);
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

/** The model's forward pass with everything held but what sources write. */
class FrozenForward {
  private readonly run: FrozenRun;
  private readonly points: readonly SourcePoint[];
  private readonly held: Edits;
  private readonly mlps: readonly string[];
  private readonly stream: Tensor;
  /** By target, the encoder row of a feature. */
  private readonly encoders: readonly (Float32Array | undefined)[];

  constructor(
    private readonly model: Model,
    private readonly set: TranscoderSet,
    private readonly graph: AttributionGraph,
    { run, points }: { run: FrozenRun; points: readonly SourcePoint[] },
  ) {
    this.run = run;
    this.points = points;
    this.encoders = graph.targets.map((target) => {
      const node = graph.nodes[target];
      return node.kind === "feature" ? set.layers[node.layer].encoderRows([node.feature]).data : undefined;
    });
    const values = [...run.held.values].filter(([name]) => /hook_pattern$|hook_scale$/.test(name));
    this.held = Object.fromEntries(values.map(([name, value]) => [name, edit.fill(withoutBatch(value))]));
    this.mlps = model.layers.map((l) => `blocks.${l}.${set.hookOut}`);
    this.stream = run.held.values.get("blocks.0.hook_resid_pre")!;
  }

  /** Change of what each target of the graph reads, for each source, by one time of it. */
  async raised(sources: readonly number[]): Promise<Float64Array[]> {
    const rows = sources.length + 1;
    const [, time, width] = this.stream.shape;
    const written = new Map(this.mlps.map((hook) => [hook, repeated(this.run.cache.get(hook), rows)]));
    const residual = repeated(this.stream, rows);
    for (const { hook, vectors, nodes } of this.points) {
      const into = written.get(hook) ?? (hook.startsWith("hook_") ? residual : undefined);
      const count = vectors.shape[1];
      nodes.forEach((node, i) => {
        const row = sources.indexOf(node) + 1;
        if (row === 0) return;
        // What DeepStack adds after a block is no part of this run: it enters with that block's MLP output.
        const target = into ?? written.get(hook.replace("hook_deepstack", this.set.hookOut))!;
        const to = (row * time + Math.floor(i / count)) * width;
        for (let j = 0; j < width; j++) target.data[to + j] += GAIN * vectors.data[i * width + j];
      });
    }
    const edits: Record<string, Edits[string]> = { ...this.held };
    for (const [hook, value] of written) edits[hook] = edit.fill(value);
    const capture = this.set.layers.map((layer) => layer.hookIn);
    const batch = this.model.batch(Array.from({ length: rows }, () => new Array(time).fill(0)));
    const { cache, logits } = await this.model.run(batch, {
      startAtLayer: 0,
      residual,
      edits,
      capture,
      logits: "last",
    });
    const readings = Array.from({ length: rows }, (_, row) =>
      this.read((hook) => cache.get(hook), logits!, row),
    );
    return readings.slice(1).map((after) => after.map((v, i) => (v - readings[0][i]) / GAIN));
  }

  /** What each target of the graph reads in one row of a run. */
  private read(captured: (hook: string) => Tensor, logits: Tensor, row: number): Float64Array {
    const { graph, encoders } = this;
    const [, time, width] = this.stream.shape;
    const vocabulary = logits.shape[2];
    const own = logits.data.subarray(row * vocabulary, (row + 1) * vocabulary);
    const mean = own.reduce((a, b) => a + b, 0) / vocabulary;
    return Float64Array.from(graph.targets, (target, t) => {
      const node = graph.nodes[target];
      if (node.kind === "logit") return own[node.token] - mean;
      if (node.kind !== "feature") return Number.NaN;
      const layer = this.set.layers[node.layer];
      const encoder = encoders[t]!;
      const from = (row * time + node.position) * width;
      const x = captured(layer.hookIn).data;
      let sum = 0;
      for (let j = 0; j < width; j++) sum += encoder[j] * x[from + j];
      return sum;
    });
  }
}

function repeated({ data, shape }: Tensor, rows: number): Tensor {
  const out = new Float32Array(rows * data.length);
  for (let row = 0; row < rows; row++) out.set(data, row * data.length);
  return { data: out, shape: [rows, ...shape.slice(1)] };
}

const withoutBatch = ({ data, shape }: Tensor): Tensor => ({ data, shape: shape.slice(1) });

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
