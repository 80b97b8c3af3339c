/** Linear probes on samples whose labels are known to be there, or not. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { linearProbe } from "../../../lib/analysis/index.js";
import { stratifiedFolds } from "../../../lib/analysis/probing/folds.js";
import { ridgeScores } from "../../../lib/analysis/probing/ridge.js";
import { seeded } from "../../../lib/random.js";

/** Samples (n, d) of noise, the label times `gap` on the first axis and every hundredth. */
function samples(n: number, d: number, gap: number, seed: number): { x: Float64Array[]; labels: number[] } {
  const random = seeded(seed);
  const labels = Array.from({ length: n }, (_, i) => i % 2);
  const x = labels.map((label) =>
    Float64Array.from({ length: d }, (_, j) => random.normal() + (j % 100 === 0 ? gap * (label - 0.5) : 0)),
  );
  return { x, labels };
}

/** Φ(z), by Simpson's rule. */
function normalCdf(z: number): number {
  const [steps, from] = [2000, -8];
  const h = (z - from) / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * Math.exp(-0.5 * (from + i * h) ** 2);
  }
  return (sum * h) / 3 / Math.sqrt(2 * Math.PI);
}

describe("linear probes", () => {
  it("reach the best accuracy there is, Φ(gap/2), and chance with shuffled labels", () => {
    const { x, labels } = samples(600, 4, 2, 1);
    const { accuracy, chance, p, shuffled, control } = linearProbe(x, labels);
    assert.ok(accuracy.low < normalCdf(1) && normalCdf(1) < accuracy.high, JSON.stringify(accuracy));
    assert.ok(Math.abs(chance - 0.5) < 0.03 && shuffled.length === 20 && p === 1 / 21);
    assert.ok(Math.abs(control.reduce((a, b) => a + b, 0) / 600 - chance) < 1e-12);
  });

  it("find nothing in noise, with more features than samples too", () => {
    for (const d of [3, 300]) {
      let outside = 0;
      for (let seed = 0; seed < 10; seed++) {
        const { x, labels } = samples(120, d, 0, 10 + seed);
        const { accuracy } = linearProbe(x, labels, { seed, shuffles: 1 });
        if (accuracy.low > 0.5) outside++;
      }
      assert.ok(outside <= 2, `${outside} of 10 above chance with ${d} features`);
    }
  });

  it("find a label among hundreds of features, and the classes by name", () => {
    const { x, labels } = samples(400, 1000, 6, 3);
    const names = labels.map((label) => (label === 1 ? "bar" : "line"));
    const { accuracy, classes, predicted, correct } = linearProbe(x, names);
    assert.ok(accuracy.estimate > 0.95);
    assert.deepEqual(classes, ["bar", "line"]);
    predicted.forEach((guess, i) => {
      assert.equal(correct[i], classes[guess] === names[i] ? 1 : 0);
    });
  });

  it("do not learn a cluster's label from its other members", () => {
    const random = seeded(4);
    const clusters = Array.from({ length: 200 }, (_, i) => Math.floor(i / 10));
    const centres = Array.from({ length: 20 }, () => Array.from({ length: 50 }, () => 5 * random.normal()));
    const labels = clusters.map((c) => c % 2);
    const x = clusters.map((c) => centres[c].map((v) => v + random.normal()));
    assert.ok(linearProbe(x, labels).accuracy.estimate > 0.95);
    const apart = linearProbe(x, labels, { clusters }).accuracy;
    assert.ok(apart.low < 0.5 && apart.high - apart.low > 0.25, JSON.stringify(apart));
  });

  it("are refused with few samples, one class, and classes smaller than the folds", () => {
    const { x, labels } = samples(100, 2, 1, 5);
    assert.ok(linearProbe(x, labels).accuracy.n === 100);
    assert.throws(() => linearProbe(x.slice(1), labels.slice(1)), /99 samples, and 100/);
    assert.ok(linearProbe(x.slice(1), labels.slice(1), { least: 50 }).accuracy.n === 99);
    assert.throws(
      () =>
        linearProbe(
          x,
          labels.map(() => 1),
        ),
      /same label/,
    );
    assert.throws(
      () =>
        linearProbe(
          x,
          labels.map((_, i) => (i < 3 ? 1 : 0)),
        ),
      /Class 1 has 3/,
    );
    assert.throws(() => linearProbe(x, labels, { penalty: 0 }), /penalty above 0/);
  });
});

describe("ridge scores", () => {
  it("solve the primal problem: its gradient is 0", () => {
    const { x, labels } = samples(40, 3, 1, 6);
    const [n, d, penalty] = [40, 3, 0.1];
    const train = { data: Float64Array.from(x.flatMap((row) => [...row])), shape: [n, d] };
    const targets = { data: Float64Array.from(labels), shape: [n, 1] };
    // Scores of the training samples and of the origin and axes, in standardised units, give the weights back.
    const column = (j: number): number[] => x.map((row) => row[j]);
    const mean = [0, 1, 2].map((j) => column(j).reduce((a, b) => a + b, 0) / n);
    const scale = mean.map((m, j) => Math.sqrt(column(j).reduce((a, b) => a + (b - m) ** 2, 0) / n));
    const points = [mean, ...mean.map((_, j) => mean.map((m, k) => m + (j === k ? scale[k] : 0)))];
    const test = { data: Float64Array.from(points.flat()), shape: [d + 1, d] };
    const [offset, ...along] = ridgeScores(train, targets, test, penalty).data;
    const w = along.map((score) => score - offset);
    const z = x.map((row) => [...row].map((v, j) => (v - mean[j]) / scale[j]));
    // Standardised rows have the mean squared norm d.
    for (let j = 0; j < d; j++) {
      let gradient = penalty * d * w[j];
      z.forEach((row, i) => {
        const residual = offset + row.reduce((sum, v, k) => sum + v * w[k], 0) - labels[i];
        gradient += row[j] * residual;
      });
      assert.ok(Math.abs(gradient) < 1e-10, `∂/∂w${j} = ${gradient}`);
    }
    assert.ok(Math.abs(offset - 0.5) < 1e-12);
  });
});

describe("stratified folds", () => {
  it("hold as many of each class, and clusters whole", () => {
    const labels = Array.from({ length: 60 }, (_, i) => (i < 40 ? 0 : 1));
    const fold = stratifiedFolds(labels, 4);
    for (let f = 0; f < 4; f++)
      for (const [label, count] of [
        [0, 10],
        [1, 5],
      ])
        assert.equal(labels.filter((l, i) => l === label && fold[i] === f).length, count);
    const clusters = labels.map((_, i) => `c${Math.floor(i / 5)}`);
    const grouped = stratifiedFolds(labels, 4, { clusters });
    for (let i = 1; i < 60; i++)
      if (clusters[i] === clusters[i - 1]) assert.equal(grouped[i], grouped[i - 1]);
  });
});
