import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { affinities } from "../../../lib/analysis/embedding/affinities.js";
import { knnLabelAgreement, silhouette } from "../../../lib/analysis/embedding/clusters.js";
import { tsneCost, tsneGradient } from "../../../lib/analysis/embedding/gradient.js";
import { nearestNeighbours } from "../../../lib/analysis/embedding/neighbours.js";
import { quadtree } from "../../../lib/analysis/embedding/quadtree.js";
import { trustworthiness } from "../../../lib/analysis/embedding/trust.js";
import { principalCoordinates, tsne } from "../../../lib/analysis/embedding/tsne.js";
import { squaredNorm } from "../../../lib/analysis/linalg/matrix.js";
import { tensor } from "../../../lib/tensor.js";
import { clustered, goldens, uniform } from "../evolution/goldens.js";
import { assertClose } from "../goldens.js";

const points = clustered(11, 200, 8, 5);

describe("affinities", () => {
  it("are those of a root finder, to 1e-6 of each", async () => {
    const { starts, columns, values } = await affinities(clustered(12, 30, 4, 3), 4);
    const dense = Array.from({ length: 30 }, () => new Float64Array(30));
    for (let i = 0; i < 30; i++)
      for (let k = starts[i]; k < starts[i + 1]; k++) dense[i][columns[k]] = values[k];
    goldens.tsne.affinities.forEach((row, i) => {
      row.forEach((p, j) => {
        assert.ok(Math.abs(dense[i][j] - p) <= 1e-6 * p, `p(${i}, ${j}) is ${dense[i][j]}, not ${p}`);
      });
    });
    assertClose([values.reduce((sum, p) => sum + p, 0)], [1], 1e-12, "sum");
  });
  it("stay numbers where more points coincide than the perplexity allows", async () => {
    const heap = tensor(
      Float64Array.from({ length: 40 }, (_, i) => (i < 24 ? 0 : i)),
      [40, 1],
    );
    const { values } = await affinities(heap, 3);
    assert.ok(values.every((p) => p > 0 && p < 1));
    assertClose([values.reduce((sum, p) => sum + p, 0)], [1], 1e-12, "sum");
  });
  it("refuse a perplexity that does not fit", async () => {
    await assert.rejects(affinities(points, 200), /perplexity of 200 does not fit 200/);
    await assert.rejects(affinities(points, 1), /perplexity of 1/);
  });
});

describe("gradient", () => {
  it("is the derivative of the cost, by finite differences", async () => {
    const small = clustered(12, 30, 4, 3);
    const pairs = await affinities(small, 4);
    const y = uniform(41, 60).map((value) => 3 * value);
    y.set(y.subarray(0, 2), 2); // two points in one place
    const found = new Float64Array(60);
    tsneGradient(y, pairs, { theta: 0, exaggeration: 1 }, found);
    const expected = found.map((_, c) => {
      const at = (value: number): number => {
        const moved = Float64Array.from(y);
        moved[c] = value;
        return tsneCost(moved, pairs);
      };
      return (at(y[c] + 1e-5) - at(y[c] - 1e-5)) / 2e-5;
    });
    assertClose(found, expected, 1e-6, "gradient");
  });
  it("by Barnes–Hut is near the exact one", async () => {
    const pairs = await affinities(points, 15);
    const y = uniform(42, 400).map((value) => 20 * value);
    const [exact, near] = [new Float64Array(400), new Float64Array(400)];
    tsneGradient(y, pairs, { theta: 0, exaggeration: 1 }, exact);
    tsneGradient(y, pairs, { theta: 0.5, exaggeration: 1 }, near);
    const off = Math.sqrt(squaredNorm(near.map((value, c) => value - exact[c])) / squaredNorm(exact));
    assert.ok(off > 0 && off < 0.02, `the gradient is off by ${off}`);
  });
  it("walks a tree that holds every point once", () => {
    const y = uniform(43, 200);
    y.fill(0.25, 0, 8);
    const { cells, mass, size, after, leaf, order } = quadtree(y, 100);
    assert.equal(mass[0], 100);
    assert.equal(after[0], cells);
    let held = 0;
    for (let c = 0; c < cells; c++) if (size[c] === 0) held += mass[c];
    assert.equal(held, 100);
    assert.equal(mass[leaf[0]], 4, "four points in one place share a leaf");
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i),
    );
  });
});

describe("t-SNE", () => {
  it("has numpy's cost for scikit-learn's embedding", async () => {
    const y = Float64Array.from(goldens.tsne.picture.flat());
    assertClose([tsneCost(y, await affinities(points, 15))], [goldens.tsne.pca.cost], 1e-8, "cost");
  });
  it("comes out as good as scikit-learn's, from both starts", async () => {
    for (const start of ["pca", "random"] as const) {
      const { divergence, coordinates } = await tsne(points, { perplexity: 15, start });
      const { cost, trustworthiness: trust } = goldens.tsne[start];
      assert.ok(divergence < 1.04 * cost, `${start}: ${divergence} nats; scikit-learn has ${cost}`);
      const ours = await trustworthiness(points, coordinates);
      assert.ok(ours > trust - 0.01, `${start}: ${ours}; scikit-learn has ${trust}`);
    }
  });
  it("is the same again with the same seed, another with another random start", async () => {
    const options = { perplexity: 10, iterations: 60, start: "random", seed: 4 } as const;
    const first = await tsne(points, options);
    assert.deepEqual(await tsne(points, options), first);
    assert.notDeepEqual(await tsne(points, { ...options, seed: 5 }), first);
  });
  it("takes points on a line, wide points by components, and stops when told", async () => {
    const line = Array.from({ length: 30 }, (_, i) => [i]);
    const { coordinates } = await tsne(line, { perplexity: 5, iterations: 300 });
    assert.ok(coordinates.data.every(Number.isFinite));
    const few = await tsne(points, { perplexity: 15, components: 5 });
    assert.ok((await trustworthiness(points, few.coordinates)) > 0.95);
    const stop = new AbortController();
    const running = tsne(points, {
      signal: stop.signal,
      onProgress: (_, __, label) => label === "t-SNE" && stop.abort(),
    });
    await assert.rejects(running, (error: Error) => error.name === "AbortError");
    await assert.rejects(tsne(Array<number[]>(20).fill([1, 2]), { perplexity: 5 }), /points are the same/);
  });
  it("starts from principal coordinates, uncorrelated and in order", () => {
    const { data } = principalCoordinates(points, 2);
    const sums = [0, 0, 0];
    for (let i = 0; i < 200; i++) {
      sums[0] += data[2 * i] ** 2;
      sums[1] += data[2 * i + 1] ** 2;
      sums[2] += data[2 * i] * data[2 * i + 1];
    }
    assert.ok(sums[0] > sums[1] && Math.abs(sums[2]) < 1e-5 * sums[1], `${sums}`);
  });
});

describe("neighbours and clusters", () => {
  const embedding = Array.from({ length: 200 }, (_, i) => {
    const x = points.data.subarray(8 * i);
    return [x[0] - x[2], x[1] + 0.5 * x[3] ** 2];
  });
  it("nearest ones come by distance", async () => {
    const { index, squared } = await nearestNeighbours(tensor(Float64Array.of(0, 1, 3, 7), [4, 1]), 2);
    assert.deepEqual([...index], [1, 2, 0, 2, 1, 0, 2, 1]);
    assertClose(squared, [1, 9, 1, 4, 4, 9, 16, 36], 1e-14, "squared distances");
  });
  it("trustworthiness and continuity are scikit-learn's, to 1e-10", async () => {
    for (const [k, expected] of Object.entries(goldens.clusters.trustworthiness)) {
      const found = await trustworthiness(points, embedding, { neighbours: Number(k) });
      assertClose([found], [expected], 1e-10, `k = ${k}`);
    }
    assertClose(
      [await trustworthiness(embedding, points)],
      [goldens.clusters.continuity],
      1e-10,
      "continuity",
    );
    assertClose([await trustworthiness(points, points)], [1], 1e-15, "of the points themselves");
    await assert.rejects(trustworthiness(points, embedding, { neighbours: 100 }), /below n\/2/);
  });
  it("silhouettes are scikit-learn's", () => {
    const groups = Array.from({ length: 200 }, (_, i) => i % 5);
    const uneven = Array.from({ length: 200 }, (_, i) => (i === 0 ? "a" : i <= 20 ? "b" : "c"));
    const { silhouette: even, silhouetteUneven, nearness: near } = goldens.clusters;
    assertClose(
      [silhouette(points, groups), silhouette(points, uneven)],
      [even, silhouetteUneven],
      1e-10,
      "silhouette",
    );
    assertClose([knnLabelAgreement(points)], [near], 1e-10, "nearness");
    assert.throws(() => silhouette(points, Array(200).fill(1)), /1 group/);
  });
});
