/** Where a feature looks: rollout through the tower beside the edges from patches, over the image. */
import { encodeFeatures, featureRollout, nodeInfluence, visionRollout } from "../../circuits/index.js";
import { type Html, imageOverlay } from "../../plot/index.js";
import { rasterOf } from "../../tasks/index.js";
import type { Traced } from "./example.js";
import type { Subject } from "./subject.js";

/** The most influential feature at an image token: its map by rollout, as the document has it, and its edges from patches. */
export async function patchOverlay({ model, set }: Subject, { task, batch, graph }: Traced): Promise<Html> {
  const influence = nodeInfluence(graph);
  const visual = new Set(batch.visual[0]);
  const rows = graph.targets.flatMap((target, row) => {
    const node = graph.nodes[target];
    return node.kind === "feature" && visual.has(node.position)
      ? [{ node, row, influence: influence[target] }]
      : [];
  });
  const [{ node, row }] = rows.sort((a, b) => b.influence - a.influence);
  const run = await encodeFeatures(model, batch, set);
  const [rolled] = await visionRollout(model, batch, { form: "document" });
  const rollout = featureRollout(run, rolled, node.layer, node.feature);
  const { perImage, edges } = graph.patches!;
  const own = edges.subarray(row * perImage, (row + 1) * perImage);
  const image = batch.images![0].image;
  const maps = [normalised(rollout.data), normalised(pooledPatches(own, image.grid, image.tokens.length))];
  return imageOverlay(
    rasterOf(task),
    image,
    { data: Float32Array.from(maps.flatMap((map) => [...map])), shape: [maps.length, image.tokens.length] },
    {
      title: `Feature ${node.feature} of block ${node.layer}: rollout and edges correlate by ${correlation(maps).toFixed(2)}`,
      subtitle: "shares of each map; edges by size, from the patches of each image token's cell",
      axes: [{ name: "map", labels: ["rollout", "edges from patches"] }],
    },
  );
}

/** Σ |edge| over the patches of each token's block. */
function pooledPatches(
  edges: Float32Array,
  [, height, width]: readonly number[],
  tokens: number,
): Float32Array {
  const block = Math.round(Math.sqrt((height * width) / tokens));
  const out = new Float32Array(tokens);
  edges.forEach((edge, p) => {
    const [r, c] = [Math.floor(p / width), p % width];
    out[Math.floor(r / block) * (width / block) + Math.floor(c / block)] += Math.abs(edge);
  });
  return out;
}

function normalised(map: Float32Array): Float32Array {
  const total = map.reduce((sum, value) => sum + value, 0);
  return map.map((value) => (total > 0 ? value / total : 0));
}

function correlation([a, b]: readonly Float32Array[]): number {
  const [ma, mb] = [a, b].map((map) => map.reduce((sum, value) => sum + value, 0) / map.length);
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - ma) * (b[i] - mb);
    aa += (value - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return aa * bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}
