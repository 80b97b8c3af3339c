import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  bridgeOrthogonality,
  bridgePermutationTest,
  fitBridge,
} from "../../../lib/analysis/language-subspace/bridge.js";
import { asMatrix, zeros } from "../../../lib/analysis/linalg/matrix.js";
import { multiply } from "../../../lib/analysis/linalg/products.js";
import { randomSubspace } from "../../../lib/analysis/linalg/subspace.js";
import { fillNormal } from "../../../lib/analysis/linalg/top-eigen.js";
import { seeded } from "../../../lib/random.js";
import { assertClose, goldens } from "../goldens.js";

function noise(rows: number, columns: number, seed: number): ReturnType<typeof zeros> {
  const out = zeros(rows, columns);
  fillNormal(out.data, seeded(seed));
  return out;
}

describe("the linear bridge", () => {
  for (const { x, y, ridge, intercept, ...expected } of goldens.bridge) {
    const name = `N=20, k=${x[0].length}, λ=${ridge}, ${intercept ? "with" : "without"} offset`;
    it(`agrees with the normal equations, and its leave-one-out with leaving one out (${name})`, () => {
      const bridge = fitBridge(x, y, { ridge, intercept });
      assertClose(bridge.map.data, expected.map.flat(), 1e-8, "W");
      assertClose([bridge.rSquared], [expected.rSquared], 1e-9, "R²");
      assertClose([bridge.looRSquared], [expected.looRSquared], 1e-8, "leave-one-out R²");
      assertClose([bridge.orthogonalityError], [expected.orthogonalityError], 1e-8, "orthogonality error");
      if (!intercept)
        assertClose([bridgeOrthogonality(x, y, { ridge })], [expected.orthogonalityError], 1e-8, "alone");
      assertClose(bridge.spectrum, expected.spectrum, 1e-8, "spectrum");
      assert.equal(bridge.saturated, x[0].length >= 20);
      assert.equal(bridge.nestedLooRSquared, bridge.looRSquared);
    });
  }

  it("finds a rotation exactly", () => {
    const x = noise(12, 4, 1);
    const bridge = fitBridge(x, multiply(x, randomSubspace(4, 4, 2)), { ridge: 0 });
    assert.ok(bridge.looRSquared > 1 - 1e-10 && bridge.orthogonalityError < 1e-10);
    assertClose(bridge.spectrum, [1, 1, 1, 1], 1e-10, "spectrum");
  });

  it("fits noise perfectly in sample when N ≤ k, which leave-one-out shows", () => {
    const [x, y] = [noise(20, 50, 3), noise(20, 50, 4)];
    const plain = fitBridge(x, y, { ridge: 0 });
    assertClose([plain.rSquared], [1], 1e-10, "in-sample R²");
    assert.ok(plain.saturated && plain.looRSquared < 0, `leave-one-out R² is ${plain.looRSquared}`);
    const chosen = fitBridge(x, y);
    assert.ok(chosen.looRSquared < 0.1 && chosen.nestedLooRSquared <= chosen.looRSquared + 1e-12);
    assert.ok(bridgePermutationTest(x, y, { draws: 99 }).p > 0.05);
  });

  it("takes the λ that leaving one out prefers, and scores it without it in the nested R²", () => {
    const x = noise(15, 6, 5);
    const w = noise(6, 3, 6);
    const error = noise(15, 3, 7);
    const y = multiply(x, w);
    y.data.forEach((v, i) => {
      y.data[i] = v + error.data[i];
    });
    const chosen = fitBridge(x, y, { intercept: true });
    for (const factor of [0, 0.03, 0.3, 3, 30]) {
      const other = fitBridge(x, y, { ridge: chosen.ridge * factor, intercept: true });
      assert.ok(other.looRSquared <= chosen.looRSquared + 1e-3, `λ×${factor} does better`);
    }
    // By hand: fit without pair i, its own λ included, and predict pair i.
    const mean = Array.from(
      { length: 3 },
      (_, j) => Array.from({ length: 15 }, (_, i) => y.data[3 * i + j]).reduce((a, b) => a + b) / 15,
    );
    const spread = y.data.reduce((sum, v, i) => sum + (v - mean[i % 3]) ** 2, 0);
    let squares = 0;
    for (let i = 0; i < 15; i++) {
      const rows = (m: typeof x): number[][] =>
        Array.from({ length: 15 }, (_, r) =>
          Array.from(m.data.subarray(r * m.shape[1], (r + 1) * m.shape[1])),
        );
      const [xs, ys] = [rows(x), rows(y)];
      const [own, target] = [xs.splice(i, 1)[0], ys.splice(i, 1)[0]];
      const fit = fitBridge(xs, ys, { intercept: true });
      const centre = (m: number[][], j: number): number => m.reduce((sum, r) => sum + r[j], 0) / 14;
      const input = asMatrix([own.map((v, j) => v - centre(xs, j))]);
      const predicted = multiply(input, fit.map).data;
      squares += target.reduce((sum, v, j) => sum + (v - centre(ys, j) - predicted[j]) ** 2, 0);
    }
    assertClose([chosen.nestedLooRSquared], [1 - squares / spread], 1e-9, "nested R²");
    assert.equal(bridgePermutationTest(x, y, { draws: 99, intercept: true }).p, 0.01);
  });

  it("refuses what cannot be fitted", () => {
    assert.throws(() => fitBridge([[1], [2]], [[1], [2]], { ridge: 0 }), /at least three/);
    assert.throws(() => fitBridge(noise(5, 2, 1), zeros(5, 2), { ridge: 0 }), /target vectors are the same/);
    assert.throws(() => fitBridge(zeros(5, 2), noise(5, 2, 1), { ridge: 0 }), /source vectors are the same/);
    assert.throws(() => fitBridge(noise(5, 2, 1), noise(4, 2, 1), { ridge: 0 }), /must be equal/);
    assert.throws(() => fitBridge(noise(5, 2, 1), noise(5, 2, 2), { ridge: -1 }), /"loo"/);
  });
});
