import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  openCheckpoint,
  readSafetensors,
  readSafetensorsHeader,
} from "../../../lib/model/checkpoint/index.js";
import { canonicalName } from "../../../lib/model/checkpoint/names.js";
import { loadModel } from "../../../lib/model/load.js";
import type { Model } from "../../../lib/model/model.js";
import {
  initialLabelWeights,
  initialWeights,
  LABEL_WEIGHTS,
  type LabelLoss,
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

/** The golden's batch of three rows with one, no and two images; each token's target is the next token. */
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

it("a batch without images learns what the language model alone would", async () => {
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

describe("labels at visual tokens", () => {
  const variant = "llava_next";
  const folder = join(fixtures, variants.find((name) => name.startsWith(variant))!);
  const { raw, weights: stored } = weightsOf(folder);
  const WORDS = 5;
  const hidden = (raw.text_config as { hidden_size: number }).hidden_size;
  const weights: Weights = new Map([...stored, ...initialLabelWeights(hidden, WORDS, 3)]);
  const bias = weights.get(LABEL_WEIGHTS.bias)!.data;
  bias.forEach((_, i) => {
    bias[i] = 0.1 * i;
  });

  async function labelled(model: Model): Promise<TrainingBatch> {
    const data = await goldenBatch(model, variants.find((name) => name.startsWith(variant))!);
    const labels = data.batch.images!.map(({ image }, i) =>
      image.tokens.map((_, t) => [(i + t) % WORDS, ...(t % 3 === 0 ? [(i + 2 * t + 1) % WORDS] : [])]),
    );
    return { ...data, labels };
  }

  /** The loss from the features that the language model is given, in float64. */
  async function expectedLoss(model: Model, { batch, labels }: TrainingBatch): Promise<number> {
    const [gain, matrix] = [LABEL_WEIGHTS.gain, LABEL_WEIGHTS.matrix].map((name) => weights.get(name)!.data);
    const { cache } = await model.run(batch, { capture: ["blocks.0.hook_resid_pre"], logits: "none" });
    const { data } = cache.get("blocks.0.hook_resid_pre");
    const losses = batch.images!.flatMap(({ row, positions, image }, i) =>
      image.tokens.flatMap((token, t) => {
        if (!token.box) return [];
        const at = (row * batch.seqLength + positions[t]) * hidden;
        const x = Array.from(data.subarray(at, at + hidden));
        const scale = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / hidden + 1e-6);
        return [
          Array.from({ length: WORDS }, (_, w) => {
            const z = x.reduce((sum, v, j) => sum + (v / scale) * gain[j] * matrix[w * hidden + j], bias[w]);
            const p = 1 / (1 + Math.exp(-z));
            return -Math.log(labels![i]![t].includes(w) ? p : 1 - p);
          }).reduce((a, b) => a + b),
        ];
      }),
    );
    return losses.reduce((a, b) => a + b) / losses.length;
  }

  it("cost the binary cross-entropy of every word, alone or beside the next tokens'", async () => {
    const model = await loadModel(folder, { threads: 1 });
    const data = await labelled(model);
    const expected = await expectedLoss(model, data);
    const loss = async (labels?: LabelLoss): Promise<number> => {
      const trainer = await Trainer.open(raw, { threads: 1, labels });
      const found = await trainer.gradients(weights, data);
      await trainer.close();
      return found.loss;
    };
    const alone = await loss({ words: WORDS, coefficient: 1, alone: true });
    assert.ok(Math.abs(alone - expected) < 1e-4 * expected, `${alone}, by hand ${expected}`);
    const both = await loss({ words: WORDS, coefficient: 0.5 });
    assert.ok(Math.abs(both - (await loss()) - expected / 2) < 1e-4 * expected);
    await model.close();
  });

  it("alone have derivatives by the tower's weights and their own, those of central differences", async () => {
    const model = await loadModel(folder, { threads: 1 });
    const data = await labelled(model);
    const trainer = await Trainer.open(raw, {
      threads: 1,
      labels: { words: WORDS, coefficient: 1, alone: true },
    });
    const { weights: gradients } = await trainer.gradients(weights, data);
    assert.ok([...gradients.keys()].every((name) => !/^(model|lm_head)\./.test(name)));
    for (const name of [LABEL_WEIGHTS.matrix, LABEL_WEIGHTS.bias, LABEL_WEIGHTS.gain]) {
      const { data: w } = weights.get(name)!;
      const gradient = gradients.get(name)!;
      const steepest = gradient.reduce(
        (best, g, i) => (Math.abs(g) > Math.abs(gradient[best]) ? i : best),
        0,
      );
      const before = w[steepest];
      const at = async (value: number): Promise<number> => {
        w[steepest] = value;
        return (await trainer.gradients(weights, data)).loss;
      };
      const step = 1 / 64;
      const slope = ((await at(before + step)) - (await at(before - step))) / (2 * step);
      w[steepest] = before;
      const error = Math.abs(slope - gradient[steepest]) / Math.abs(slope);
      assert.ok(error < 2e-3, `${name}: ${gradient[steepest]}, by differences ${slope}`);
    }
    const tower = [...gradients].filter(([name]) => name.startsWith("vision_tower."));
    assert.ok(tower.length > 0 && tower.some(([, g]) => g.some((v) => v !== 0)));
    await trainer.close();
    await model.close();
  });

  it("must be given with every batch, and need a tower", async () => {
    const model = await loadModel(folder, { threads: 1 });
    const { labels: _, ...without } = await labelled(model);
    const labels = { words: WORDS, coefficient: 1 };
    const trainer = await Trainer.open(raw, { threads: 1, labels });
    await assert.rejects(trainer.gradients(weights, without), /visual tokens have no labels/);
    await assert.rejects(
      Trainer.open(raw.text_config as Record<string, unknown>, { labels }),
      /has no vision tower/,
    );
    await trainer.close();
    await model.close();
  });
});

describe("saved in bfloat16", () => {
  const folder = join(fixtures, "llava-default");
  const { raw, weights } = weightsOf(folder);
  const saved = mkdtempSync(join(tmpdir(), "modalscope-train-"));
  after(() => rmSync(saved, { recursive: true }));

  it("weights are rounded to the nearest, ties to even", () => {
    const data = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -3.14159274, 1e-40, 0);
    const named = new Map([...weights, ["model.norm.weight", { data, shape: [6] }]]);
    saveCheckpoint(saved, { ...raw, dtype: "bfloat16" }, named);
    const file = join(saved, "model.safetensors");
    const stored = [...readSafetensorsHeader(file).tensors.values()];
    assert.ok(stored.every(({ dtype }) => dtype === "BF16"));
    const name = [...readSafetensorsHeader(file).tensors.keys()].find((n) =>
      n.endsWith("model.norm.weight"),
    )!;
    const read = readSafetensors(file).get(name)!.data;
    assert.deepEqual(Array.from(read.subarray(0, 4)), [1, 1, 1 + 2 ** -6, -3.140625]);
    assert.ok(Math.abs(read[4] - 1e-40) < 2 ** -133 && read[5] === 0);
  });

  it("refuses a type that it does not write", () => {
    assert.throws(() => saveCheckpoint(saved, { ...raw, dtype: "float16" }, weights), /cannot be saved as/);
  });
});
