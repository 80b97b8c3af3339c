import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { CorpusToken, FeatureIndex } from "../../lib/circuits/dashboard/corpus.js";
import {
  activeTokens,
  encodeFeatures,
  type FeatureCorpus,
  featureCorpus,
  featureDashboard,
  featureLogits,
  labelFeature,
  labelIndex,
  type TranscoderSet,
} from "../../lib/circuits/index.js";
import { loadModel, type Model, seeded } from "../../lib/index.js";
import { animals, asMessage, drawTasks, encodePng } from "../../lib/tasks/index.js";
import { randomTranscoders } from "./random-set.js";

let model: Model;
let set: TranscoderSet;
before(async () => {
  model = await loadModel("tiny-gemma3", { threads: 1 });
  set = randomTranscoders({ kind: "per-layer", layers: 12, width: 64, features: 60, k: 3 }, 6);
});
after(async () => {
  set.close();
  await model.close();
});

const prompts = drawTasks(animals, { split: "heldout", count: 5, size: 48, seed: 2 }).map((task) => ({
  prompt: [asMessage(task)],
  image: encodePng(task.images[0] as Parameters<typeof encodePng>[0]),
  words: (token: number) => (token < 4 ? ["top"] : []),
}));

describe("a corpus of features", () => {
  it("holds each activation once, whatever the batches", async () => {
    const corpus = await featureCorpus(model, set, prompts, { batchRows: 2 });
    assert.equal(corpus.rows.length, 5);
    for (const [i, { prompt }] of prompts.entries()) {
      const run = await encodeFeatures(model, await model.prepare([prompt]), set);
      const { offsets, ids, values } = run.layers[7];
      const { first, tokens } = corpus.rows[i];
      assert.equal(tokens.length, run.tokens.length);
      assert.equal(tokens.filter(({ kind }) => kind === "image").length, 16);
      for (let t = 0; t < tokens.length; t++) {
        for (let k = offsets[t]; k < offsets[t + 1]; k++) {
          const active = activeTokens(corpus, 7, ids[k]);
          const at = active.tokens.indexOf(first + t);
          assert.ok(at >= 0 && Math.abs(active.values[at] - values[k]) < 1e-4);
        }
      }
    }
    const { offsets } = corpus.layers[7];
    assert.equal(offsets[60], corpus.tokens * 3);
  });

  it("a dashboard has the rows by their largest activation, and counts that add up", async () => {
    const corpus = await featureCorpus(model, set, prompts);
    const feature =
      activeTokens(corpus, 3, 0).tokens.length > 0 ? 0 : corpus.layers[3].offsets.findIndex((n) => n > 0) - 1;
    const { tokens, values } = activeTokens(corpus, 3, feature);
    const dashboard = featureDashboard(corpus, 3, feature, { labels: labelIndex(corpus) });
    assert.equal(
      dashboard.histogram.counts.reduce((a, b) => a + b, 0),
      tokens.length,
    );
    assert.equal(dashboard.frequency, tokens.length / corpus.tokens);
    assert.equal(dashboard.examples[0].value, Math.max(...values));
    const falling = dashboard.examples.map(({ value }) => value);
    assert.deepEqual(
      falling,
      [...falling].sort((a, b) => b - a),
    );
    for (const { activations, peak, value } of dashboard.examples) assert.equal(activations[peak], value);
    assert.throws(() => featureDashboard(corpus, 3, 60), /no feature 60 of layer 3/);
    assert.throws(() => featureDashboard(corpus, 12, 0), /It has 12 layers/);
  });

  it("the logits of a feature are those of its direction through the norms' gains, by hand", async () => {
    const run = await encodeFeatures(model, await model.prepare([prompts[0].prompt]), set);
    const [effects] = await featureLogits(model, set, { layer: 9, features: [5] }, run);
    const names = [...model.checkpoint.weights.keys()];
    const named = (end: string): Float32Array =>
      model.checkpoint.read(names.find((name) => name.endsWith(end))!);
    const post = named("layers.9.post_feedforward_layernorm.weight");
    const norm = named("model.norm.weight");
    const embed = named("embed_tokens.weight");
    const direction = set.layers[9].decoderRows([5]).data.map((d, j) => d * (1 + post[j]));
    const size = Math.sqrt(direction.reduce((sum, d) => sum + d * d, 0) / 64 + 1e-6);
    const read = direction.map((d, j) => (d / size) * (1 + norm[j]));
    const logits = Array.from({ length: embed.length / 64 }, (_, v) =>
      read.reduce((sum, d, j) => sum + d * embed[v * 64 + j], 0),
    );
    const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
    const best = logits.indexOf(Math.max(...logits));
    assert.equal(effects.raised[0].id, best);
    assert.ok(Math.abs(effects.raised[0].effect - (logits[best] - mean)) < 1e-2 * Math.abs(logits[best]));
    assert.equal(effects.lowered[0].id, logits.indexOf(Math.min(...logits)));
  });
});

/** A corpus by hand: rows of words, and one feature of one layer. */
function made(
  rows: readonly (readonly string[])[],
  isActive: (word: string, before: string) => boolean,
): FeatureCorpus {
  let first = 0;
  const tokens: number[] = [];
  const built = rows.map((words) => {
    words.forEach((word, i) => {
      if (isActive(word, words[i - 1] ?? "")) tokens.push(first + i);
    });
    const row = { first, tokens: words.map((text): CorpusToken => ({ text, kind: "text" })) };
    first += words.length;
    return row;
  });
  const layer: FeatureIndex = {
    offsets: Int32Array.of(0, tokens.length),
    tokens: Int32Array.from(tokens),
    values: new Float32Array(tokens.length).fill(1),
  };
  return { rows: built, tokens: first, layers: [layer] };
}

describe("automatic labels", () => {
  const random = seeded(4);
  const words = ["red", "star", "circle", "is", "the"];
  const rows = Array.from({ length: 60 }, () => [
    "<bos>",
    ...Array.from({ length: 12 }, () => random.pick(words)),
  ]);
  const labelOf = (isActive: (word: string, before: string) => boolean): ReturnType<typeof labelFeature> => {
    const corpus = made(rows, isActive);
    return labelFeature(corpus, labelIndex(corpus), 0, 0);
  };

  it("name the token, or the one before it, with a score of 1", () => {
    assert.deepEqual(
      labelOf((word) => word === "star"),
      { label: 'token "star"', score: 1, chosenAt: 1 },
    );
    const after = labelOf((_, before) => before === "red");
    assert.equal(after.label, 'after "red"');
    assert.ok(after.score > 0.99);
  });

  it("score what was planted with noise by how much of it they tell", () => {
    const noise = seeded(9);
    const { label, score } = labelOf((word) => (word === "star") !== noise.uniform() < 0.1);
    assert.equal(label, 'token "star"');
    assert.ok(score > 0.5 && score < 0.9, `${score}`);
  });

  it("score about 0 on held-out rows where a feature acts at random", () => {
    const scores = Array.from({ length: 40 }, (_, seed) => {
      const noise = seeded(100 + seed);
      return labelOf(() => noise.uniform() < 0.1).score;
    });
    const mean = scores.reduce((a, b) => a + b) / scores.length;
    assert.ok(Math.abs(mean) < 0.03, `mean ${mean}`);
  });

  it("are empty for a feature that never acts", () => {
    assert.equal(labelOf(() => false).label, "");
  });
});
