import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cholesky,
  logDeterminant,
  solveCholesky,
  solveCholeskyInto,
  solveLower,
  solveLowerInto,
  tryCholesky,
  tryCholeskyInto,
} from "../../../lib/analysis/linalg/cholesky.js";
import { symmetricEigenvalues } from "../../../lib/analysis/linalg/eigen.js";
import {
  asMatrix,
  joinColumns,
  type Matrix,
  transpose,
  transposeInto,
  zeros,
} from "../../../lib/analysis/linalg/matrix.js";
import {
  gram,
  gramInto,
  multiply,
  multiplyTransposed,
  multiplyTransposedInto,
} from "../../../lib/analysis/linalg/products.js";
import { seeded } from "../../../lib/random.js";

function random(rows: number, columns: number, seed: number): Matrix {
  const source = seeded(seed);
  const out = zeros(rows, columns);
  out.data.forEach((_, k) => {
    out.data[k] = source.normal();
  });
  return out;
}

function largestDifference(a: Matrix, b: Matrix): number {
  assert.deepEqual(a.shape, b.shape);
  return a.data.reduce((most, value, k) => Math.max(most, Math.abs(value - b.data[k])), 0);
}

describe("Cholesky factors", () => {
  it("of sizes around the tiles' multiply back to the matrix, and solve with it, to 1e-11", () => {
    for (const n of [1, 2, 3, 4, 5, 7, 8, 9, 16, 33]) {
      const a = gram(random(n, 2 * n + 2, n));
      const factor = cholesky(a);
      for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) assert.equal(factor.data[i * n + j], 0);
      assert.ok(largestDifference(gram(factor), a) < 1e-11, `n ${n}`);
      const b = random(n, 3, 50 + n);
      assert.ok(largestDifference(multiply(a, solveCholesky(factor, b)), b) < 1e-11, `n ${n}`);
      assert.ok(largestDifference(multiply(factor, solveLower(factor, b)), b) < 1e-11, `n ${n}`);
      const log = symmetricEigenvalues(a).reduce((sum, value) => sum + Math.log(value), 0);
      assert.ok(Math.abs(logDeterminant(factor) - log) < 1e-10 * n, `n ${n}`);
    }
  });

  it("read the lower triangle only", () => {
    assert.deepEqual(
      cholesky(
        asMatrix([
          [4, 99],
          [2, 5],
        ]),
      ).data,
      Float64Array.from([2, 0, 1, 2]),
    );
  });

  it("do not exist for indefinite, singular or NaN matrices", () => {
    const indefinite = asMatrix([
      [1, 2],
      [2, 1],
    ]);
    assert.equal(tryCholesky(indefinite), undefined);
    assert.throws(() => cholesky(indefinite, "The covariance"), /The covariance is not positive definite/);
    assert.equal(tryCholesky({ data: Float64Array.of(Number.NaN), shape: [1, 1] }), undefined);
    assert.equal(tryCholesky(zeros(6, 6)), undefined);
  });
});

describe("columns side by side", () => {
  it("keep their order, and their rows must be as many", () => {
    const joined = joinColumns([
      asMatrix([[1], [2]]),
      asMatrix([
        [3, 4],
        [5, 6],
      ]),
    ]);
    assert.deepEqual(
      joined,
      asMatrix([
        [1, 3, 4],
        [2, 5, 6],
      ]),
    );
    assert.throws(() => joinColumns([zeros(2, 1), zeros(3, 1)]), /joinColumns got 3 and 2 rows/);
  });

  it("and products written to matrices that held others are those of new ones, bit for bit", () => {
    const outs = { gram: zeros(6, 6), factor: zeros(6, 6), lower: zeros(6, 2), solved: zeros(6, 2) };
    const products = { flipped: zeros(9, 6), product: zeros(6, 6) };
    for (const seed of [1, 2, 3]) {
      const a = random(6, 9, seed);
      const b = random(6, 2, 10 + seed);
      const other = random(6, 9, 20 + seed);
      const factor = tryCholeskyInto(gramInto(a, outs.gram), outs.factor)!;
      assert.deepEqual(outs.gram, gram(a));
      assert.deepEqual(factor, cholesky(gram(a)));
      assert.deepEqual(solveLowerInto(factor, b, outs.lower), solveLower(factor, b));
      assert.deepEqual(solveCholeskyInto(factor, b, outs.solved), solveCholesky(factor, b));
      assert.deepEqual(transposeInto(a, products.flipped), transpose(a));
      assert.deepEqual(multiplyTransposedInto(a, other, products.product), multiplyTransposed(a, other));
      const inPlace = random(6, 2, 10 + seed);
      assert.deepEqual(solveCholeskyInto(factor, inPlace, inPlace), solveCholesky(factor, b));
    }
  });
});
