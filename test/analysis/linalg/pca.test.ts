import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { principalComponents } from "../../../lib/analysis/index.js";

describe("principalComponents", () => {
  it("of points on an ellipse are its axes, with the shares of their variances", () => {
    // Along (3, 4)/5 with ±2, across with ±1: variances 4 and 1.
    const along = [0.6, 0.8];
    const across = [-0.8, 0.6];
    const rows = [
      [2, 0],
      [-2, 0],
      [0, 1],
      [0, -1],
    ].map(([a, b]) => [10 + a * along[0] + b * across[0], a * along[1] + b * across[1]]);
    const { scores, directions, kept } = principalComponents(rows, 1);
    assert.ok(Math.abs(kept - 0.8) < 1e-12);
    assert.ok(Math.abs(Math.abs(directions.data[0]) - 0.6) < 1e-9);
    [2, 2, 0, 0].forEach((size, i) => {
      assert.ok(Math.abs(Math.abs(scores.data[i]) - size) < 1e-9);
    });
    assert.ok(Math.abs(principalComponents(rows, 2).kept - 1) < 1e-12);
  });

  it("refuse more components than there are, constants and NaN", () => {
    assert.throws(
      () => principalComponents([[1, 2]], 1),
      /1 rows of 2 dimensions, all equal, have no 1 principal/,
    );
    assert.throws(() => principalComponents([[1], [1], [1]], 1), /all equal/);
    assert.throws(() => principalComponents([[1], [Number.NaN], [1]], 1), /holds NaN at row 1/);
  });
});
