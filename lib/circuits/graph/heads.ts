/** Which heads carry an edge. */
import { ModalscopeError } from "../../errors.js";
import type { Batch, Model } from "../../model/index.js";
import { type FrozenRun, freeze, type PullTarget, pullBack } from "../../model/methods/index.js";
import { checkOptions, integer, oneOf, required } from "../../options.js";
import type { Tensor } from "../../tensor.js";
import type { TranscoderSet } from "../transcoders/types.js";
import { FrozenForward } from "./frozen-forward.js";
import { type AttributionGraph, rowOf } from "./nodes.js";
import { type FirstPosition, findSources, skipConnections, sourceHooks } from "./sources.js";

export interface HeadLoadings {
  readonly edge: number;
  /** Share that comes along the residual stream, and skip connections, alone; 0 between positions. */
  readonly direct: number;
  /** (layers, heads): the part of the edge whose last head before the target this is. They add up to edge − direct. */
  readonly heads: Tensor<Float64Array>;
}

/**
 * Splits an edge into a feature over the heads that bring it to the target's position. A path may go through several
 * heads; it counts at the one nearest to the target. The source's vector is run forward with everything held, and met at
 * each head by what the target reads of it along the residual stream.
 * @throws ModalscopeError for a target that is no feature, or whose inputs were not followed
 */
export async function headLoadings(
  model: Model,
  batch: Batch,
  set: TranscoderSet,
  graph: AttributionGraph,
  options: { source: number; target: number; firstPosition?: FirstPosition },
): Promise<HeadLoadings> {
  checkOptions("headLoadings", options, {
    source: required(integer(0), "a node's number"),
    target: required(integer(0), "a node's number"),
    firstPosition: oneOf("whole", "features", "none"),
  });
  const { source, target, firstPosition = "whole" } = options;
  const node = graph.nodes[target];
  const row = rowOf(graph, target);
  if (node?.kind !== "feature" || !row) {
    throw new ModalscopeError(
      "The edge leads to no feature whose inputs were followed.",
      "",
      "Take one of graph.targets.",
    );
  }
  const run = await freeze(model, batch, { capture: sourceHooks(model, set) });
  const { points } = await findSources(model, set, run, firstPosition);
  const zs = model.hooks.filter((h) => /^blocks\.\d+\.attn\.hook_z$/.test(h));
  const frozen = new FrozenForward(model, set, { run, points });
  const { changes } = await frozen.raised([source], zs);
  const layer = set.layers[node.layer];
  const vector = layer.encoderRows([node.feature]).data;
  const start: PullTarget = { hook: layer.hookIn, column: node.position, vector };
  const heads = model.config.num_attention_heads;
  const loadings = new Float64Array(model.layers.length * heads);
  let direct = 0;
  await pullBack(model, withoutAttention(run), {
    targets: [start],
    at: [...zs.map((hook) => ({ hook })), ...points],
    skips: skipConnections(set),
    take: ({ hook, values }) => {
      const own = points.find((p) => p.hook === hook);
      if (own) {
        for (let i = 0; i < values.data.length; i++) if (own.nodes[i] === source) direct += values.data[i];
        return;
      }
      const l = zs.indexOf(hook);
      const change = changes(hook)[0];
      const headDim = values.shape[values.shape.length - 1];
      values.data.forEach((g, i) => {
        loadings[l * heads + (Math.floor(i / headDim) % heads)] += g * change[i];
      });
    },
  });
  return { edge: row[source], direct, heads: { data: loadings, shape: [model.layers.length, heads] } };
}

/** The same run with nothing attended to: cotangents then go along the residual stream alone. */
function withoutAttention(run: FrozenRun): FrozenRun {
  const values = new Map(
    [...run.held.values].map(([name, x]) =>
      name.endsWith("attn.hook_pattern")
        ? [name, { ...x, data: new Float32Array(x.data.length) }]
        : [name, x],
    ),
  );
  return { ...run, held: { ...run.held, values } };
}
