/** Scores beside transcoders that know nothing, and the KL of the replacement model. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { klDivergence, softmax } from "../../lib/analysis/index.js";
import {
  attribute,
  type GraphFidelity,
  graphFidelity,
  graphJson,
  graphView,
  nullTranscoders,
  pruneGraph,
  readTranscoders,
  reconstruct,
  type SparseFeatures,
  type Transcoder,
  type TranscoderSet,
} from "../../lib/circuits/index.js";
import {
  type Batch,
  type Edits,
  edit,
  loadModel,
  type Model,
  readSafetensors,
  type Tensor,
} from "../../lib/index.js";
import { packageRoot } from "../../lib/package-root.js";
import { asMessage, drawTasks, planets } from "../../lib/tasks/index.js";
import { randomTranscoders } from "./random-set.js";

const golden = join(packageRoot(), "test/fixtures/circuits/golden16");
let model: Model;
before(async () => {
  model = await loadModel("tiny-gemma3", { threads: 1 });
});
after(() => model.close());

const rowLengths = ({ data, shape: [rows, width] }: Tensor): number[] =>
  Array.from({ length: rows }, (_, i) => Math.hypot(...data.subarray(i * width, (i + 1) * width)));
const close = (a: readonly number[], b: readonly number[], tolerance: number): void =>
  a.forEach((v, i) => {
    assert.ok(Math.abs(v - b[i]) <= tolerance, `${i}: ${v}, ${b[i]}`);
  });

describe("null transcoders", () => {
  const spec = { kind: "cross-layer", layers: 3, width: 8, features: 40, k: 5 } as const;
  const x: Tensor = {
    data: Float32Array.from({ length: 6 * 8 }, (_, i) => Math.sin(i) + 0.3),
    shape: [6, 8],
  };
  const ids = Array.from({ length: 40 }, (_, f) => f);
  let set: TranscoderSet;
  before(() => {
    set = randomTranscoders(spec, 3);
  });
  after(() => set.close());

  it("with random rows keep each row's length, mean pre-activation and sparsity, and not its direction", async () => {
    const made = await nullTranscoders(set, "random", [x, x, x], 1);
    const [own, other] = [set.layers[1], made.layers[1]];
    close(rowLengths(other.encoderRows(ids)), rowLengths(own.encoderRows(ids)), 1e-5);
    for (const target of [1, 2])
      close(rowLengths(other.decoderRows(ids, target)), rowLengths(own.decoderRows(ids, target)), 1e-4);
    close(meanPre(other, x), meanPre(own, x), 1e-5);
    const counts = Array.from((await other.encode(x)).offsets);
    assert.deepEqual(counts, Array.from((await own.encode(x)).offsets));
    const [a, b] = [own.decoderRows(ids).data, other.decoderRows(ids).data];
    const cosine =
      a.reduce((sum, v, i) => sum + v * b[i], 0) /
      rowLengths(own.decoderRows(ids)).reduce((n, l) => n + l * l, 0);
    assert.ok(Math.abs(cosine) < 0.3, String(cosine));
    const again = await nullTranscoders(set, "random", [x, x, x], 1);
    assert.deepEqual(again.layers[2].encoderRows([7, 3]), made.layers[2].encoderRows([7, 3]));
    const part = made.layers[2].encoderRows([3]).data;
    assert.deepEqual(part, made.layers[2].encoderRows([7, 3]).data.subarray(8));
    made.close();
    again.close();
  });

  it("with shuffled decoders have the same activations, and the same rows in another order", async () => {
    const made = await nullTranscoders(set, "shuffled", [], 1);
    assert.deepEqual(await made.layers[0].encode(x), await set.layers[0].encode(x));
    const sorted = (set: TranscoderSet): string[] =>
      ids.map((id) => set.layers[0].decoderRows([id], 2).data.join()).sort();
    assert.deepEqual(sorted(made), sorted(set));
    assert.notDeepEqual(made.layers[0].decoderRows(ids), set.layers[0].decoderRows(ids));
    made.close();
    assert.equal((await set.layers[0].encode(x)).tokens, 6);
  });

  it("of thresholds have as many active features as the set has on the inputs", async () => {
    const relu: Transcoder[] = set.layers.map((own) => ({ ...own, activation: { kind: "relu" } }));
    const made = await nullTranscoders({ ...set, layers: relu }, "random", [x, x, x], 1);
    assert.deepEqual(made.layers[0].activation, { kind: "topk", k: 5, signed: false });
    made.close();
  });
});

function meanPre(own: Transcoder, { data, shape: [tokens, width] }: Tensor): number[] {
  const ids = Array.from({ length: own.features }, (_, f) => f);
  const [rows, biases] = [own.encoderRows(ids).data, own.encoderBias(ids)];
  return ids.map((f) => {
    let sum = biases[f];
    for (let i = 0; i < data.length; i++) sum += (rows[f * width + (i % width)] * data[i]) / tokens;
    return sum;
  });
}

/** Runs from the embedding on with every lower MLP output filled, one for each layer. */
async function replacedByWholeRuns(batch: Batch, set: TranscoderSet, withFeatures: boolean): Promise<Tensor> {
  const outputs = await model.run(batch, { capture: [`blocks.*.${set.hookOut}`], logits: "none" });
  const features: SparseFeatures[] = [];
  let edits: Edits = {};
  for (const own of set.layers) {
    const { layer, width, bias, hookIn } = own;
    const { cache } = await model.run(batch, { edits, capture: [hookIn], stopAtLayer: layer + 1 });
    features.push(await own.encode({ data: cache.get(hookIn).data, shape: [batch.seqLength, width] }));
    const made = reconstruct(set, layer, { features });
    if (!withFeatures) for (let t = 0; t < batch.seqLength; t++) made.data.set(bias, t * width);
    made.data.set(outputs.cache.get(`blocks.${layer}.${set.hookOut}`).data.subarray(0, width));
    edits = { ...edits, [`blocks.${layer}.${set.hookOut}`]: edit.fill(made) };
  }
  return (await model.run(batch, { edits, logits: "last" })).logits!;
}

describe("a graph's scores beside nulls", () => {
  let planet: Batch;
  let found: GraphFidelity;
  before(async () => {
    const [task] = drawTasks(planets, { split: "heldout", count: 1, size: 48, seed: 0 });
    planet = await model.prepare([[asMessage(task)]]);
  });

  it("the KL is that of whole runs with each MLP output filled in turn", async () => {
    const set = readTranscoders("tiny-gemma3/cross-layer", { model });
    const graph = await attribute(model, planet, set, { maxFeatures: 12 });
    const own = await graphFidelity(model, planet, set, graph, { maxFeatures: 12, nulls: 1 });
    const clean = softmax((await model.run(planet, { logits: "last" })).logits!.data);
    const kl = async (withFeatures: boolean): Promise<number> =>
      klDivergence(clean, softmax((await replacedByWholeRuns(planet, set, withFeatures)).data));
    assert.ok(Math.abs(own.own.kl - (await kl(true))) < 1e-5);
    const without = await kl(false);
    assert.ok(Math.abs(own.klWithoutFeatures / without - 1) < 1e-4, `${own.klWithoutFeatures}, ${without}`);
    set.close();
  });

  it("trained transcoders are beyond their nulls by replacement, completeness and KL", async () => {
    const set = readTranscoders("tiny-gemma3/text-images", { model });
    const options = { threshold: 0.9 };
    const graph = await attribute(model, planet, set, options);
    found = await graphFidelity(model, planet, set, graph, { ...options, nulls: 1 });
    for (const other of [...found.nulls.random, ...found.nulls.shuffled]) {
      assert.ok(found.own.replacement > other.replacement + 0.1);
      assert.ok(found.own.completeness > other.completeness + 0.05);
      assert.ok(found.own.kl < 0.1 * other.kl);
    }
    assert.ok(found.own.kl < 0.01 * found.klWithoutFeatures);
    const json = graphJson(pruneGraph(graph), { slug: "planet", fidelity: found }, (id) =>
      model.decode([id]),
    );
    const scores = json.metadata.graph_scores as Record<string, number> & {
      nulls: Record<string, unknown[]>;
    };
    assert.equal(scores.kl_bits, found.own.kl);
    assert.deepEqual(
      Object.values(scores.nulls).map((one) => one.length),
      [1, 1],
    );
    const view = graphView(json, { title: "planet" }).html;
    assert.match(view, /replacement 0\.\d\d \(random rows 0\.\d\d, shuffled decoders 0\.\d\d\)/);
    assert.match(view, /KL of the replacement model in bits .* no features \d/);
    set.close();
  });

  it("random transcoders are not beyond theirs, however high their scores", async () => {
    const set = readTranscoders(golden);
    const ids = readSafetensors(`${golden}.safetensors`).get("input_ids")!.data;
    const batch = model.batch([Array.from(ids, Number)]);
    const graph = await attribute(model, batch, set, { threshold: 0.9 });
    const random = await graphFidelity(model, batch, set, graph, { threshold: 0.9, nulls: 1 });
    assert.ok(random.own.completeness > 0.9);
    for (const other of [...random.nulls.random, ...random.nulls.shuffled]) {
      assert.ok(Math.abs(random.own.replacement - other.replacement) < 0.03);
      assert.ok(Math.abs(random.own.completeness - other.completeness) < 0.03);
      assert.ok(random.own.kl > 0.3 * other.kl);
    }
    const view = graphView(graphJson(pruneGraph(graph), { slug: "r" }, String), { title: "r" }).html;
    assert.match(view, /scores not held against null transcoders/);
    set.close();
  });
});
