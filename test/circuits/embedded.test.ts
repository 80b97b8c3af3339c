import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  embeddedTranscoders,
  encodeFeatures,
  type LayerQuality,
  readTranscoders,
  transcoderQuality,
} from "../../lib/circuits/index.js";
import { type Batch, loadModel, type Model } from "../../lib/index.js";
import { packageRoot } from "../../lib/package-root.js";
import {
  animals,
  asMessage,
  drawTasks,
  hands,
  planets,
  type SyntheticTask,
  sums,
} from "../../lib/tasks/index.js";
import { randomTranscoders } from "./random-set.js";

const SETS = ["tiny-gemma3/cross-layer", "tiny-gemma3/text", "tiny-gemma3/text-images"];
const MOST_BYTES = 15e6;

let model: Model;
let batch: Batch;
const quality = new Map<string, readonly LayerQuality[]>();

before(async () => {
  model = await loadModel("tiny-gemma3", { threads: 1 });
  const synthetic = [planets, animals, sums, hands] as SyntheticTask<unknown>[];
  const tasks = synthetic.flatMap((task, seed) =>
    drawTasks(task, { split: "heldout", count: 8, size: 48, seed }),
  );
  batch = await model.prepare(tasks.map((task) => [asMessage(task)]));
  const random = randomTranscoders({ kind: "per-layer", layers: 12, width: 64, features: 512, k: 8 }, 4);
  const sets = [
    ...SETS.map((name) => [name, readTranscoders(name, { model })] as const),
    ["random", random] as const,
  ];
  for (const [name, set] of sets) {
    const run = await encodeFeatures(model, batch, set);
    const visual = batch.visual.map((columns) => new Set(columns));
    const kinds = run.tokens.map(({ row, column }) => (visual[row].has(column) ? "image" : "text"));
    quality.set(name, await transcoderQuality(set, run, kinds));
    set.close();
  }
});
after(() => model.close());

const meanOf = (name: string, kind: string): number => {
  const layers = quality.get(name)!;
  return layers.reduce((sum, { fvu }) => sum + fvu[kind], 0) / layers.length;
};

describe("the embedded transcoders", () => {
  it("are three sets of this checkpoint, under 15 MB together", () => {
    assert.deepEqual(embeddedTranscoders().sort(), SETS);
    const folder = join(packageRoot(), "data/transcoders");
    const bytes = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((file) => statSync(join(folder, file)))
      .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
    assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
  });

  for (const name of SETS)
    it(`${name}: explains held-out questions' MLPs, which random transcoders do not`, () => {
      assert.ok(meanOf(name, "text") < 0.3, `FVU on text ${meanOf(name, "text")}`);
      assert.ok(meanOf("random", "text") > 1);
    });

  it("learned from images, transcoders explain image tokens; learned from words alone, they do not", () => {
    const learned = SETS.filter((name) => name !== "tiny-gemma3/text");
    for (const name of learned) assert.ok(meanOf(name, "image") < 0.45, `${name}: ${meanOf(name, "image")}`);
    assert.ok(meanOf("tiny-gemma3/text", "image") > meanOf("tiny-gemma3/text-images", "image") + 0.2);
  });

  it("are refused for another model, and a name that is none gets the nearest", async () => {
    const other = await loadModel("tiny-llava-1.5", { threads: 1 });
    assert.throws(() => readTranscoders("tiny-gemma3/text", { model: other }), /not of this model/);
    await other.close();
    assert.throws(() => readTranscoders("tiny-gemma3/text-image"), /Did you mean "tiny-gemma3\/text-images"/);
  });
});
