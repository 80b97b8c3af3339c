import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  effectiveRank,
  effectiveRankOf,
  energyInSubspace,
  neighbourOverlaps,
  pairedSeparation,
  sharpestDrop,
} from "../../../lib/analysis/geometry/effective-rank.js";
import { residualRatios } from "../../../lib/analysis/language-subspace/residual-ratio.js";
import { zeros } from "../../../lib/analysis/linalg/matrix.js";
import { randomSubspace } from "../../../lib/analysis/linalg/subspace.js";
import { fillNormal } from "../../../lib/analysis/linalg/top-eigen.js";
import { seeded } from "../../../lib/random.js";
import { tensor } from "../../../lib/tensor.js";
import { assertClose, goldens } from "../goldens.js";

describe("effective rank", () => {
  it("is 1.9796263 for σ=(3, 4), n for n equal values, 1 for one", () => {
    assertClose([effectiveRankOf([3, 4])], [1.9796263], 2e-8, "known answer");
    assertClose([effectiveRankOf([2, 2, 2, 0])], [3], 1e-14, "three equal");
    assert.equal(effectiveRankOf([5]), 1);
    assert.throws(() => effectiveRankOf([0, 0]), /all 0/);
  });
  it("agrees with numpy for a matrix, centred and not", () => {
    const { a, effectiveRank: plain, effectiveRankCentred } = goldens.linear;
    assertClose([effectiveRank(a, { centre: false })], [plain], 1e-10, "uncentred");
    // Centring leaves one singular value at 0, which the Gram matrix knows to 1e-8 only.
    assertClose([effectiveRank(a, { centre: true })], [effectiveRankCentred], 1e-6, "centred");
  });
});

describe("energy in a subspace", () => {
  const basis = [
    [1, 0, 0, 0],
    [0, 1, 0, 0],
  ];
  it("is the share of squared length, pooled and per vector, rows or columns", () => {
    const vectors = [
      [3, 0, 4, 0],
      [0, 5, 0, 0],
      [0, 0, 0, 5],
    ];
    const expected = {
      share: 34 / 75,
      chance: 0.5,
      ratio: 68 / 75,
      perVector: Float64Array.of(9 / 25, 1, 0),
    };
    const rows = energyInSubspace(vectors, basis);
    assertClose([rows.share, rows.chance, rows.ratio], [expected.share, 0.5, expected.ratio], 1e-14, "rows");
    assertClose(rows.perVector, expected.perVector, 1e-14, "per vector");
    const turned = vectors[0].map((_, j) => vectors.map((v) => v[j]));
    assert.deepEqual(energyInSubspace(turned, basis, { columns: true }), rows);
  });
  it("is chance for random directions", () => {
    const vectors = zeros(4000, 30);
    fillNormal(vectors.data, seeded(1));
    const { ratio } = energyInSubspace(vectors, randomSubspace(6, 30, 2));
    assert.ok(Math.abs(ratio - 1) < 0.02, `the ratio to chance is ${ratio}`);
  });
});

describe("layers", () => {
  it("overlap with their neighbours, and the sharpest drop is found", () => {
    const e = (...axes: number[]): number[][] =>
      axes.map((axis) => [0, 1, 2, 3].map((j) => (j === axis ? 1 : 0)));
    assertClose(neighbourOverlaps([e(0, 1), e(1, 0), e(1, 2), e(0, 3)]), [1, 0.5, 0], 1e-14, "overlaps");
    assert.deepEqual(sharpestDrop([0.2, 0.5, 0.4, 0.1, 0.05]), { index: 2, drop: 0.4 - 0.1 });
    assert.equal(sharpestDrop([1, 2, 4]).drop, -1);
    assert.throws(() => sharpestDrop([1]), /at least two/);
  });
  it("keep pairs together or not", () => {
    const found = pairedSeparation(
      [
        [0, 0],
        [10, 0],
      ],
      [
        [0, 1],
        [10, 2],
      ],
    );
    const unpaired = (Math.hypot(10, 2) + Math.hypot(10, 1)) / 2;
    assertClose(
      [found.paired, found.unpaired, found.ratio],
      [1.5, unpaired, 1.5 / unpaired],
      1e-14,
      "distances",
    );
  });
});

describe("the residual update's ratio R(k)", () => {
  it("is the length inside Z over the length outside, averaged over prompts", () => {
    const states = tensor(Float32Array.of(1, 1, 1, 0, 0, 0, /* layer 1 */ 4, 1, 5, 2, 0, 1), [2, 2, 3]);
    const { ratio, perPrompt, chance } = residualRatios(states, [[1, 0, 0]]);
    assertClose(perPrompt[0], [3 / 4, 2], 1e-12, "per prompt");
    assertClose(ratio, [(3 / 4 + 2) / 2], 1e-12, "mean");
    assertClose([chance], [Math.SQRT1_2], 1e-14, "chance");
  });
  it("is near √(k/(d−k)) for updates without preference", () => {
    const states = new Float64Array(2 * 500 * 60);
    fillNormal(states.subarray(500 * 60), seeded(4));
    const { ratio, chance } = residualRatios(tensor(states, [2, 500, 60]), randomSubspace(12, 60, 5));
    assert.equal(chance, Math.sqrt(12 / 48));
    assert.ok(Math.abs(ratio[0] / chance - 1) < 0.03, `R is ${ratio[0]}, chance ${chance}`);
  });
  it("refuses states of another shape", () => {
    assert.throws(
      () => residualRatios(tensor(new Float32Array(6), [2, 3]), [[1, 0, 0]]),
      /\(layers, prompts, d\)/,
    );
    assert.throws(() => residualRatios(tensor(new Float32Array(8), [2, 1, 4]), [[1, 0, 0]]), /must be equal/);
  });
});
