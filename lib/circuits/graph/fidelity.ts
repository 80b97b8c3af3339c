/** A graph's scores beside those of transcoders that know nothing, and beside the KL. */
import { klDivergence, softmax } from "../../analysis/index.js";
import type { Batch, Model } from "../../model/index.js";
import { type FrozenRun, freeze } from "../../model/methods/index.js";
import { checkOptions, integer, type OptionChecks } from "../../options.js";
import { type NullKind, nullTranscoders } from "../transcoders/nulls.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { ATTRIBUTE_OPTIONS, type AttributeOptions, attribute } from "./attribute.js";
import { type GraphScores, graphScores } from "./influence.js";
import type { AttributionGraph } from "./nodes.js";
import { replacementLogits } from "./replacement.js";
import { sourceHooks } from "./sources.js";

/** As the graph was made, so that the null graphs are made the same way. */
export interface FidelityOptions extends AttributeOptions {
  /** Null sets of each kind (default 2). */
  readonly nulls?: number;
  readonly seed?: number;
}

const FIDELITY_OPTIONS: OptionChecks<FidelityOptions> = {
  ...ATTRIBUTE_OPTIONS,
  nulls: integer(1),
  seed: integer(),
};

/** Scores of one set of transcoders on a prompt. */
export interface Fidelity extends GraphScores {
  /**
   * KL(model ‖ replacement model) of the next token, in bits: every MLP output is its reconstruction from what the
   * replaced blocks below made.
   */
  readonly kl: number;
}

export interface GraphFidelity {
  readonly own: Fidelity;
  /** By kind of null, one entry for each set. */
  readonly nulls: Readonly<Record<NullKind, readonly Fidelity[]>>;
  /** The KL with no feature at all: b_dec (and a skip connection) in the place of the MLPs. */
  readonly klWithoutFeatures: number;
}

/**
 * Scores of a graph and of graphs that null transcoders make of the same prompt. A replacement or completeness
 * score that a null reaches says nothing of the transcoders; the KL says how far a model that computes with them is
 * from the model.
 * @throws ModalscopeError as `attribute` does
 */
export async function graphFidelity(
  model: Model,
  batch: Batch,
  set: TranscoderSet,
  graph: AttributionGraph,
  options: FidelityOptions = {},
): Promise<GraphFidelity> {
  checkOptions("graphFidelity", options, FIDELITY_OPTIONS);
  const { nulls = 2, seed = 0, ...asMade } = options;
  const { signal, onProgress } = options;
  const run = await freeze(model, batch, { capture: sourceHooks(model, set), signal });
  const kl = (own: TranscoderSet, withoutFeatures = false): Promise<number> =>
    replacementKl(model, own, run, { ...options, withoutFeatures });
  const inputs = set.layers.map(({ hookIn, width }) => {
    const { data } = run.cache.get(hookIn);
    return { data, shape: [data.length / width, width] };
  });
  const outputs = { logits: graph.nodes.flatMap((n) => (n.kind === "logit" ? [n.token] : [])) };
  const found: Record<NullKind, Fidelity[]> = { random: [], shuffled: [] };
  for (let n = 0; n < 2 * nulls; n++) {
    onProgress?.(n, 2 * nulls, "null graphs");
    const kind: NullKind = n < nulls ? "random" : "shuffled";
    const own = await nullTranscoders(set, kind, inputs, seed + n);
    const made = await attribute(model, batch, own, { ...asMade, ...outputs, onProgress: undefined });
    found[kind].push({ ...graphScores(made), kl: await kl(own) });
    own.close();
  }
  onProgress?.(2 * nulls, 2 * nulls, "null graphs");
  return {
    own: { ...graphScores(graph), kl: await kl(set) },
    nulls: found,
    klWithoutFeatures: await kl(set, true),
  };
}

async function replacementKl(
  model: Model,
  set: TranscoderSet,
  run: FrozenRun,
  options: FidelityOptions & { readonly withoutFeatures: boolean },
): Promise<number> {
  const { firstPosition = "whole", withoutFeatures, signal } = options;
  const replaced = await replacementLogits(model, set, run, { firstPosition, withoutFeatures, signal });
  return klDivergence(softmax(run.logits.data), softmax(replaced));
}
