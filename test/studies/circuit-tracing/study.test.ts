/** The study's own measuring, without its claims: features that are chosen, what is refused. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { readTranscoders, type TranscoderSet } from "../../../lib/circuits/index.js";
import { type Batch, loadModel, type Model } from "../../../lib/index.js";
import { seeded } from "../../../lib/random.js";
import {
  type Activity,
  addedUp,
  conceptFeatures,
  standardised,
  sumsOver,
  tellingFeatures,
} from "../../../lib/studies/circuit-tracing/activity.js";
import { DrawnTasks } from "../../../lib/studies/circuit-tracing/drawn-tasks.js";
import {
  CircuitStudy,
  comparisonRows,
  openCircuits,
  type Traced,
} from "../../../lib/studies/circuit-tracing/index.js";
import { blindLogits, lastLogits } from "../../../lib/studies/circuit-tracing/runs.js";
import { drawFor, type Subject, withOtherImages } from "../../../lib/studies/circuit-tracing/subject.js";
import { FeatureValues } from "../../../lib/studies/circuit-tracing/values.js";
import { loadClaims } from "../../../lib/studies/index.js";
import { blind, drawTasks, hands, planets } from "../../../lib/tasks/index.js";

const study = loadClaims("circuit-tracing");
const sizes = { imageSize: 48, samples: 10, rowsPerCall: 10 };

describe("a concept's features", () => {
  it("are those that differ most between its images and others, in the layers that are asked for", () => {
    // Three features of two layers on six images: feature 1 of layer 0 and feature 2 of layer 1 tell the first three.
    const rows = (tell: number): Float32Array =>
      Float32Array.from({ length: 18 }, (_, i) => (i % 3 === tell && i < 9 ? 2 : 1) + 0.01 * (i % 5));
    const activity: Activity = [rows(1), rows(2)];
    const side = [true, true, true, false, false, false];
    const chosen = (layers: number[], count: number) => conceptFeatures(activity, side, { layers, count });
    assert.deepEqual(chosen([0], 1), [{ layer: 0, feature: 1 }]);
    assert.deepEqual(
      new Set(chosen([0, 1], 2).map(({ layer, feature }) => `${layer} ${feature}`)),
      new Set(["0 1", "1 2"]),
    );
    assert.deepEqual(
      conceptFeatures(activity, [true, ...Array(5).fill(false)], { layers: [0], count: 1 }),
      [],
    );
  });
  it("are the same from sums of groups that are added up", () => {
    const random = seeded(7);
    const activity: Activity = [0, 1].map(() =>
      Float32Array.from({ length: 12 * 40 }, () => random.normal()),
    );
    const kind = Array.from({ length: 12 }, (_, i) => i % 4);
    const options = { layers: [0, 1], count: 9 };
    const sums = [0, 1, 2].map((k) =>
      sumsOver(
        activity,
        kind.map((own) => own === k),
        options.layers,
      ),
    );
    const side = kind.map((own) => (own === 3 ? undefined : own === 0));
    const chosen = tellingFeatures(sums[0], addedUp(sums.slice(1)), options);
    assert.equal(chosen.length, 9);
    assert.deepEqual(chosen, conceptFeatures(activity, side, options));
  });
  it("are compared in standard deviations, and a constant is zero", () => {
    assert.deepEqual([...standardised([1, 3]).z], [-1, 1]);
    assert.deepEqual([...standardised([2, 2]).z], [0, 0]);
  });
});

it("exchanged images move on by one, and questions stay", () => {
  const tasks = drawTasks(planets, { split: "heldout", count: 3, types: ["name"] });
  const moved = withOtherImages(tasks);
  assert.deepEqual(
    moved.map(({ images }) => images),
    [1, 2, 0].map((i) => tasks[i].images),
  );
  assert.deepEqual(
    moved.map(({ answers }) => answers),
    tasks.map(({ answers }) => answers),
  );
});

it("tasks that are kept are those that would be drawn, fewer and more of them", () => {
  const drawn = new DrawnTasks();
  const subject = (seed: number): Subject =>
    ({ imageSize: 48, seed, exchanged: false, drawn }) as unknown as Subject;
  const options = { types: ["name"], split: "heldout" } as const;
  const kept = drawFor(subject(1), planets, { ...options, count: 4 });
  for (const [seed, count] of [
    [1, 2],
    [1, 6],
    [2, 3],
  ]) {
    const fresh = drawTasks(planets, { ...options, count, size: 48, seed: 1000 * seed + 7 });
    assert.deepEqual(drawFor(subject(seed), planets, { ...options, count }), fresh);
  }
  const again = drawFor(subject(1), planets, { ...options, count: 4 });
  assert.equal(kept.length, 4);
  assert.deepEqual(again, kept);
  const moved = drawFor({ ...subject(1), exchanged: true }, planets, { ...options, count: 3 });
  assert.deepEqual(moved, withOtherImages(kept.slice(0, 3)));
});

it("two graphs of images with the same name are told apart by their answers", () => {
  const traced = (answer: string, weights: readonly [number, number]): Traced =>
    ({
      task: { category: "hand", answers: [answer] },
      graph: {
        nodes: [
          { kind: "feature", layer: 0, feature: 3, position: 1 },
          { kind: "feature", layer: 1, feature: 4, position: 1 },
          { kind: "logit", token: 0, probability: 1 },
        ],
        targets: [2],
        edges: Float32Array.from([...weights, 0]),
        values: Float64Array.from([1, 1, 1]),
        tokens: [0, 0],
        text: ["a", "\n"],
      },
    }) as unknown as Traced;
  const rows = comparisonRows(traced("6", [0.996, 0.004]), traced("5", [0.5, 0.5]), []).toSorted((x, y) =>
    String(x.feature) < String(y.feature) ? -1 : 1,
  );
  assert.deepEqual(
    rows.map((row) => [row.feature, row["at token"], row["influence, hand, 6"], row["influence, hand, 5"]]),
    [
      ["block 0, 3", '"\\n"', "100%", "50%"],
      ["block 1, 4", '"\\n"', "0.40%", "50%"],
    ],
  );
});

describe("the study of a checkpoint", () => {
  let model: Model;
  let set: TranscoderSet;
  before(async () => {
    model = await loadModel("tiny-gemma3", { threads: 1 });
    set = readTranscoders("tiny-gemma3/text-images", { model });
  });
  after(async () => {
    set.close();
    await model.close();
  });

  it("refuses a model without images, and transcoders of another one", async () => {
    const text = await loadModel("tiny-llava-1.5-language", { threads: 1 });
    assert.throws(() => new CircuitStudy({ study, model: text, set, ...sizes }), /is a text-only model/);
    const named = { transcoders: "tiny-gemma3/text-images", textTranscoders: "" };
    assert.throws(() => openCircuits({ study, model: text, ...named, ...sizes }), /is a text-only model/);
    await text.close();
    const other = await loadModel("tiny-llava-1.5", { threads: 1 });
    assert.throws(() => new CircuitStudy({ study, model: other, set, ...sizes }), /not of this model/);
    await other.close();
  });

  it("blind questions that are alike are asked once, and answered as each by itself", async (t) => {
    const subject = new CircuitStudy({ study, model, set, ...sizes }).subject(0);
    const tasks = drawTasks(hands, { split: "heldout", count: 12, size: 48, types: ["dots", "fingers"] });
    const { mock } = t.mock.method(model, "run");
    const once = await blindLogits(subject, tasks);
    const asked = mock.calls.map(({ arguments: [batch] }) => (batch as Batch).size);
    const each = await lastLogits(subject, tasks.map(blind));
    assert.deepEqual(asked, [new Set(tasks.map(({ prompt }) => prompt)).size]);
    assert.ok(asked[0] < tasks.length);
    once.forEach((row, i) => {
      const apart = row.reduce((most, value, j) => Math.max(most, Math.abs(value - each[i][j])), 0);
      assert.ok(apart < 1e-4, `${apart}`);
    });
  });

  it("refuses too few images and a folder without transcoders, before anything runs", () => {
    const options = { study, model, transcoders: "tiny-gemma3/text-images", textTranscoders: "", ...sizes };
    assert.throws(() => openCircuits({ ...options, samples: 2 }), /2 images of each kind are too few/);
    assert.throws(
      () => openCircuits({ ...options, transcoders: "nowhere" }),
      /No transcoders were found at "nowhere"/,
    );
  });

  it("a planted checkpoint answers for its own claims alone", async () => {
    const circuits = new CircuitStudy({ study, model, set, ...sizes });
    const checkpoint = study.checkpoints.find(({ id }) => id === "twoNeurons")!;
    const { evidence } = await circuits.measure(checkpoint, 0);
    const measured = Object.entries(evidence).flatMap(([id, own]) => ("untestable" in own ? [] : [id]));
    assert.deepEqual(measured, ["marsToEarth", "handToFive"]);
  });

  it("values of features are entered by row and column, and become one edit for each layer", () => {
    const batch = model.batch([
      [2, 5, 6],
      [2, 7, 8],
    ]);
    const values = new FeatureValues(set, batch);
    values.enter(0, { layer: 3, feature: 4 }, [1, 2], (column) => column);
    values.enter(1, { layer: 3, feature: 9 }, [2], () => 0);
    const [hook, ...others] = Object.keys(values.edits);
    assert.equal(hook, "blocks.3.mlp.hook_out");
    assert.deepEqual(others, []);
    const [edit] = values.edits[hook] as unknown as {
      positions: number[][];
      changes: { set: { data: Float32Array } }[];
    }[];
    assert.deepEqual(edit.positions, [[1, 2], [2]]);
    assert.deepEqual([...edit.changes[0].set.data], [Number.NaN, 1, 2, Number.NaN, Number.NaN, Number.NaN]);
  });
});
