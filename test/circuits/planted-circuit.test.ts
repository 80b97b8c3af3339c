/** A circuit of two neurons is found where it was planted, and not where the answer goes past it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  type AttributionGraph,
  ablateFeatures,
  attribute,
  graphScores,
  headLoadings,
  nodeInfluence,
  pruneGraph,
  readTranscoders,
  rowOf,
  sumCheck,
  type TranscoderSet,
  verifyEdges,
} from "../../lib/circuits/index.js";
import { type Batch, loadModel, type Model, saveCheckpoint, writeSafetensors } from "../../lib/index.js";
import { type PlantedCircuit, type PlantedCircuitKind, plantedCircuit } from "../../lib/tasks/index.js";

const scratch = mkdtempSync(join(tmpdir(), "modalscope-circuit-"));
after(() => rmSync(scratch, { recursive: true }));

interface Trial {
  readonly made: PlantedCircuit;
  readonly model: Model;
  readonly set: TranscoderSet;
  readonly batch: Batch;
  readonly graph: AttributionGraph;
}

async function withCircuit(
  kind: PlantedCircuitKind,
  seed: number,
  use: (trial: Trial) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(scratch, "c"));
  const made = plantedCircuit(kind, seed);
  saveCheckpoint(folder, made.config, made.weights, {});
  const of = join(folder, "transcoders");
  saveTranscoders(of, made);
  const model = await loadModel(folder, { threads: 1 });
  const set = readTranscoders(of, { model });
  try {
    const batch = model.batch([made.prompt]);
    const graph = await attribute(model, batch, set, { logits: [made.effect], firstPosition: "features" });
    await use({ made, model, set, batch, graph });
  } finally {
    set.close();
    await model.close();
  }
}

function saveTranscoders(folder: string, { transcoders }: PlantedCircuit): void {
  mkdirSync(folder);
  const kinds = {
    model_kind: "transcoder_set",
    feature_input_hook: "mlp.hook_in",
    feature_output_hook: "mlp.hook_out",
  };
  writeFileSync(join(folder, "config.yaml"), JSON.stringify({ model_name: "planted", ...kinds }));
  transcoders.forEach((layer, l) => {
    writeSafetensors(join(folder, `layer_${l}.safetensors`), { ...layer });
  });
}

/** Number of a planted neuron's node: the first at the cause, the second at the last token. */
function planted({ made, graph }: Trial, layer: 0 | 1): number {
  const position = layer === 0 ? made.at : made.prompt.length - 1;
  return graph.nodes.findIndex(
    (n) =>
      n.kind === "feature" &&
      n.layer === layer &&
      n.feature === made.neurons[layer] &&
      n.position === position,
  );
}

for (const seed of [0, 1]) {
  describe(`planted circuits, seed ${seed}`, () => {
    it("two neurons: both are found, the edge between them, and the head that carries it", () =>
      withCircuit("two neurons", seed, async (trial) => {
        const { made, model, set, batch, graph } = trial;
        const { logits } = await model.run(batch, { logits: "last" });
        assert.equal(logits!.data.indexOf(Math.max(...logits!.data)), made.effect);
        const [first, second] = [planted(trial, 0), planted(trial, 1)];
        assert.ok(first >= 0 && second >= 0);
        const influence = nodeInfluence(graph);
        const features = [...graph.nodes.keys()].filter((i) => graph.nodes[i].kind === "feature");
        features.sort((a, b) => influence[b] - influence[a]);
        assert.deepEqual(new Set(features.slice(0, 2)), new Set([first, second]));
        const inputs = rowOf(graph, second)!;
        const others = inputs.reduce((m, e, i) => (i === first ? m : Math.max(m, Math.abs(e))), 0);
        assert.ok(inputs[first] > 2 * others, `${inputs[first]}, next ${others}`);
        const pruned = pruneGraph(graph);
        assert.ok(pruned.nodes[first] && pruned.nodes[second]);
        const { heads } = await headLoadings(model, batch, set, graph, {
          source: first,
          target: second,
          firstPosition: "features",
        });
        assert.ok(heads.data[2] > 0.95 * inputs[first], "block 1, head 0");
        const effects = await ablateFeatures(model, batch, set, graph, { features: 2 });
        const answer = graph.values[0];
        for (const { actual } of effects.filter((e) => e.group === "influential"))
          assert.ok(actual < -0.5 * answer);
      }));

    it("past them: the answer is the same, and no edge joins the two", () =>
      withCircuit("past them", seed, async (trial) => {
        const { made, model, batch, graph } = trial;
        const { logits } = await model.run(batch, { logits: "last" });
        assert.equal(logits!.data.indexOf(Math.max(...logits!.data)), made.effect);
        const [first, second] = [planted(trial, 0), planted(trial, 1)];
        assert.ok(first >= 0, "the first neuron sees the cause all the same");
        assert.equal(second, -1, "the second is silent");
        const influence = nodeInfluence(graph);
        assert.ok(influence[first] < 0.1, `${influence[first]}`);
        const row = rowOf(graph, graph.nodes.length - 1)!;
        const token = graph.nodes.findIndex((n) => n.kind === "token" && n.position === made.at);
        assert.equal(row.indexOf(Math.max(...row)), token, "the answer comes from the cause itself");
      }));

    it("neurons of ReLU layers leave no error, and every edge is verified", () =>
      withCircuit("two neurons", seed, async ({ model, set, batch, graph }) => {
        assert.ok(graphScores(graph).replacement > 0.9999);
        // Edges are up to 21: a sum of some float32 of that size.
        assert.ok(sumCheck(graph).worst < 2e-6);
        const found = await verifyEdges(model, batch, set, graph, { firstPosition: "features" });
        assert.equal(found.beyond, 0);
        assert.ok(found.coverage > 0.9);
      }));

    it("without the cause neither neuron is active", () =>
      withCircuit("two neurons", seed, async ({ made, model, set }) => {
        const other = await attribute(model, model.batch([made.without]), set, { firstPosition: "features" });
        const active = other.nodes.filter(
          (n) => n.kind === "feature" && n.feature === made.neurons[n.layer] && n.activation > 0.5,
        );
        assert.deepEqual(active, []);
      }));
  });
}
