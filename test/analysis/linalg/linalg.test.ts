import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { symmetricEigen, symmetricEigenvalues, symmetricRoot } from "../../../lib/analysis/linalg/eigen.js";
import {
  asMatrix,
  identity,
  type Matrix,
  row,
  transpose,
  zeros,
} from "../../../lib/analysis/linalg/matrix.js";
import { gram, multiply, multiplyTransposed } from "../../../lib/analysis/linalg/products.js";
import {
  ablate,
  coordinates,
  orthonormalRows,
  principalAngles,
  projectOnto,
  randomSubspace,
  subspaceOverlap,
} from "../../../lib/analysis/linalg/subspace.js";
import { singularValues, thinSvd } from "../../../lib/analysis/linalg/svd.js";
import { fillNormal, topEigen, topRightSingular } from "../../../lib/analysis/linalg/top-eigen.js";
import { seeded } from "../../../lib/random.js";
import { tensor } from "../../../lib/tensor.js";
import { assertClose, goldens } from "../goldens.js";

const { linear } = goldens;

function random(rows: number, columns: number, seed: number): Matrix {
  const out = zeros(rows, columns);
  fillNormal(out.data, seeded(seed));
  return out;
}

/** The product by its definition. */
function plainProduct(a: Matrix, b: Matrix): Float64Array {
  const [m, k] = a.shape;
  const n = b.shape[1];
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++)
      for (let p = 0; p < k; p++) out[i * n + j] += a.data[i * k + p] * b.data[p * n + j];
  return out;
}

describe("matrix products", () => {
  for (const [m, k, n] of [
    [1, 1, 1],
    [4, 8, 4],
    [5, 3, 7],
    [9, 10, 2],
    [2, 6, 13],
  ]) {
    it(`(${m}, ${k})·(${k}, ${n}) is the sum it is defined as`, () => {
      const [a, b] = [random(m, k, 1), random(k, n, 2)];
      assertClose(multiply(a, b).data, plainProduct(a, b), 1e-14, "multiply");
      assertClose(multiplyTransposed(a, transpose(b)).data, plainProduct(a, b), 1e-14, "multiplyTransposed");
      assertClose(gram(a).data, plainProduct(a, transpose(a)), 1e-14, "gram");
    });
  }
  it("refuses sizes that do not fit, ragged rows, other ranks and values that are not finite", () => {
    assert.throws(() => multiply(random(2, 3, 1), random(2, 3, 1)), /must be equal/);
    assert.throws(() => asMatrix([[1, 2], [3]]), /2 values in row 0 and 1 in row 1/);
    assert.throws(() => asMatrix(tensor(new Float32Array(8), [2, 2, 2])), /\(2, 2, 2\)/);
    assert.throws(
      () =>
        asMatrix(
          [
            [1, 2],
            [3, Number.NaN],
          ],
          "The states",
        ),
      /The states holds NaN at row 1, column 1/,
    );
  });
});

describe("symmetric eigenpairs", () => {
  it("agree with numpy's eigenvalues to 1e-12", () => {
    const s = gram(asMatrix(linear.a));
    assertClose(symmetricEigen(s).values, linear.eigenvalues, 1e-12, "values with vectors");
    assertClose(symmetricEigenvalues(s), linear.eigenvalues, 1e-12, "values alone");
  });
  it("satisfy A v = λ v with orthonormal v, also when eigenvalues repeat and when rows are 0", () => {
    const v = randomSubspace(9, 9, 3);
    const wanted = [5, 5, 5, 2, 2, 0, 0, 0, -1];
    const scaled = tensor(
      v.data.map((x, i) => x * wanted[Math.floor(i / 9)]),
      [9, 9],
    );
    for (const a of [multiply(transpose(v), scaled), zeros(9, 9), identity(9)]) {
      const symmetric = tensor(
        a.data.map((x, i) => (x + a.data[(i % 9) * 9 + Math.floor(i / 9)]) / 2),
        [9, 9],
      );
      const { values, vectors } = symmetricEigen(symmetric);
      const images = multiply(vectors, symmetric);
      assertClose(
        images.data,
        vectors.data.map((x, i) => x * values[Math.floor(i / 9)]),
        1e-13,
        "A v",
      );
      assertClose(gram(vectors).data, identity(9).data, 1e-13, "vᵀv");
      assertClose(symmetricEigenvalues(symmetric), values, 1e-13, "values alone");
    }
  });
  it("give the root, of singular matrices too", () => {
    const s = gram(random(6, 3, 4));
    const root = symmetricRoot(s);
    assertClose(multiply(root, root).data, s.data, 1e-12, "root²");
  });
  it("refuse what is not symmetric or not square", () => {
    assert.throws(() => symmetricEigen(random(3, 3, 5)), /not symmetric/);
    assert.throws(() => symmetricEigen(random(3, 4, 5)), /must be square/);
  });
});

describe("singular values", () => {
  it("agree with numpy's to 1e-12 and rebuild the matrix", () => {
    const a = asMatrix(linear.a);
    for (const x of [a, transpose(a)]) {
      const { left, singularValues: s, right } = thinSvd(x);
      assertClose(s, linear.singularValues, 1e-12, "thinSvd");
      assertClose(singularValues(x), linear.singularValues, 1e-12, "singularValues");
      const scaled = tensor(
        right.data.map((v, i) => v * s[Math.floor(i / right.shape[1])]),
        right.shape,
      );
      assertClose(multiply(left, scaled).data, x.data, 1e-12, "U σ Vᵀ");
    }
  });
});

describe("the largest eigenpairs alone", () => {
  it("are those of the whole decomposition, through restarts", () => {
    const a = gram(random(300, 300, 6));
    const whole = symmetricEigen(a);
    const { values, vectors } = topEigen((x) => multiplyTransposed(x, a), 300, 8, { block: 4 });
    assertClose(values, whole.values.subarray(0, 8), 1e-12, "values");
    for (let i = 0; i < 8; i++) {
      const cosine = Math.abs(
        multiplyTransposed(asMatrix([row(vectors, i)]), asMatrix([row(whole.vectors, i)])).data[0],
      );
      assert.ok(cosine > 1 - 1e-9, `vector ${i} lies at a cosine of ${cosine}`);
    }
  });
  it("find every copy of a repeated eigenvalue", () => {
    const n = 120;
    const operator = (x: Matrix): Matrix =>
      tensor(
        x.data.map((v, i) => v * (i % n < 7 ? 3 : 1 / (1 + (i % n)))),
        x.shape,
      );
    const { values, vectors } = topEigen(operator, n, 7);
    assertClose(values, new Float64Array(7).fill(3), 1e-12, "values");
    const outside = vectors.data.reduce((sum, v, i) => sum + (i % n < 7 ? 0 : v * v), 0);
    assert.ok(outside < 1e-15, `${outside} of the vectors lies outside the eigenspace`);
  });
  it("work when the operator has a lower rank than the block, and when all are asked for", () => {
    const low = gram(random(40, 3, 7));
    const { values } = topEigen((x) => multiplyTransposed(x, low), 40, 5);
    assertClose(values, symmetricEigenvalues(low).subarray(0, 5), 1e-12, "low rank");
    const small = gram(random(10, 10, 8));
    const all = topEigen((x) => multiplyTransposed(x, small), 10, 10);
    assertClose(all.values, symmetricEigenvalues(small), 1e-12, "all");
  });
  it("say when they have not converged", () => {
    const a = gram(random(300, 300, 6));
    assert.throws(
      () => topEigen((x) => multiplyTransposed(x, a), 300, 8, { maxApplications: 1, block: 4 }),
      /of 8 eigenvectors had not converged/,
    );
    assert.throws(() => topEigen((x) => x, 5, 6), /There are 1 to 5/);
  });
  it("give right singular vectors on either side and iteratively alike", () => {
    for (const [m, n] of [
      [20, 50],
      [50, 20],
    ]) {
      const b = random(m, n, 9);
      const { vectors, singularValues: s } = topRightSingular(b, 4);
      const exact = thinSvd(b);
      assertClose(s, exact.singularValues.subarray(0, 4), 1e-12, "σ");
      const overlap = subspaceOverlap(vectors, tensor(exact.right.data.slice(0, 4 * n), [4, n]));
      assert.ok(overlap.overlap > 1 - 1e-12);
    }
    const large = random(530, 540, 10);
    for (let i = 0; i < 540; i++) for (const r of [0, 1, 2]) large.data[r * 540 + i] *= 6 - r;
    const { vectors, singularValues: s, spectrum } = topRightSingular(large, 3);
    assert.equal(spectrum, undefined);
    const images = multiplyTransposed(vectors, large);
    assertClose(
      gram(images).data,
      [s[0] ** 2, 0, 0, 0, s[1] ** 2, 0, 0, 0, s[2] ** 2],
      1e-9,
      "‖B v‖² is diagonal with σ²",
    );
    const { values } = symmetricEigen(gram(large));
    assertClose(s, values.subarray(0, 3).map(Math.sqrt), 1e-12, "iterative σ");
  });
  it("refuse more directions than the rank", () => {
    assert.throws(() => topRightSingular(multiply(random(20, 3, 1), random(3, 30, 2)), 4), /rank 3/);
  });
});

describe("subspaces", () => {
  const [a, b] = [linear.basis1, linear.basis2];
  it("have scipy's principal angles to 1e-9", () => {
    assertClose(principalAngles(a, b), linear.angles, 1e-9, "angles");
    const cosines = linear.angles.map(Math.cos);
    const { overlap, chance, meanCosine } = subspaceOverlap(a, b);
    assertClose([overlap], [cosines.reduce((s, c) => s + c * c, 0) / 4], 1e-12, "overlap");
    assertClose([meanCosine], [cosines.reduce((s, c) => s + c, 0) / 4], 1e-12, "mean cosine");
    assert.equal(chance, 6 / 20);
  });
  it("overlap by chance as max(k)/d says", () => {
    const draws = Array.from({ length: 60 }, (_, i) =>
      subspaceOverlap(randomSubspace(3, 40, 2 * i + 1), randomSubspace(8, 40, 2 * i + 2)),
    );
    const mean = draws.reduce((sum, { overlap }) => sum + overlap, 0) / draws.length;
    assert.ok(Math.abs(mean - 8 / 40) < 0.02, `the mean overlap is ${mean}`);
  });
  it("split a vector into two parts that add up and are orthogonal", () => {
    const x = random(5, 20, 11);
    const [inside, outside] = [projectOnto(x, a), ablate(x, a)];
    assertClose(
      inside.data.map((v, i) => v + outside.data[i]),
      x.data,
      1e-14,
      "sum",
    );
    assertClose(coordinates(outside, a).data, new Float64Array(20), 1e-14, "outside in the basis");
    assertClose(projectOnto(inside, a).data, inside.data, 1e-14, "projected twice");
  });
  it("keep float32 bases and refuse what is not orthonormal", () => {
    const stored = tensor(Float32Array.from(a.flat()), [4, 20]);
    assertClose(principalAngles(stored, b), linear.angles, 1e-6, "float32");
    assert.throws(() => subspaceOverlap([[2, 0]], [[1, 0]]), /not orthonormal/);
    assert.throws(
      () =>
        orthonormalRows([
          [1, 0, 0],
          [0, 1, 0],
          [1, 1, 0],
        ]),
      /linearly dependent/,
    );
    assert.throws(() => orthonormalRows([[1], [2]]), /linearly dependent/);
    const basis = orthonormalRows(random(6, 15, 12));
    assertClose(gram(basis).data, identity(6).data, 1e-14, "orthonormal");
  });
});
