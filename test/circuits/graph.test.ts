/** Attribution graphs: circuit-tracer's own graph, values that edges must add up to, and interventions. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type AttributionGraph,
  attribute,
  type GraphNode,
  graphJson,
  graphScores,
  nodeId,
  pruneGraph,
  readTranscoders,
  rowOf,
  sumCheck,
  type Transcoder,
  type TranscoderSet,
  verifyEdges,
} from "../../lib/circuits/index.js";
import { type Batch, loadModel, type Model, readSafetensors } from "../../lib/index.js";
import { packageRoot } from "../../lib/package-root.js";
import { prepared } from "../model/vision/goldens.js";

const folder = join(packageRoot(), "test/fixtures/circuits");
const golden = readSafetensors(join(folder, "golden16.safetensors"));
const scores = JSON.parse(readFileSync(join(folder, "golden16.json"), "utf8"));
const numbers = (name: string): number[] => Array.from(golden.get(name)!.data, Number);

/** A node by what it is, in our graph and in circuit-tracer's. */
function nameOf(node: GraphNode): string {
  if (node.kind === "feature") return `feature ${node.layer} ${node.position} ${node.feature}`;
  if (node.kind === "error") return `error ${node.layer} ${node.position}`;
  if (node.kind === "token") return `token ${node.position}`;
  return node.kind === "logit" ? `logit ${node.token}` : node.kind;
}

/** circuit-tracer's order: features, errors by layer and position, tokens, logits. */
function goldenNames(layers: number, time: number): string[] {
  const active = numbers("active_features");
  const features = Array.from(
    { length: active.length / 3 },
    (_, i) => `feature ${active.slice(3 * i, 3 * i + 3).join(" ")}`,
  );
  const errors = Array.from({ length: layers * time }, (_, i) => `error ${Math.floor(i / time)} ${i % time}`);
  const tokens = Array.from({ length: time }, (_, i) => `token ${i}`);
  return [...features, ...errors, ...tokens, ...numbers("logit_ids").map((id) => `logit ${id}`)];
}

/** The same features as a cross-layer set, whose decoders of later layers are `spread` times those of their own. */
function crossLayer(set: TranscoderSet, spread: number): TranscoderSet {
  const layers = set.layers.map(
    (own): Transcoder => ({
      ...own,
      targets: set.layers.map(({ layer }) => layer).slice(own.layer),
      encode: (x) => own.encode(x),
      encoderRows: (ids) => own.encoderRows(ids),
      encoderBias: (ids) => own.encoderBias(ids),
      decoderRows: (ids, target = own.layer) => {
        const rows = own.decoderRows(ids);
        const factor = target === own.layer ? 1 : spread / target;
        return { ...rows, data: rows.data.map((v) => factor * v) };
      },
    }),
  );
  return { ...set, kind: "cross-layer", layers, close: () => {} };
}

describe("attribution graphs of tiny-gemma3", () => {
  let model: Model;
  let set: TranscoderSet;
  let batch: Batch;
  let graph: AttributionGraph;
  before(async () => {
    model = await loadModel("tiny-gemma3", { threads: 1 });
    set = readTranscoders(join(folder, "golden16"));
    batch = model.batch([numbers("input_ids")]);
    graph = await attribute(model, batch, set);
  });
  after(async () => {
    set.close();
    await model.close();
  });

  it("without the first position: circuit-tracer's activations, edges, scores and pruned graph", async () => {
    const theirs = await attribute(model, batch, set, { firstPosition: "none" });
    const names = goldenNames(12, 16);
    const place = new Map(theirs.nodes.map((node, i) => [nameOf(node), i]));
    const columns = names.map((name) => place.get(name)!);
    assert.ok(columns.every((i) => i !== undefined));
    numbers("activation_values").forEach((a, i) => {
      const node = theirs.nodes[columns[i]];
      assert.ok(node.kind === "feature" && Math.abs(node.activation - a) < 1e-5);
    });
    const edges = golden.get("edges")!;
    let compared = 0;
    numbers("rows").forEach((row, r) => {
      const own = rowOf(theirs, columns[row])!;
      columns.forEach((column, c) => {
        const wanted = edges.data[r * names.length + c];
        assert.ok(
          Math.abs(own[column] - wanted) < 1e-4,
          `${names[c]} → ${names[row]}: ${own[column]}, ${wanted}`,
        );
        compared++;
      });
    });
    assert.equal(compared, 90 * 938);
    const found = graphScores(theirs);
    assert.ok(Math.abs(found.replacement - scores.replacement) < 1e-5);
    assert.ok(Math.abs(found.completeness - scores.completeness) < 1e-5);
    const pruned = pruneGraph(theirs);
    const kept = (mask: ArrayLike<number>, of: (i: number) => string): string[] =>
      Array.from(mask)
        .flatMap((k, i) => (k ? [of(i)] : []))
        .sort();
    const mask = numbers("node_mask");
    assert.deepEqual(
      kept(pruned.nodes, (i) => nameOf(theirs.nodes[i])),
      kept(mask, (i) => names[i]),
    );
    const pairs = numbers("kept_edges");
    const width = theirs.nodes.length;
    const theirEdges = Array.from(
      { length: pairs.length / 2 },
      (_, i) => `${names[pairs[2 * i]]} ← ${names[pairs[2 * i + 1]]}`,
    );
    const ourEdges = kept(pruned.edges, (e) => {
      const [target, source] = [theirs.targets[Math.floor(e / width)], e % width];
      return `${nameOf(theirs.nodes[target])} ← ${nameOf(theirs.nodes[source])}`;
    });
    assert.deepEqual(ourEdges, theirEdges.sort());
  });

  it("each target's edges add up to its value, and do not without the first position", async () => {
    assert.ok(sumCheck(graph).absolute < 5e-6);
    const features = await attribute(model, batch, set, { firstPosition: "features" });
    assert.ok(sumCheck(features).absolute < 5e-6);
    const none = await attribute(model, batch, set, { firstPosition: "none", threshold: 0.9 });
    assert.ok(sumCheck(none).absolute > 0.05);
  });

  it("edges are what raising a source changes, with all else held", async () => {
    const found = await verifyEdges(model, batch, set, graph, { features: 20 });
    assert.deepEqual(found.sources, { error: 192, token: 16, feature: 20 });
    assert.equal(found.beyond, 0);
    assert.ok(found.coverage > 0.9);
    const wrong = { ...graph, edges: graph.edges.map((e) => e * 1.01) };
    assert.ok((await verifyEdges(model, batch, set, wrong, { features: 0 })).beyond > 100);
  });

  it("a threshold leaves out what matters least, and says how much that is", async () => {
    const some = await attribute(model, batch, set, { threshold: 0.99 });
    assert.ok(some.targets.length < graph.targets.length);
    assert.ok(some.followed >= 0.99 && some.followed < 1);
    assert.equal(graph.followed, 1);
    some.targets.forEach((target, row) => {
      const whole = rowOf(graph, target)!;
      const own = some.edges.subarray(row * some.nodes.length, (row + 1) * some.nodes.length);
      own.forEach((edge, i) => {
        assert.ok(Math.abs(edge - whole[i]) < 1e-5);
      });
    });
    const few = await attribute(model, batch, set, { maxFeatures: 24 });
    assert.ok(few.targets.length <= 10 + 24 && few.followed < 1);
  });

  it("a cross-layer set that writes to its own layers alone gives the per-layer graph; one that spreads is verified", async () => {
    const same = await attribute(model, batch, crossLayer(set, 0));
    graph.edges.forEach((edge, i) => {
      assert.ok(Math.abs(same.edges[i] - edge) < 1e-5);
    });
    const spread = crossLayer(set, 0.7);
    const other = await attribute(model, batch, spread, { threshold: 0.99 });
    assert.ok(sumCheck(other).absolute < 5e-6);
    const found = await verifyEdges(model, batch, spread, other, { features: 10 });
    assert.equal(found.beyond, 0);
  });

  it("directions are explained as logits are", async () => {
    const [a, b] = numbers("logit_ids");
    const direction = {
      name: "a less b",
      logits: new Map([
        [a, 1],
        [b, -1],
      ]),
    };
    const other = await attribute(model, batch, set, { directions: [direction], threshold: 0.9 });
    const logits = await attribute(model, batch, set, { logits: [a, b], threshold: 0.9 });
    const both = logits.nodes.flatMap((n, i) => (n.kind === "logit" ? [rowOf(logits, i)!] : []));
    const row = rowOf(
      other,
      other.nodes.findIndex((n) => n.kind === "direction"),
    )!;
    for (let i = 0; i < other.nodes.length - 1; i++)
      assert.ok(Math.abs(row[i] - (both[0][i] - both[1][i])) < 1e-5);
  });

  it("image tokens are nodes, and their patches' edges and the tower's constants add up to theirs", async () => {
    const image = await prepared(model, { prompts: ["<start_of_image>"], images: [["square"]] });
    const seen = await attribute(model, image, set, { patches: true, threshold: 0.95 });
    assert.equal(seen.nodes.filter(({ kind }) => kind === "image token").length, image.visual[0].length);
    assert.ok(sumCheck(seen).absolute < 1e-5);
    const { edges, images, perImage } = seen.patches!;
    assert.equal(edges.length, seen.targets.length * images * perImage);
    assert.ok(edges.some((e) => Math.abs(e) > 1e-3));
    const found = await verifyEdges(model, image, set, seen, { features: 5 });
    assert.equal(found.sources["image token"], image.visual[0].length);
    assert.equal(found.beyond, 0);
    const json = graphJson(pruneGraph(seen), { slug: "seen" }, String);
    const { inputs, per_image } = json.patch_edges!;
    assert.equal(per_image, perImage);
    const targets = json.nodes.filter((n) => /transcoder|logit/.test(n.feature_type));
    assert.deepEqual(Object.keys(inputs).sort(), targets.map((n) => n.node_id).sort());
    for (const [id, { strongest, others, constant }] of Object.entries(inputs)) {
      const target = seen.targets.find((t) => nodeId(seen, seen.nodes[t]) === id)!;
      const row = rowOf(seen, target)!;
      const tokens = seen.nodes.reduce(
        (sum, { kind }, i) => (kind === "image token" ? sum + row[i] : sum),
        0,
      );
      const patches = strongest.reduce((sum, [, weight]) => sum + weight, others + constant);
      assert.ok(Math.abs(patches - tokens) < 1e-5, `${id}: ${patches}, ${tokens}`);
      assert.ok(strongest.every(([, w], i) => i === 0 || Math.abs(w) <= Math.abs(strongest[i - 1][1])));
    }
  });

  it("what cannot be is refused before work starts", async () => {
    await assert.rejects(attribute(model, batch, set, { patches: true }), /no image/);
    await assert.rejects(attribute(model, batch, set, { logits: [1e6] }), /no token 1000000/);
    await assert.rejects(attribute(model, batch, set, { logits: [] }), /no logit and no direction/);
    await assert.rejects(attribute(model, "mars" as never, set), /given a text\. Prepare the prompt/);
    await assert.rejects(attribute(model, batch, "tiny-gemma3/text" as never), /no set of transcoders/);
    await assert.rejects(attribute(model, model.batch([[1, 2], [3]]), set), /2 prompts/);
    await assert.rejects(attribute(model, batch, { ...set, layers: set.layers.slice(1) }), /11 layers/);
    await assert.rejects(attribute(model, batch, set, { treshold: 0.5 } as object), /threshold/);
    await assert.rejects(verifyEdges(model, model.batch([[1, 2]]), set, graph), /another prompt/);
  });

  it("more nodes than the memory holds are refused before anything runs, with how many would fit", async () => {
    const small = await loadModel("tiny-gemma3", { threads: 1, memory: "20MB" });
    const ids = numbers("input_ids");
    const given = small.batch([[...ids, ...ids.slice(1)]]);
    const pool = small.engine.pool as unknown as { use: unknown };
    const { use } = pool;
    pool.use = () => assert.fail("the model has run");
    const refused = /1857 nodes, and edges to 1440 features would take 10\.7 MB\..*maxFeatures: (\d+)/s;
    let fitting = 0;
    await assert.rejects(attribute(small, given, set), (error: Error) => {
      fitting = Number(refused.exec(error.message)?.[1]);
      return fitting > 0;
    });
    pool.use = use;
    const some = await attribute(small, given, set, { maxFeatures: fitting, atOnce: 4 });
    assert.ok(some.targets.length > 100 && some.targets.length <= fitting + 10);
    await small.close();
  });
});
