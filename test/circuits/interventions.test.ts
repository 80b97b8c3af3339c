import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  activationAt,
  encodeFeatures,
  type FeatureEdit,
  featureEdits,
  patchedFeatures,
  type TranscoderSet,
} from "../../lib/circuits/index.js";
import {
  appendTokens,
  type Batch,
  type Edits,
  edit,
  gradients,
  loadModel,
  logProb,
  type Model,
  sweep,
  type Tensor,
} from "../../lib/index.js";
import { animals, asMessage, drawTasks } from "../../lib/tasks/index.js";
import { randomTranscoders } from "./random-set.js";

let model: Model;
let batch: Batch;
let perLayer: TranscoderSet;
let crossLayer: TranscoderSet;

before(async () => {
  model = await loadModel("tiny-gemma3", { threads: 1 });
  const tasks = drawTasks(animals, { split: "heldout", count: 2, size: 48, seed: 4 });
  batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
  const shape = { layers: 12, width: 64, features: 96, k: 6 };
  perLayer = randomTranscoders({ kind: "per-layer", ...shape }, 1);
  crossLayer = randomTranscoders({ kind: "cross-layer", ...shape }, 2);
});
after(async () => {
  perLayer.close();
  crossLayer.close();
  await model.close();
});

async function logitsWith(edits: Edits): Promise<Tensor> {
  return (await model.run(batch, { edits, logits: "last" })).logits!;
}

function apart(a: Tensor, b: Tensor): number {
  return a.data.reduce((most, x, i) => Math.max(most, Math.abs(x - b.data[i])), 0);
}

/**
 * The same as plain additions at the last token of each row, from activations that a run without edits gave.
 */
async function byHand(set: TranscoderSet, layer: number, feature: number, value: number): Promise<Edits> {
  const run = await encodeFeatures(model, batch, set);
  const { width } = set.layers[0];
  const edits: Record<string, ReturnType<typeof edit.add>[]> = {};
  for (const target of set.layers[layer].targets) {
    const row = set.layers[layer].decoderRows([feature], target).data;
    edits[`blocks.${target}.mlp.hook_out`] = batch.last.map((column, b) => {
      const z = activationAt(run, layer, feature, { row: b, column });
      return edit.add(
        { data: row.map((d) => (value - z) * d), shape: [width] },
        { rows: [b], positions: [column] },
      );
    });
  }
  return edits;
}

/** A feature of a layer that is active at the last token of row 0. */
async function activeFeature(set: TranscoderSet, layer: number): Promise<number> {
  const { layers, tokens } = await encodeFeatures(model, batch, set);
  const token = tokens.findIndex(({ row, column }) => row === 0 && column === batch.last[0]);
  return layers[layer].ids[layers[layer].offsets[token]];
}

describe("edits of features", () => {
  for (const kind of ["per-layer", "cross-layer"] as const) {
    it(`${kind}: Δz · d is added in every block that the feature writes to`, async () => {
      const set = kind === "per-layer" ? perLayer : crossLayer;
      const feature = await activeFeature(set, 5);
      const got = await logitsWith(featureEdits(set, [{ layer: 5, feature, set: 3, positions: "last" }]));
      const wanted = await logitsWith(await byHand(set, 5, feature, 3));
      assert.ok(apart(got, wanted) < 1e-4, `${apart(got, wanted)}`);
      assert.ok(apart(got, await logitsWith({})) > 0.1, "it changes something");
    });
  }

  it("hold in the last block, of which a run computes the last column alone", async () => {
    const feature = await activeFeature(perLayer, 11);
    const got = await logitsWith(featureEdits(perLayer, [{ layer: 11, feature, set: 3 }]));
    assert.ok(apart(got, await logitsWith(await byHand(perLayer, 11, feature, 3))) < 1e-4);
    assert.ok(apart(got, await logitsWith({})) > 0.1, "it changes something");
  });

  it("suppressing what is not active, and scaling by 1, change nothing", async () => {
    const clean = await logitsWith({});
    const run = await encodeFeatures(model, batch, perLayer);
    const used = new Set(run.layers[3].ids);
    const unused = Array.from({ length: 96 }, (_, f) => f).find((f) => !used.has(f))!;
    assert.equal(
      apart(await logitsWith(featureEdits(perLayer, [{ layer: 3, feature: unused, set: 0 }])), clean),
      0,
    );
    const active = await activeFeature(perLayer, 3);
    assert.equal(
      apart(await logitsWith(featureEdits(perLayer, [{ layer: 3, feature: active, scale: 1 }])), clean),
      0,
    );
  });

  it("activations are those after the edits below: a clamp is exact whatever came before", async () => {
    const low = await activeFeature(perLayer, 2);
    const high = await activeFeature(perLayer, 8);
    const edits = featureEdits(perLayer, [
      { layer: 2, feature: low, scale: 4 },
      { layer: 8, feature: high, set: 0 },
    ]);
    const changed = await encodeFeatures(model, batch, perLayer, {
      edits: featureEdits(perLayer, [{ layer: 2, feature: low, scale: 4 }]),
    });
    const both = await encodeFeatures(model, batch, perLayer, { edits });
    const row = perLayer.layers[8].decoderRows([high]).data;
    changed.tokens.forEach((place, t) => {
      const z = activationAt(changed, 8, high, place);
      for (let j = 0; j < 64; j++) {
        const wanted = changed.outputs[8].data[t * 64 + j] - z * row[j];
        assert.ok(Math.abs(both.outputs[8].data[t * 64 + j] - wanted) < 1e-4);
      }
    });
  });

  it("a sweep gives what separate runs give", async () => {
    const metric = logProb(5);
    const feature = await activeFeature(crossLayer, 4);
    const editsOf = (layer: number): Edits =>
      featureEdits(crossLayer, [{ layer, feature, add: 2, positions: "last" }]);
    const { values } = await sweep(model, batch, { over: [0, 4, 11], edit: editsOf, metric });
    for (const [i, layer] of [0, 4, 11].entries()) {
      const alone = metric.value(await logitsWith(editsOf(layer)));
      for (let b = 0; b < 2; b++) assert.ok(Math.abs(values.data[i * 2 + b] - alone[b]) < 1e-4);
    }
  });

  it("gradients are those of the run with what was added, taken as a constant", async () => {
    const feature = await activeFeature(crossLayer, 5);
    const metric = [logProb(5)];
    const by = async (edits: Edits): Promise<Tensor> => {
      const hook = "blocks.3.hook_resid_pre";
      return (await gradients(model, batch, metric, { wrt: [hook], edits })).gradients.get(hook);
    };
    const got = await by(featureEdits(crossLayer, [{ layer: 5, feature, set: 3, positions: "last" }]));
    const wanted = await by(await byHand(crossLayer, 5, feature, 3));
    assert.ok(apart(got, wanted) < 1e-4, `${apart(got, wanted)}`);
    assert.ok(apart(got, await by({})) > 1e-3, "it changes something");
  });

  it("hold while tokens are generated as they do when the whole text is read at once", async () => {
    const feature = await activeFeature(crossLayer, 6);
    const edits = featureEdits(crossLayer, [{ layer: 6, feature, set: 2 }]);
    const [first] = await model.generate(batch, { edits, maxNewTokens: 4, eosTokenIds: [] });
    const [task] = drawTasks(animals, { split: "heldout", count: 2, size: 48, seed: 4 });
    const alone = await model.prepare([[asMessage(task)]]);
    const ids: number[] = [];
    for (let n = 0; n < 4; n++) {
      const grown = ids.length > 0 ? appendTokens(alone, [ids]) : alone;
      const { logits } = await model.run(grown, { edits, logits: "last" });
      ids.push(logits!.data.indexOf(Math.max(...logits!.data)));
    }
    assert.deepEqual([...first.ids], ids);
  });

  it("features recorded on another image take its activations", async () => {
    const [one, other] = drawTasks(animals, { split: "heldout", count: 2, size: 48, seed: 9 });
    const [a, b] = [await model.prepare([[asMessage(one)]]), await model.prepare([[asMessage(other)]])];
    const recorded = await encodeFeatures(model, b, perLayer);
    const features = [...new Set(recorded.layers[0].ids)].slice(0, 5);
    const from = b.visual[0].map((column) => ({ row: 0, column }));
    const changes = patchedFeatures(recorded, { layer: 0, features, from, to: a.visual[0] });
    const clean = await encodeFeatures(model, a, perLayer);
    const patched = await encodeFeatures(model, a, perLayer, { edits: featureEdits(perLayer, changes) });
    const rows = perLayer.layers[0].decoderRows(features).data;
    a.visual[0].forEach((column, i) => {
      const t = clean.tokens.findIndex((place) => place.column === column);
      const dz = features.map(
        (f) => activationAt(recorded, 0, f, from[i]) - activationAt(clean, 0, f, { row: 0, column }),
      );
      for (let j = 0; j < 64; j++) {
        const added = dz.reduce((sum, by, c) => sum + by * rows[c * 64 + j], 0);
        const got = patched.outputs[0].data[t * 64 + j] - clean.outputs[0].data[t * 64 + j];
        assert.ok(Math.abs(got - added) < 1e-4);
      }
    });
  });

  const refused: readonly [what: string, changes: () => FeatureEdit[], message: RegExp][] = [
    ["a layer that is not there", () => [{ layer: 12, feature: 0, set: 0 }], /There is no layer 12/],
    ["a feature that is not there", () => [{ layer: 1, feature: 96, set: 0 }], /Layer 1 has no feature 96/],
    [
      "two values at once",
      () => [{ layer: 1, feature: 0, set: 0, scale: 2 }],
      /option changes of edit.features/,
    ],
    ["no value", () => [{ layer: 1, feature: 0 }], /option changes of edit.features/],
    [
      "the same feature twice",
      () => [
        { layer: 1, feature: 3, set: 0 },
        { layer: 1, feature: 3, set: 1 },
      ],
      /Feature 3 of layer 1 is changed twice/,
    ],
    [
      "a position that is none",
      () => [{ layer: 1, feature: 3, set: 0, positions: [999] }],
      /names position 999/,
    ],
  ];
  for (const [what, changes, message] of refused)
    it(`${what} is refused before anything runs`, () =>
      assert.rejects(async () => logitsWith(featureEdits(perLayer, changes())), message));

  it("an edit that is not where its features write is refused", async () => {
    const [made] = featureEdits(perLayer, [{ layer: 1, feature: 3, set: 0 }])["blocks.1.mlp.hook_out"] as [
      ReturnType<typeof edit.zero>,
    ];
    await assert.rejects(
      logitsWith({ "blocks.2.mlp.hook_out": made }),
      /Features of layer 1 do not write to/,
    );
    await assert.rejects(logitsWith({ "blocks.1.hook_resid_pre": made }), /Features cannot be edited at/);
  });
});
