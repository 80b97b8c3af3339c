/** Graphs of transcoders with skip connections: a case by hand, values that edges must add up to, and interventions. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type AttributionGraph,
  attribute,
  type GraphNode,
  headLoadings,
  readTranscoders,
  rowOf,
  sumCheck,
  type TranscoderSet,
  verifyEdges,
} from "../../lib/circuits/index.js";
import { loadModel, type Model, saveCheckpoint, type Tensor, writeSafetensors } from "../../lib/index.js";
import { packageRoot } from "../../lib/package-root.js";
import { type PlantedCircuit, plantedCircuit } from "../../lib/tasks/index.js";
import { prepared } from "../model/vision/goldens.js";
import { withSkips } from "./random-set.js";

const scratch = mkdtempSync(join(tmpdir(), "modalscope-skip-"));
after(() => rmSync(scratch, { recursive: true }));

type Layer = PlantedCircuit["transcoders"][number] & { readonly W_skip?: Tensor };

/** The neuron that reads the note as a skip connection: where it is active it is linear, w_out (w_in x + b). */
function secondAsSkip({ transcoders: [first, own], neurons }: PlantedCircuit): Layer[] {
  const [features, width] = own.W_enc.shape;
  const part = (x: Tensor): Float32Array => x.data.subarray(neurons[1] * width, (neurons[1] + 1) * width);
  const [reads, writes] = [part(own.W_enc), part(own.W_dec)];
  const skip = Float32Array.from(
    { length: width * width },
    (_, i) => writes[Math.floor(i / width)] * reads[i % width],
  );
  const silent = own.b_enc.data.slice();
  silent[neurons[1]] = -1e3;
  const bias = own.b_dec.data.map((b, j) => b + own.b_enc.data[neurons[1]] * writes[j]);
  return [
    first,
    {
      ...own,
      W_skip: { data: skip, shape: [width, width] },
      b_enc: { data: silent, shape: [features] },
      b_dec: { data: bias, shape: [width] },
    },
  ];
}

function saved(layers: readonly Layer[]): string {
  const folder = mkdtempSync(join(scratch, "set"));
  const hooks = { feature_input_hook: "mlp.hook_in", feature_output_hook: "mlp.hook_out" };
  const config = { model_name: "planted", model_kind: "transcoder_set", ...hooks };
  writeFileSync(join(folder, "config.yaml"), JSON.stringify(config));
  for (const [l, layer] of layers.entries())
    writeSafetensors(join(folder, `layer_${l}.safetensors`), { ...layer });
  return folder;
}

describe("a planted circuit whose second neuron is a skip connection", () => {
  const made = plantedCircuit("two neurons", 0);
  const options = { logits: [made.effect], firstPosition: "features" } as const;
  let model: Model;
  before(async () => {
    const folder = join(scratch, "model");
    mkdirSync(folder);
    saveCheckpoint(folder, made.config, made.weights, {});
    model = await loadModel(folder, { threads: 1 });
  });
  after(() => model.close());

  const graphOf = async (layers: readonly Layer[]): Promise<AttributionGraph> => {
    const set = readTranscoders(saved(layers), { model });
    const graph = await attribute(model, model.batch([made.prompt]), set, options);
    set.close();
    return graph;
  };
  const nodeOf = ({ nodes }: AttributionGraph, test: (node: GraphNode) => boolean): number =>
    nodes.findIndex(test);

  it("what went through the neuron goes along the skip connection: edge into it · edge out of it / activation", async () => {
    const [whole, skipped] = [await graphOf(made.transcoders), await graphOf(secondAsSkip(made))];
    const isSecond = (n: GraphNode): boolean =>
      n.kind === "feature" && n.layer === 1 && n.feature === made.neurons[1] && n.position === 5;
    const second = nodeOf(whole, isSecond);
    assert.equal(nodeOf(skipped, isSecond), -1);
    const neuron = whole.nodes[second];
    assert.ok(neuron.kind === "feature");
    const answer = whole.nodes.length - 1;
    const [into, direct] = [rowOf(whole, second)!, rowOf(whole, answer)!];
    const found = rowOf(skipped, skipped.nodes.length - 1)!;
    let compared = 0;
    skipped.nodes.forEach((node, i) => {
      if (!["feature", "token"].includes(node.kind) || ("layer" in node && node.layer === 1)) return;
      const same = nodeOf(whole, (n) => JSON.stringify(n) === JSON.stringify(node));
      const wanted = direct[same] + (into[same] * direct[second]) / neuron.activation;
      assert.ok(
        Math.abs(found[i] - wanted) < 2e-5,
        `${JSON.stringify(node)}: ${found[i]}, by hand ${wanted}`,
      );
      compared++;
    });
    assert.ok(compared > 20, `${compared}`);
    const first = nodeOf(skipped, (n) => n.kind === "feature" && n.feature === made.neurons[0]);
    assert.ok(found[first] > 5, `the cause's neuron, which nothing else carries: ${found[first]}`);
    assert.ok(sumCheck(skipped).worst < 2e-6);
  });
});

describe("skip connections of random transcoders in tiny-gemma3", () => {
  let model: Model;
  let plain: TranscoderSet;
  let set: TranscoderSet;
  before(async () => {
    model = await loadModel("tiny-gemma3", { threads: 1 });
    plain = readTranscoders(join(packageRoot(), "test/fixtures/circuits/golden16"));
    set = withSkips(plain, 1);
  });
  after(async () => {
    plain.close();
    await model.close();
  });
  const ids = [2, 9, 17, 40, 33, 60];

  it("edges add up, with the first position as one node of each layer or as features", async () => {
    const batch = model.batch([ids]);
    for (const firstPosition of ["whole", "features"] as const) {
      const graph = await attribute(model, batch, set, { firstPosition });
      assert.ok(sumCheck(graph).absolute < 1e-5, `${firstPosition}: ${sumCheck(graph).absolute}`);
      const without = await attribute(model, batch, plain, { firstPosition });
      assert.ok(
        Math.abs(without.edges[0] - graph.edges[0]) > 0 && graph.nodes.length === without.nodes.length,
      );
    }
  });

  it("each edge is what raising its source changes", async () => {
    const batch = model.batch([ids]);
    const graph = await attribute(model, batch, set);
    const found = await verifyEdges(model, batch, set, graph, { features: 20 });
    assert.deepEqual(found.sources, { error: 12 * ids.length, token: ids.length, feature: 20 });
    assert.equal(found.beyond, 0);
    const past = await attribute(model, batch, plain);
    assert.ok((await verifyEdges(model, batch, set, { ...past }, { features: 0 })).beyond > 100);
  });

  it("an edge's part along the skip connections alone, and those over heads, add up to it", async () => {
    const batch = model.batch([ids]);
    const graph = await attribute(model, batch, set);
    const target = graph.targets.find((t) => {
      const node = graph.nodes[t];
      return node.kind === "feature" && node.layer === 9 && node.position === ids.length - 1;
    })!;
    const inputs = rowOf(graph, target)!;
    const strongest = (position: number): number =>
      graph.nodes.reduce(
        (best, n, i) =>
          n.kind === "feature" &&
          n.layer < 8 &&
          n.position === position &&
          Math.abs(inputs[i]) > Math.abs(inputs[best])
            ? i
            : best,
        graph.nodes.findIndex((n) => n.kind === "error" && n.position === position),
      );
    for (const position of [3, ids.length - 1]) {
      const source = strongest(position);
      const { edge, direct, heads } = await headLoadings(model, batch, set, graph, { source, target });
      const carried = heads.data.reduce((sum, v) => sum + v, 0);
      assert.ok(
        Math.abs(edge - direct - carried) < 1e-4 * Math.abs(edge) + 1e-5,
        `${edge}: ${direct} + ${carried}`,
      );
      assert.equal(direct === 0, position !== ids.length - 1);
    }
  });

  it("an image's patches are reached along them as well", async () => {
    const image = await prepared(model, { prompts: ["<start_of_image>"], images: [["square"]] });
    const graph = await attribute(model, image, set, { patches: true, maxFeatures: 100 });
    assert.ok(sumCheck(graph).absolute < 2e-5);
    assert.ok(graph.patches!.edges.some((e) => Math.abs(e) > 1e-3));
  });
});
