import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  openCheckpoint,
  readSafetensors,
  readSafetensorsHeader,
} from "../../../lib/model/checkpoint/index.js";
import { canonicalName } from "../../../lib/model/checkpoint/names.js";
import { loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import {
  initialWeights,
  saveCheckpoint,
  Trainer,
  type TrainingBatch,
  train,
  type Weights,
} from "../../../lib/model/training/index.js";
import type { Tensor } from "../../../lib/tensor.js";
import { deviation } from "../goldens.js";

/** float32 autograd itself differs from float64 by up to 1e-5 on models of this size. */
const TOLERANCE = 1e-4;
const fixtures = join(import.meta.dirname, "../../../../test/fixtures/vision");
const gradientsOf = (variant: string): string => join(fixtures, variant, "weight_gradients.safetensors");
const variants = readdirSync(fixtures).filter((name) => existsSync(gradientsOf(name)));

/** The golden's batch of three rows with one, no and two pictures, and the next token of each token as its target. */
async function goldenBatch(model: Model, variant: string): Promise<TrainingBatch> {
  const { batch: given } = JSON.parse(readFileSync(join(fixtures, variant, "golden.json"), "utf8")).cases;
  const batch = await model.prepare(
    given.prompts.map((text: string, i: number) => ({
      text,
      images: given.images[i].map((name: string) => join(fixtures, "images", `${name}.png`)),
    })),
  );
  const token = model.config.vision_config!.image_token_id;
  const targets = new Int32Array(batch.inputIds.length);
  const lossWeights = new Float32Array(batch.inputIds.length);
  batch.tokenPositions.forEach((columns, row) => {
    for (const c of columns.slice(1)) {
      const cell = row * batch.seqLength + c - 1;
      targets[cell] = batch.inputIds[cell + 1];
      lossWeights[cell] = targets[cell] === token ? 0 : 1;
    }
  });
  return { batch, targets, lossWeights };
}

/**
 * max|a − b| / max|b|. A key's bias adds the same to all scores of a query where nothing turns them: its derivative is
 * zero, both sides are noise, and it is measured by its query's bias.
 */
function drift(
  reference: ReadonlyMap<string, Tensor>,
  name: string,
  found: Float32Array | undefined,
  expected: Tensor,
): number {
  assert.ok(found, `${name} has no derivative`);
  const tower = /^model\.vision_tower\..*k_proj\.bias$/.test(name);
  const measure = reference.get(tower ? name.replace("k_proj", "q_proj") : name)!;
  const size = (x: Tensor): number => x.data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return (deviation({ data: found, shape: expected.shape }, expected) * size(expected)) / size(measure);
}

function weightsOf(folder: string): { raw: Record<string, unknown>; weights: Weights } {
  const checkpoint = openCheckpoint(folder);
  const weights: Weights = new Map(
    [...checkpoint.weights].map(([name, { shape }]) => [name, { data: checkpoint.read(name), shape }]),
  );
  const raw = { ...checkpoint.config };
  checkpoint.close();
  return { raw, weights };
}

it("every family that sees has a golden", () => {
  const families = new Set(variants.map((name) => name.replace(/-.*/, "")));
  assert.deepEqual([...families].sort(), ["gemma3", "llava", "llava_next", "qwen3_vl", "qwen3_vl_moe"]);
});

for (const variant of variants) {
  describe(`training of ${variant}`, () => {
    const folder = join(fixtures, variant);
    const { raw, weights } = weightsOf(folder);

    it("the loss by every weight, as autograd has it", async () => {
      const model = await loadModel(folder, { threads: 1 });
      const data = await goldenBatch(model, variant);
      const reference = readSafetensors(gradientsOf(variant));
      const trainer = await Trainer.open(raw, { threads: 1 });
      const { loss, weights: found } = await trainer.gradients(weights, data);
      const value = reference.get("loss")!.data[0];
      assert.ok(Math.abs(loss - value) <= TOLERANCE * value, `loss ${loss}, autograd ${value}`);
      const expected = [...reference].filter(([name]) => name !== "loss");
      assert.equal(expected.length, found.size, "as many weights have a derivative");
      const misses = expected
        .map(([n, w]) => ({ n, drift: drift(reference, n, found.get(canonicalName(n)), w) }))
        .filter(({ drift }) => !(drift <= TOLERANCE))
        .map(({ n, drift }) => `${n}: ${drift.toExponential(2)}`);
      assert.deepEqual(misses, [], `beyond ${TOLERANCE}`);
      await trainer.close();
      await model.close();
    });

    it("frozen parts have no derivative and stay", async () => {
      const model = await loadModel(folder, { threads: 1 });
      const data = await goldenBatch(model, variant);
      const frozen = [
        "model.**",
        "lm_head.**",
        "vision_tower.**",
        "visual.{patch_embed,pos_embed,blocks}.**",
      ];
      const own: Weights = new Map([...weights].map(([n, w]) => [n, { ...w, data: w.data.slice() }]));
      const trainer = await Trainer.open(raw, { threads: 1, frozen });
      await train(trainer, own, () => data, { steps: 1, learningRate: () => 1e-3 });
      const moved = [...own.keys()].filter((n) =>
        own.get(n)!.data.some((v, i) => v !== weights.get(n)!.data[i]),
      );
      assert.ok(moved.length >= 2, "the projector moves");
      for (const n of moved) assert.match(n, /projector|merger|newline/);
      await trainer.close();
      await model.close();
    });

    it("is saved under the names and shapes that transformers saves", async () => {
      const saved = mkdtempSync(join(tmpdir(), "modalscope-train-"));
      try {
        saveCheckpoint(saved, raw, weights);
        const names = (of: string): [string, readonly number[]][] =>
          [...readSafetensorsHeader(join(of, "model.safetensors")).tensors]
            .map(([name, { shape }]): [string, readonly number[]] => [name, shape])
            .sort();
        assert.deepEqual(names(saved), names(folder));
      } finally {
        rmSync(saved, { recursive: true });
      }
    });

    it("starts from weights of every name that the model reads", () => {
      const made = initialWeights(raw, 1);
      for (const [name, { shape }] of made) assert.deepEqual(shape, weights.get(name)?.shape, name);
      const idle = [...weights.keys()].filter((name) => !made.has(name));
      // Blocks behind the one that is read.
      for (const name of idle) assert.match(name, /^vision_tower\.encoder\./);
    });
  });
}

it("a batch without pictures learns what the language model alone would", async () => {
  const folder = join(fixtures, "llava-default");
  const { raw, weights } = weightsOf(folder);
  const model = await loadModel(folder, { threads: 1 });
  const batch = model.batch([[1, 20, 21, 22, 23]], { paddingSide: "right" });
  const data = {
    batch,
    targets: Int32Array.of(20, 21, 22, 23, 0),
    lossWeights: Float32Array.of(1, 1, 1, 1, 0),
  };
  const whole = await Trainer.open(raw, { threads: 1 });
  const alone = await Trainer.open(raw.text_config as Record<string, unknown>, { threads: 1 });
  const a = await whole.gradients(weights, data);
  const b = await alone.gradients(weights, data);
  assert.ok(Math.abs(a.loss - b.loss) < 1e-6);
  for (const [name, g] of b.weights)
    assert.ok(
      deviation({ data: a.weights.get(name)!, shape: [g.length] }, { data: g, shape: [g.length] }) < 1e-5,
    );
  const patches = a.weights.get("vision_tower.embeddings.patch_embedding.weight")!;
  assert.ok(patches.every((v) => v === 0));
  await Promise.all([whole.close(), alone.close(), model.close()]);
});
