import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { argmax, bootstrapPlace, steepestRise } from "../../../lib/analysis/statistics/places.js";
import { seeded } from "../../../lib/random.js";

/** Curves of 12 layers that step up at one of them. */
function stepped(n: number, at: number, height: number, seed: number): number[][] {
  const random = seeded(seed);
  return Array.from({ length: n }, () =>
    Array.from({ length: 12 }, (_, l) => (l >= at ? height : 0) + random.normal()),
  );
}

describe("places on a curve", () => {
  it("are the first of equal peaks and rises", () => {
    assert.equal(argmax([1, 5, 2, 5]), 1);
    assert.equal(steepestRise([0, 1, 3, 2, 4]), 2);
    assert.equal(steepestRise([0, 2, 2, 5, 5], 2), 3);
    assert.throws(() => steepestRise([1]), /1 values has no rise over 1/);
  });
  it("are found where they were put, at the position's own unit", () => {
    const positions = Array.from({ length: 12 }, (_, l) => l / 12);
    const found = bootstrapPlace(stepped(100, 9, 1, 3), steepestRise, { positions });
    assert.deepEqual([found.estimate, found.low, found.high, found.n], [0.75, 0.75, 0.75, 100]);
  });
  it("have wide intervals on flat curves: in at most 2.5% of runs within a sixth of the depth", () => {
    let narrow = 0;
    for (let seed = 0; seed < 120; seed++) {
      const { low, high } = bootstrapPlace(stepped(60, 0, 0, seed), steepestRise, { draws: 200 });
      if (high - low <= 2) narrow++;
    }
    assert.ok(narrow <= 3, `${narrow} of 120`);
  });
  it("draw clusters whole", () => {
    const curves = stepped(8, 6, 0.5, 1);
    const repeated = bootstrapPlace(
      curves.flatMap((curve) => [curve, curve, curve]),
      steepestRise,
      { clusters: curves.flatMap((_, c) => [c, c, c]) },
    );
    assert.deepEqual(repeated, bootstrapPlace(curves, steepestRise));
    assert.throws(() => bootstrapPlace(curves, argmax, { clusters: [1] }), /bootstrapPlace/);
  });
});
