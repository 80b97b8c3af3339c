import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  entropy,
  jsDivergence,
  klDivergence,
  softmax,
  unexplainedVariance,
} from "../../../lib/analysis/distance/divergence.js";
import { linearCka, unbiasedHsic } from "../../../lib/analysis/geometry/cka.js";
import { intraclassCorrelation, resampledIcc } from "../../../lib/analysis/geometry/icc.js";
import { asMatrix, zeros } from "../../../lib/analysis/linalg/matrix.js";
import { gram } from "../../../lib/analysis/linalg/products.js";
import { fillNormal } from "../../../lib/analysis/linalg/top-eigen.js";
import { seeded } from "../../../lib/random.js";
import { assertClose, goldens } from "../goldens.js";

describe("CKA", () => {
  it("gives the known answers", () => {
    const x = [
      [1, 2],
      [2, 1],
      [3, 5],
      [4, 3],
      [0, 1],
    ];
    const y = [[2], [1], [4], [3], [0]];
    assertClose([linearCka(x, y)], [0.8734911], 1e-7, "debiased");
    assertClose([linearCka(x, y, { debiased: false })], [0.9118995], 1e-7, "biased");
  });
  it("agrees with numpy", () => {
    const { x, y, biased, debiased, hsic } = goldens.cka;
    assertClose([linearCka(x, y)], [debiased], 1e-10, "debiased");
    assertClose([linearCka(x, y, { debiased: false })], [biased], 1e-10, "biased");
    assertClose([unbiasedHsic(gram(asMatrix(x)), gram(asMatrix(y)))], [hsic], 1e-10, "HSIC");
  });
  it("is near 0 for unrelated data when debiased, and near 1 when not", () => {
    const random = seeded(1);
    const [a, b] = [zeros(10, 500), zeros(10, 500)];
    fillNormal(a.data, random);
    fillNormal(b.data, random);
    assert.ok(linearCka(a, b, { debiased: false }) > 0.9);
    assert.ok(Math.abs(linearCka(a, b)) < 0.5);
  });
  it("refuses other numbers of samples, and fewer than four", () => {
    assert.throws(() => linearCka([[1], [2]], [[1], [2], [3]]), /must be equal/);
    assert.throws(() => linearCka([[1], [2], [3]], [[1], [2], [3]]), /at least four/);
    assert.throws(() => unbiasedHsic([[1, 2]], [[1, 2]]), /Gram matrices/);
  });
});

describe("ICC(1)", () => {
  it("is .1657 on the table of Shrout and Fleiss", () => {
    const table = [
      [9, 2, 5, 8],
      [6, 1, 3, 2],
      [8, 4, 6, 8],
      [7, 1, 2, 6],
      [10, 5, 6, 9],
      [6, 2, 4, 7],
    ];
    const { perDimension, mean, median, pooled } = intraclassCorrelation(
      table.flat().map((v) => [v]),
      table.flatMap((row, i) => row.map(() => i)),
    );
    for (const value of [perDimension[0], mean, median, pooled]) assertClose([value], [0.1657], 4e-4, "ICC");
  });
  it("agrees with the analysis of variance for unequal groups", () => {
    const { members, groups, perDimension } = goldens.icc;
    const found = intraclassCorrelation(members, groups);
    assertClose(found.perDimension, perDimension, 1e-12, "per dimension");
    assertClose([found.mean], [perDimension.reduce((a, b) => a + b) / 3], 1e-12, "mean");
    assertClose([found.median], [[...perDimension].sort((a, b) => a - b)[1]], 1e-12, "median");
  });
  it("is decided by one outlier dimension when pooled, and not in the mean", () => {
    const random = seeded(2);
    const groups = Array.from({ length: 200 }, (_, i) => Math.floor(i / 10));
    const offsets = Array.from({ length: 20 }, () => Array.from({ length: 10 }, () => 2 * random.normal()));
    const members = groups.map((g) => [...offsets[g].map((o) => o + random.normal()), 1e3 * random.normal()]);
    const { mean, pooled } = intraclassCorrelation(members, groups);
    assert.ok(mean > 0.5 && Math.abs(pooled) < 0.15, `mean ${mean}, pooled ${pooled}`);
  });
  it("leaves out a dimension that does not vary, and refuses groups that say nothing", () => {
    const { perDimension, mean } = intraclassCorrelation(
      [
        [0.1, 0],
        [0.1, 1],
        [0.1, 5],
        [0.1, 6],
      ],
      [0, 0, 1, 1],
    );
    assert.ok(Number.isNaN(perDimension[0]) && mean === perDimension[1]);
    assert.throws(() => intraclassCorrelation([[1], [2]], [0, 1]), /two groups/);
    assert.throws(() => intraclassCorrelation([[1], [2]], [0, 0]), /two groups/);
  });

  it("resamples groups as if their members were written out again", () => {
    const random = seeded(8);
    const samples = [3, 5, 2, 4].map((count) =>
      Array.from({ length: count }, () => Array.from({ length: 6 }, () => 100 + random.normal())),
    );
    const draws = [
      [0, 1, 2, 3],
      [2, 2, 0, 1],
    ];
    const found = resampledIcc(samples, draws);
    for (const [i, own] of draws.entries()) {
      const groups = own.flatMap((sample, group) => samples[sample].map(() => group));
      const { mean } = intraclassCorrelation(
        own.flatMap((sample) => samples[sample]),
        groups,
      );
      assert.ok(Math.abs(found[i] - mean) < 1e-12, `${found[i]} ${mean}`);
    }
    assert.throws(() => resampledIcc(samples, [[1]]), /two groups/);
  });
});

describe("divergences, in bits", () => {
  const { p, q, kl, js, entropy: h } = goldens.divergence;
  it("agree with scipy", () => {
    assertClose([klDivergence(p, q), jsDivergence(p, q), entropy(p)], [kl, js, h], 1e-12, "bits");
  });
  it("are 1 bit between disjoint distributions (JS), infinite (KL), 0 between equal ones", () => {
    assert.equal(jsDivergence([1, 0], [0, 1]), 1);
    assert.equal(klDivergence([1, 0], [0, 1]), Number.POSITIVE_INFINITY);
    assert.equal(jsDivergence(p, p), 0);
    assert.equal(entropy([0.25, 0.25, 0.25, 0.25]), 2);
  });
  it("refuse logits, and take them through softmax", () => {
    assert.throws(() => jsDivergence([3, 1], [1, 0]), /softmax/);
    assertClose(softmax([1000, 1000 + Math.log(3)]), [0.25, 0.75], 1e-12, "softmax");
  });
});

it("the fraction of variance unexplained is 0 for the target, 1 for its mean", () => {
  const y = [
    [1, 2],
    [3, 0],
    [5, 4],
  ];
  assert.equal(unexplainedVariance(y, y), 0);
  assert.equal(
    unexplainedVariance(y, [
      [3, 2],
      [3, 2],
      [3, 2],
    ]),
    1,
  );
  assertClose(
    [
      unexplainedVariance(y, [
        [1, 2],
        [3, 0],
        [5, 0],
      ]),
    ],
    [1],
    1e-12,
    "an error of 16 in 16",
  );
  assert.throws(() => unexplainedVariance([[1], [1]], [[1], [1]]), /variance is 0/);
});
