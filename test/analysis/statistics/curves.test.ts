/** Rebounds and depths of curves of effects. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  bootstrapDepth,
  effectiveVisualDepth,
  largestRebound,
  remainingDepth,
} from "../../../lib/analysis/index.js";
import { seeded } from "../../../lib/random.js";

describe("the largest rebound", () => {
  it("is the largest growth of |δ|, whatever its sign", () => {
    const found = largestRebound([-27.1, -20, -12.6, -18.2, -15, -16])!;
    assert.equal(found.layer, 3);
    assert.ok(Math.abs(found.size - 5.6) < 1e-12);
    assert.deepEqual(largestRebound([1, -3, 2]), { layer: 1, size: 2 });
  });

  it("is none where |δ| falls or stays", () => {
    assert.equal(largestRebound([-5, -4, -4, 0]), undefined);
    assert.throws(() => largestRebound([-5]), /no rise/);
  });
});

describe("the effective visual depth", () => {
  it("is the last layer that reaches τ", () => {
    assert.equal(effectiveVisualDepth([2, 1, 0.5, 1, 0]), 3);
    assert.equal(effectiveVisualDepth([2, 1, 0.5, 1, 0], 1.5), 0);
    assert.equal(effectiveVisualDepth([1e-6]), 0);
  });

  it("is undefined where the edit harms everywhere, though the harm ends at a layer", () => {
    assert.equal(effectiveVisualDepth([-27, -20, -12, -3, -1e-9]), undefined);
    assert.equal(remainingDepth([-27, -20, -12, -3, -1e-9]), 2);
  });
});

describe("the depth at which a share of the effect remains", () => {
  it("is where the last layer above the share ends", () => {
    assert.equal(remainingDepth([-6, -6, -6, 0, 0]), 3);
    assert.equal(remainingDepth([6, 6, 6, 0, 0]), 3);
    assert.equal(remainingDepth([-6, -2, -4, 0]), 3);
    assert.equal(remainingDepth([-6, -2, -4, 0], 0.7), 1);
    assert.equal(remainingDepth([-6, -6, -6]), 3);
    assert.equal(remainingDepth([0, 0, 0]), 0);
    assert.throws(() => remainingDepth([]), /no layers/);
    assert.throws(() => remainingDepth([1], 1), /share is 1/);
  });

  it("has an interval that finds a planted step, and is undefined where nothing has an effect", () => {
    const curves = (effect: number, seed: number): number[][] => {
      const random = seeded(seed);
      return Array.from({ length: 30 }, () =>
        Array.from({ length: 8 }, (_, l) => (l <= 4 ? -effect : 0) + 0.5 * random.normal()),
      );
    };
    const { estimate, low, high, n } = bootstrapDepth(curves(6, 1))!;
    assert.deepEqual([estimate, low, high, n], [5 / 8, 5 / 8, 5 / 8, 30]);
    const placed = Array.from({ length: 40 }, (_, seed) => bootstrapDepth(curves(0, seed), { draws: 10 }));
    // Of 40 at 5% more than 6 come with a probability of 1.4%.
    assert.ok(placed.filter((depth) => depth !== undefined).length <= 6);
  });
});
