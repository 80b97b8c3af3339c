import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  henzeZirkler,
  jointNormality,
  multiply,
  normalQuantile,
  samplePid,
  thirdCrossMoments,
} from "../../../lib/analysis/index.js";
import { asMatrix } from "../../../lib/analysis/linalg/matrix.js";
import { seeded } from "../../../lib/random.js";
import { drawSamples, exclusiveOr, KNOWN } from "./known-cases.js";

const rows60 = Array.from({ length: 60 }, (_, k) => k + 1);

describe("Henze and Zirkler's test", () => {
  it("has the statistic and p of a numpy implementation, to 1e-10", () => {
    const waves = rows60.map((i) => [
      Math.sin(1.7 * i) + 0.3 * Math.cos(0.9 * i * i),
      1.5 * Math.cos(2.3 * i) + 0.2 * Math.sin(0.31 * i * i),
      Math.sin(0.77 * i * i),
    ]);
    const even = rows60.map((i) =>
      [0.618034, 0.414214, 0.732051].map((step) => normalQuantile(((i * step) % 1) * 0.998 + 0.001)),
    );
    for (const [sample, statistic, p] of [
      [waves, 1.7164709089837844, 4.340224958780069e-6],
      [even, 0.3117883431850741, 0.9997929565109035],
      [waves.map(([first]) => [first]), 1.353270326705342, 0.006033071892400728],
    ] as const) {
      const found = henzeZirkler(sample);
      assert.ok(Math.abs(found.statistic - statistic) < 1e-10, `${found.statistic}, ${statistic}`);
      assert.ok(Math.abs(found.p / p - 1) < 1e-9, `${found.p}, ${p}`);
    }
  });

  it("does not depend on units and axes", () => {
    const sample = asMatrix(drawSamples(KNOWN.E0, 100, seeded(1)).x);
    const mixed = multiply(
      sample,
      asMatrix([
        [1e3, 2],
        [-5, 1e-2],
      ]),
    );
    assert.ok(Math.abs(henzeZirkler(sample).statistic - henzeZirkler(mixed).statistic) < 1e-9);
  });

  it("refuses Gaussian rows about as often as its level says", () => {
    const random = seeded(2);
    let refused = 0;
    for (let draw = 0; draw < 200; draw++) {
      const sample = Array.from({ length: 100 }, () => [random.normal(), random.normal(), random.normal()]);
      refused += henzeZirkler(sample).p < 0.05 ? 1 : 0;
    }
    // Binomial(200, .05): 1 to 22 with probability .9999.
    assert.ok(refused >= 1 && refused <= 22, `${refused} of 200`);
  });

  it("looks at some rows of many, and refuses too few", () => {
    const random = seeded(3);
    const many = Array.from({ length: 3000 }, () => [random.normal()]);
    assert.equal(henzeZirkler(many).n, 1000);
    assert.equal(henzeZirkler(many, { maxRows: 300 }).n, 300);
    assert.throws(
      () =>
        henzeZirkler([
          [1, 2],
          [3, 4],
          [5, 7],
        ]),
      /3 rows in 2 dimensions cannot be tested/,
    );
  });
});

describe("the joint tests", () => {
  it("refuse an exclusive-or, of which a Gaussian decomposition sees nothing", () => {
    for (const [n, sigma] of [
      [200, 0.3],
      [200, 0.5],
      [1000, 1],
    ]) {
      const samples = exclusiveOr(n, sigma, seeded(n));
      const { henzeZirkler: joint, crossMoments, accepted } = jointNormality(samples);
      assert.ok(joint.p < 0.01, `σ ${sigma}: ${joint.p}`);
      assert.ok(crossMoments.p <= 0.01 && crossMoments.statistic > 4, `σ ${sigma}: ${crossMoments.p}`);
      assert.equal(accepted, false);
      assert.ok(samplePid(samples).information.joint < 0.02);
    }
  });

  it("accept Gaussian samples as often as their level says", () => {
    const random = seeded(4);
    let accepted = 0;
    for (let draw = 0; draw < 60; draw++) {
      accepted += jointNormality(drawSamples(KNOWN["F shared latent"], 150, random)).accepted ? 1 : 0;
    }
    // Binomial(60, .95): 50 or more with probability .9995.
    assert.ok(accepted >= 50, `${accepted} of 60`);
  });

  it("say which columns the exclusive-or joins", () => {
    const random = seeded(5);
    const { target, x, y } = exclusiveOr(500, 0.5, random);
    const with0 = (rows: number[][]): number[][] => rows.map(([value]) => [random.normal(), value]);
    const { at, p } = thirdCrossMoments({ target, x: with0(x), y: with0(y) });
    assert.deepEqual(at, [0, 1, 1]);
    assert.ok(p <= 0.01);
  });
});
