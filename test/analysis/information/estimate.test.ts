import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  estimatePid,
  gaussianInformation,
  type PidSamples,
  pidBySampleSize,
  samplePid,
} from "../../../lib/analysis/index.js";
import { drawCovariance } from "../../../lib/analysis/information/wishart.js";
import { cholesky } from "../../../lib/analysis/linalg/cholesky.js";
import { asMatrix } from "../../../lib/analysis/linalg/matrix.js";
import { seeded } from "../../../lib/random.js";
import {
  assertTruth,
  copies,
  drawSamples,
  exclusiveOr,
  KNOWN,
  type Rows,
  type Truth,
  truthOf,
} from "./known-cases.js";

/** Five independent copies of E90, in 10 + 10 + 10 dimensions: truly nothing unique. */
const E90_FIVE = { hx: copies(KNOWN.E90.hx, 5), hy: copies(KNOWN.E90.hy, 5) };

describe("decomposition of samples", () => {
  // sd of an atom in two dimensions: .05–.12, .03–.07, .01–.03 bits; four draws halve it, and 2.5 sd are allowed.
  for (const [n, tolerance] of [
    [200, 0.15],
    [1000, 0.08],
    [5000, 0.04],
  ]) {
    it(`of ${n} Gaussian rows has the channels' atoms within ${tolerance} bits on average`, () => {
      for (const name of ["A", "D2", "E0"]) {
        const random = seeded(n);
        const mean = [0, 0, 0, 0, 0];
        for (let draw = 0; draw < 4; draw++) {
          const { broja, information } = samplePid(drawSamples(KNOWN[name], n, random));
          truthOf(broja, information.joint).forEach((value, i) => {
            mean[i] += value / 4;
          });
        }
        assertTruth(mean as unknown as Truth, KNOWN[name].truth, tolerance, `${name} at ${n}`);
      }
    });
  }

  it("corrects informations without bias where the plug-in is far above", () => {
    const random = seeded(3);
    const found = { corrected: 0, plain: 0 };
    for (let draw = 0; draw < 40; draw++) {
      const { target, x } = drawSamples(E90_FIVE, 100, random);
      found.corrected += gaussianInformation(target, x) / 40;
      found.plain += gaussianInformation(target, x, { correct: false }) / 40;
    }
    const truth = 5 * 1.292481;
    assert.ok(Math.abs(found.corrected - truth) < 0.15, `${found.corrected} of ${truth}`);
    assert.ok(found.plain > truth + 0.7, `${found.plain}`);
  });

  it("has atoms that are never negative and sum to the joint information", () => {
    const random = seeded(4);
    for (let draw = 0; draw < 20; draw++) {
      const independent = { hx: [[0, 0]], hy: [[0, 0]] };
      const { broja, mmi, information } = samplePid(drawSamples(independent, 60, random));
      for (const atoms of [broja, mmi]) {
        const values = Object.values(atoms);
        assert.ok(Math.min(...values) >= 0, `${values}`);
        assert.ok(Math.abs(values.reduce((sum, value) => sum + value, 0) - information.joint) < 1e-12);
      }
      assert.ok(information.joint >= Math.max(information.x, information.y));
    }
  });
});

describe("intervals and nulls", () => {
  it("cover the truth about as often as they say, and the unique atoms of E0 lie above the null", () => {
    const random = seeded(5);
    const covered = [0, 0, 0, 0, 0];
    const draws = 30;
    let above = 0;
    for (let round = 0; round < draws; round++) {
      const found = estimatePid(drawSamples(KNOWN.E0, 1000, random), { draws: 60, seed: round });
      const { uniqueX, uniqueY, redundancy, synergy } = found.broja;
      [found.information.joint, uniqueX, uniqueY, redundancy, synergy].forEach((figure, i) => {
        const truth = KNOWN.E0.truth[i];
        covered[i] += figure.low <= truth && truth <= figure.high ? 1 / draws : 0;
        assert.ok(figure.low <= figure.estimate && figure.estimate <= figure.high && figure.low >= 0);
      });
      above += uniqueX.estimate > uniqueX.null.high ? 1 / draws : 0;
    }
    // Of 30 at .95 fewer than 25 are seen once in 500.
    assert.ok(Math.min(...covered) >= 24.5 / 30, `${covered}`);
    assert.ok(above > 0.9, `${above}`);
  });

  it("show that a unique bit in ten dimensions and 200 rows is no evidence", () => {
    const { broja, union } = estimatePid(drawSamples(E90_FIVE, 200, seeded(6)), { draws: 40 });
    for (const { estimate, null: none } of [broja.uniqueX, broja.uniqueY]) {
      assert.ok(estimate > 0.4, `an estimate of ${estimate} where the truth is 0`);
      assert.equal(none.truth < 1e-6, true);
      assert.ok(
        none.low <= estimate && estimate <= none.high + 0.2,
        `${estimate} beside ${none.low} to ${none.high}`,
      );
      assert.ok(none.mean > 0.5 && none.mean < 1.1, `${none.mean}`);
    }
    for (const { null: none } of [broja.redundancy, broja.synergy]) assert.ok(none.mean < none.truth - 0.5);
    assert.ok(union.gap < 1e-6);
  });

  it("repeat with their seed, and change with another", () => {
    const samples = drawSamples(KNOWN.B, 100, seeded(7));
    const one = estimatePid(samples, { draws: 20, seed: 1 });
    assert.deepEqual(estimatePid(samples, { draws: 20, seed: 1 }), one);
    assert.notEqual(
      estimatePid(samples, { draws: 20, seed: 2 }).information.joint.low,
      one.information.joint.low,
    );
  });

  it("from clusters of equal rows are as wide as from one row of each", () => {
    const single = drawSamples(KNOWN.E0, 150, seeded(8));
    const four = (rows: Rows): Rows => rows.flatMap((row) => Array.from({ length: 4 }, () => row));
    const jittered = (rows: Rows): Rows => {
      const random = seeded(9);
      return four(rows).map((row) => row.map((value) => value + 1e-6 * random.normal()));
    };
    const repeated = { target: jittered(single.target), x: four(single.x), y: four(single.y) };
    const clusters = Array.from({ length: 600 }, (_, i) => Math.floor(i / 4));
    const width = (samples: PidSamples, options: object): number => {
      const { low, high } = estimatePid(samples, { draws: 100, bootstrap: "rows", ...options }).information
        .joint;
      return high - low;
    };
    const [alone, clustered, ignored] = [
      width(single, {}),
      width(repeated, { clusters }),
      width(repeated, {}),
    ];
    assert.ok(Math.abs(clustered / alone - 1) < 0.25, `${clustered} and ${alone}`);
    assert.ok(ignored < 0.7 * alone, `${ignored} and ${alone}`);
    assert.throws(
      () => estimatePid(repeated, { clusters, bootstrap: "parametric" }),
      /parametric bootstrap was asked for clustered rows/,
    );
  });

  it("rest on covariances that are Wishart's", () => {
    const random = seeded(10);
    const truth = [
      [2, 0.5, 0],
      [0.5, 1, -0.3],
      [0, -0.3, 0.5],
    ];
    const factor = cholesky(asMatrix(truth));
    const n = 6;
    const draws = 20000;
    const mean = new Float64Array(9);
    const square = new Float64Array(9);
    for (let draw = 0; draw < draws; draw++) {
      drawCovariance(random, factor, n).data.forEach((value, k) => {
        mean[k] += value / draws;
        square[k] += (value * value) / draws;
      });
    }
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        // Var(S_ij) = (Σ_ij² + Σ_ii Σ_jj)/(n − 1).
        const variance = (truth[i][j] ** 2 + truth[i][i] * truth[j][j]) / (n - 1);
        const k = 3 * i + j;
        assert.ok(Math.abs(mean[k] - truth[i][j]) < 5 * Math.sqrt(variance / draws), `mean ${i}, ${j}`);
        assert.ok(Math.abs((square[k] - mean[k] ** 2) / variance - 1) < 0.06, `variance ${i}, ${j}`);
      }
    }
  });
});

describe("dependence on the number of rows", () => {
  it("shows a unique atom of ten dimensions that is on its way to 0, and one of two that stays", () => {
    const bias = pidBySampleSize(drawSamples(E90_FIVE, 400, seeded(11)), { splits: 2 });
    assert.equal(bias.half.n, 200);
    assert.equal(bias.full.n, 400);
    assert.ok(bias.half.broja.uniqueX - bias.full.broja.uniqueX > 0.15, JSON.stringify(bias));
    const steady = pidBySampleSize(drawSamples(KNOWN.D2, 2000, seeded(12)), { splits: 4 });
    assert.ok(Math.abs(steady.half.broja.uniqueX - steady.full.broja.uniqueX) < 0.03, JSON.stringify(steady));
  });
});

describe("samples that are refused", () => {
  const good = drawSamples(KNOWN.E0, 50, seeded(13));
  const changed = (part: Partial<PidSamples>): (() => unknown) => {
    return () => samplePid({ ...good, ...part });
  };
  it("are too few rows, with how many would do", () => {
    const few = drawSamples(KNOWN.E0, 6, seeded(14));
    assert.throws(() => samplePid(few), /6 rows are too few for 2 \+ 2 \+ 2 dimensions.*at least 7 rows/s);
    assert.doesNotThrow(() => samplePid(drawSamples(KNOWN.E0, 7, seeded(14))));
    assert.throws(() => pidBySampleSize(drawSamples(KNOWN.E0, 12, seeded(1))), /6 rows are too few/);
  });
  it("are those of unequal length, not finite, or constant", () => {
    assert.throws(changed({ y: good.y.slice(1) }), /second source and the target got 49 and 50 rows/);
    assert.throws(
      changed({ x: good.x.map((row, i) => (i === 3 ? [Number.NaN, 1] : row)) }),
      /first source holds NaN at row 3/,
    );
    assert.throws(changed({ x: good.x.map(([a]) => [a, 7]) }), /Column 1 of the first source is constant/);
    assert.throws(changed({ target: good.target.map(() => [1, 2]) }), /Column 0 of the target is constant/);
    assert.throws(
      changed({ y: good.y.map(([a]) => [a, 2 * a]) }),
      /Columns of the second source are combinations of others/,
    );
  });
  it("are those with a discrete target, whose Gaussian information would exceed its entropy", () => {
    const random = seeded(15);
    const target = Array.from({ length: 2000 }, () => [2 * random.int(2) - 1]);
    const seen = (): Rows => target.map(([m]) => [m + 0.5 * random.normal()]);
    const [x, y] = [seen(), seen()];
    // A sign has one bit, of which x holds .9128.
    assert.ok(Math.abs(gaussianInformation(target, x) - 1.161) < 0.06);
    assert.throws(() => samplePid({ target, x, y }), /Column 0 of the target takes 2 values in 2000 rows/);
  });
  it("are those whose sources determine the target, alone or together", () => {
    assert.throws(
      changed({ x: good.target.map(([a, b]) => [a + b, a - 2 * b]) }),
      /target is determined by the first source/,
    );
    const sum = good.x.map((row, i) => row.map((value, j) => value + good.y[i][j]));
    assert.throws(changed({ target: sum }), /target is determined by the two sources together/);
    const random = seeded(16);
    const nearly = good.target.map((row) => row.map((value) => value + 1e-4 * random.normal()));
    assert.throws(changed({ y: nearly }), /determined by the second source: a direction keeps/);
    const noisy = good.target.map((row) => row.map((value) => value + 0.1 * random.normal()));
    assert.doesNotThrow(changed({ y: noisy }));
  });
  it("are two copies of one source", () => {
    assert.throws(changed({ y: good.x }), /Columns of the two sources together are combinations/);
  });
  it("are too few for a row bootstrap or draws for an interval", () => {
    const few = drawSamples(KNOWN.E0, 9, seeded(17));
    assert.throws(
      () => estimatePid(few, { bootstrap: "rows" }),
      /row bootstrap of 9 rows is too small for 6/,
    );
    assert.throws(() => estimatePid(good, { draws: 3 }), /3 draws were asked for/);
  });
});

describe("an exclusive-or", () => {
  it("is invisible to a Gaussian decomposition", () => {
    const { information } = samplePid(exclusiveOr(5000, 0.3, seeded(18)));
    // Its true synergy is .970 bits.
    assert.ok(information.joint < 0.005, `${information.joint}`);
  });
});
