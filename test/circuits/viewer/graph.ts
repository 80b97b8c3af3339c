/**
 * Writes a graph for circuit-tracer's viewer to open, and what it must then show: `node dist/test/circuits/viewer/graph.js OUT`.
 * The prompt has an image, features have dashboards, and two supernodes are made by hand.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  attribute,
  type CircuitTracerNode,
  featureCorpus,
  featureDashboard,
  graphJson,
  pruneGraph,
  readTranscoders,
  verifyEdges,
  writeFeatureFiles,
  writeGraphFiles,
} from "../../../lib/circuits/index.js";
import { loadModel } from "../../../lib/index.js";
import { asMessage, drawTasks, planets } from "../../../lib/tasks/index.js";

const [out] = process.argv.slice(2);
const model = await loadModel("tiny-gemma3");
const set = readTranscoders("tiny-gemma3/text-images", { model });
const tasks = drawTasks(planets, { split: "heldout", count: 4, size: 48, seed: 0 });
const batch = await model.prepare([[asMessage(tasks[0])]]);
const graph = await attribute(model, batch, set, { threshold: 0.9 });
const pruned = pruneGraph(graph, { nodeThreshold: 0.6 });
const prompts = tasks.map((task) => ({ prompt: [asMessage(task)] }));
const corpus = await featureCorpus(model, set, prompts);
const kept = graph.nodes.flatMap((n, i) => (n.kind === "feature" && pruned.nodes[i] ? [n] : []));
const dashboards = kept.map(({ layer, feature }) => featureDashboard(corpus, layer, feature));
const ids = kept.map(({ layer, feature, position }) => `${layer}_${feature}_${position}`);
const json = graphJson(
  pruned,
  {
    slug: "planet",
    scan: writeFeatureFiles(out, dashboards, corpus),
    nodeThreshold: 0.6,
    supernodes: [
      { label: "first pair", members: ids.slice(0, 2) },
      { label: "last pair", members: ids.slice(-2) },
    ],
    label: ({ layer, feature }) => `our ${layer}/${feature}`,
    verification: await verifyEdges(model, batch, set, graph, { features: 10 }),
  },
  (token) => model.decode([token]),
);
writeGraphFiles(out, json);
const degree = ({ node_id }: CircuitTracerNode): number =>
  json.links.filter(({ source, target }) => source === node_id || target === node_id).length;
const features = json.nodes.filter((n) => n.feature_type === "cross layer transcoder");
const chosen = features.reduce((a, b) => (degree(b) > degree(a) ? b : a));
const sides = (side: "source" | "target"): number =>
  json.links.filter((link) => link[side] === chosen.node_id && link.weight !== 0).length;
const expected = {
  nodes: json.nodes.map(({ node_id }) => node_id).sort(),
  links: json.links.map(({ source, target }) => `${source}__${target}`).sort(),
  chosen: { id: chosen.node_id, label: chosen.clerp, inputs: sides("target"), outputs: sides("source") },
  supernodes: ["first pair", "last pair"],
};
writeFileSync(join(out, "expected.json"), JSON.stringify(expected));
set.close();
await model.close();
