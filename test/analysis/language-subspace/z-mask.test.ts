import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { headKernelSpectra } from "../../../lib/analysis/geometry/effective-rank.js";
import { axisEnergy, zMask } from "../../../lib/analysis/language-subspace/z-mask.js";
import { type Matrix, transpose, zeros } from "../../../lib/analysis/linalg/matrix.js";
import { multiply, multiplyTransposed } from "../../../lib/analysis/linalg/products.js";
import { fillNormal } from "../../../lib/analysis/linalg/top-eigen.js";
import { seeded } from "../../../lib/random.js";
import { type Tensor, tensor } from "../../../lib/tensor.js";
import { assertClose, goldens } from "../goldens.js";

const { query, key, gain, heads, keyValueHeads, k, cases } = goldens.zmask;

describe("the attention subspace Z", () => {
  for (const { folded, side, projector, singularValues, rank, headSpectra } of cases) {
    const weights = { query, key, heads, keyValueHeads, gain: folded ? gain : undefined };
    it(`is that of the stacked d × d kernels (${side} side, gain ${folded ? "folded" : "left out"})`, () => {
      const mask = zMask(weights, k, { side });
      assertClose(multiply(transpose(mask.basis), mask.basis).data, projector.flat(), 1e-9, "projector");
      assertClose(mask.singularValues, singularValues.slice(0, k), 1e-10, "σ");
      assertClose(mask.spectrum!.subarray(0, rank), singularValues.slice(0, rank), 1e-9, "spectrum");
      assert.equal(mask.rank, rank);
      const squares = singularValues.map((s) => s * s);
      const total = squares.reduce((a, b) => a + b);
      assertClose([mask.energy], [squares.slice(0, k).reduce((a, b) => a + b) / total], 1e-10, "energy");
    });
    it(`has the heads' own spectra (${side} side, gain ${folded ? "folded" : "left out"})`, () => {
      headKernelSpectra(weights).forEach((spectrum, h) => {
        assertClose(spectrum, headSpectra[h], 1e-7, `head ${h}`);
      });
    });
  }
  it("takes float32 weights", () => {
    const float32 = (rows: number[][]): Tensor =>
      tensor(Float32Array.from(rows.flat()), [rows.length, rows[0].length]);
    const mask = zMask({ query: float32(query), key: float32(key), heads, keyValueHeads }, k);
    assertClose(
      multiply(transpose(mask.basis), mask.basis).data,
      cases[0].projector.flat(),
      1e-5,
      "projector",
    );
  });
  it("spreads k over the axes", () => {
    const energy = axisEnergy(zMask({ query, key, heads, keyValueHeads }, k).basis);
    const diagonal = cases[0].projector.map((row, i) => row[i]);
    assertClose(energy, diagonal, 1e-9, "axis energy");
  });
  it("is found iteratively when both sides are large, as the whole decomposition finds it", () => {
    // 600 × 560 is beyond the limit for the whole decomposition; a planted factor makes three directions stand out.
    const [d, size] = [560, 300];
    const weight = (rows: number, seed: number): Matrix => {
      const out = zeros(rows, d);
      fillNormal(out.data, seeded(seed));
      for (let i = 0; i < rows; i++) for (let j = 0; j < 3; j++) out.data[i * d + j] *= 4 - j;
      return out;
    };
    const [q, w] = [weight(2 * size, 1), weight(2 * size, 2)];
    const mask = zMask({ query: q, key: w, heads: 2, keyValueHeads: 2 }, 3);
    assert.equal(mask.spectrum, undefined);
    assert.equal(mask.rankBound, d);
    // Σ K_hᵀK_h applied to each row by its definition must give σ² times the row.
    const applied = zeros(3, d);
    for (let h = 0; h < 2; h++) {
      const qh = tensor(q.data.slice(h * size * d, (h + 1) * size * d), [size, d]);
      const kh = tensor(w.data.slice(h * size * d, (h + 1) * size * d), [size, d]);
      const read = multiply(multiplyTransposed(mask.basis, kh), qh);
      const image = multiply(multiplyTransposed(read, qh), kh);
      image.data.forEach((v, i) => {
        applied.data[i] += v;
      });
    }
    const expected = mask.basis.data.map((v, i) => v * mask.singularValues[Math.floor(i / d)] ** 2);
    assertClose(applied.data, expected, 1e-8, "Σ KᵀK v");
  });
  it("refuses k above half the rank, and weights that do not fit the heads", () => {
    assert.throws(() => zMask({ query, key, heads, keyValueHeads }, 8), /rank 14.*Choose k from 1 to 7/s);
    assert.throws(() => zMask({ query, key, heads: 5, keyValueHeads }, 2), /do not fit 5 heads/);
    assert.throws(
      () => zMask({ query, key, heads, keyValueHeads, gain: [1, 2] }, 2),
      /2 values for a width of 24/,
    );
  });
});
