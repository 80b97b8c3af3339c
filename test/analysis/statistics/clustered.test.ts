import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  beyondNulls,
  detectableFromInterval,
  detectableRate,
  detectableRateDifference,
  groupDifferenceInterval,
  meanInterval,
  rateDifferenceInterval,
  rateInterval,
  ratioInterval,
} from "../../../lib/analysis/statistics/clustered.js";
import { studentQuantile } from "../../../lib/analysis/statistics/distributions.js";
import { type Estimate, wilson } from "../../../lib/analysis/statistics/intervals.js";
import { seeded } from "../../../lib/random.js";
import { assertClose } from "../goldens.js";

const endsOf = ({ estimate, low, high }: Estimate): number[] => [estimate, low, high];
const first = [1.2, 3.4, 2.2, 5.1, 4];
const second = [0.3, 1.1, 2, 0.9, 1.4, 0.2, 1];

describe("Student's t quantile", () => {
  it("is scipy's", () => {
    for (const [p, df, t] of [
      [0.975, 1, 12.706204736174694],
      [0.975, 2, 4.302652729749462],
      [0.975, 4, 2.7764451051977934],
      [0.975, 7, 2.364624251592784],
      [0.9, 3, 1.637744353696209],
      [0.995, 30, 2.7499956535672254],
      [0.025, 12, -2.1788128296672293],
      [0.975, 99, 1.9842169515864174],
      [0.999, 1999, 3.0943143418142407],
      [0.975, 2000, 1.9611508260994377],
      [0.8, 5000, 0.8416931276635048],
    ])
      assertClose([studentQuantile(p, df)], [t], 2e-12 * Math.abs(t), `${p}, ${df}`);
    assert.equal(studentQuantile(0.5, 3), 0);
    assert.throws(() => studentQuantile(0.9, 1.5), /1\.5 degrees of freedom/);
  });
});

describe("intervals over clusters", () => {
  it("of a mean without clusters are scipy's t interval", () => {
    assertClose(endsOf(meanInterval(first)), [3.18, 1.2879387264523119, 5.072061273547687], 1e-12, "t");
  });
  it("of clusters that are one value over and over are those of the values", () => {
    const repeated = meanInterval(
      first.flatMap((x) => [x, x, x]),
      { clusters: first.flatMap((_, c) => [c, c, c]) },
    );
    assertClose(endsOf(repeated), endsOf(meanInterval(first)), 1e-12, "repeated");
    assert.equal(repeated.n, 5);
    assert.throws(() => meanInterval([1, 2], { clusters: ["a", "a"] }), /1 of them/);
  });
  it("of a ratio are those of its linearised residuals, computed by hand", () => {
    // r = 6/8; residuals 1 − .75·2 = −.5, 3 − .75·3 = .75, 2 − .75·3 = −.25; s² = 1.5·.875/64.
    const half = 4.302652729749462 * Math.sqrt((1.5 * 0.875) / 64);
    assertClose(
      endsOf(ratioInterval([1, 3, 2], [2, 3, 3])),
      [0.75, 0.75 - half, 0.75 + half],
      1e-12,
      "ratio",
    );
    assert.throws(() => ratioInterval([1, 2], [1, -1]), /sum to 0/);
  });
  it("of a rate are Wilson's, at fewer samples where clusters agree within", () => {
    const flags = [1, 1, 0, 1, 0, 0, 1, 1];
    assert.deepEqual(rateInterval(flags), wilson(5, 8));
    const doubled = rateInterval(
      flags.flatMap((x) => [x, x]),
      { clusters: flags.flatMap((_, c) => [c, c]) },
    );
    // 16 flags in 8 clusters that agree: p(1−p)/s² = 8·7/8 samples.
    assertClose(endsOf(doubled), [5 / 8, ...endsOf(wilson((5 / 8) * 7, 7)).slice(1)], 1e-12, "doubled");
    const none = rateInterval([0, 0, 0, 0], { clusters: [0, 0, 1, 1] });
    assertClose(endsOf(none), endsOf(wilson(0, 2)), 1e-12, "no flag");
  });
  it("of a difference of paired rates are Bonett and Price's, with t for z", () => {
    // 12 pairs only first, 3 only second, 85 alike.
    const differences = [...Array(12).fill(1), ...Array(3).fill(-1), ...Array(85).fill(0)];
    const [p, q] = [13 / 102, 4 / 102];
    const half = 1.983731002955606 * Math.sqrt((p + q - (p - q) ** 2) / 101);
    assertClose(
      endsOf(rateDifferenceInterval(differences)),
      [0.09, p - q - half, p - q + half],
      1e-12,
      "paired",
    );
    const equal = rateDifferenceInterval(Array(50).fill(0));
    assert.ok(equal.low < 0 && equal.high > 0, "equal arms leave an interval");
    const certain = rateDifferenceInterval(Array(50).fill(1));
    assert.deepEqual([certain.estimate, certain.high], [1, 1]);
  });
  it("of a difference of groups are Welch's with whole degrees of freedom", () => {
    const found = groupDifferenceInterval({ values: first }, { values: second });
    // scipy: 4.957 degrees of freedom, [0.337, 4.052]; with 4 it is wider by t(4)/t(4.957).
    const centre = 2.194285714285714;
    const scipyHalf = 4.05171575558567 - centre;
    const wider = 2.7764451051977934 / 2.5773637344878453;
    assertClose(
      endsOf(found),
      [centre, centre - scipyHalf * wider, centre + scipyHalf * wider],
      1e-10,
      "Welch",
    );
    const rates = groupDifferenceInterval(
      { values: Array(20).fill(0) },
      { values: Array(20).fill(0) },
      { rates: true },
    );
    assert.ok(rates.low < -0.05 && rates.high > 0.05, "groups without events leave an interval");
  });
  it("cover the truth as often as they say, with clusters too", () => {
    const random = seeded(4);
    let covered = 0;
    const runs = 1500;
    for (let run = 0; run < runs; run++) {
      const clusters = Array.from({ length: 60 }, (_, i) => Math.floor(i / 5));
      const shared = Array.from({ length: 12 }, () => random.normal());
      const { low, high } = meanInterval(
        clusters.map((c) => 1 + shared[c] + random.normal()),
        { clusters },
      );
      if (low <= 1 && 1 <= high) covered++;
    }
    // Standard error of the share: 0.0056.
    assertClose([covered / runs], [0.95], 0.017, "coverage");
  });
});

describe("a difference from nulls", () => {
  const difference = { estimate: 1, low: 0.9, high: 1.1, n: 50, level: 0.95 };
  it("is as wide as one more null may lie, computed by hand", () => {
    // Standard deviation 1 over 0, 1 and 2; t of 2 degrees of freedom.
    const half = 4.302652729749462 * Math.sqrt(4 / 3);
    assertClose(endsOf(beyondNulls(difference, [0, 1, 2])), [1, 1 - half, 1 + half], 1e-12, "three nulls");
  });
  it("keeps the samples' interval where nulls are alike", () => {
    assert.deepEqual(beyondNulls(difference, [3, 3, 3]), difference);
    assert.throws(() => beyondNulls(difference, [1]), /have no spread/);
  });
});

describe("the smallest detectable effect", () => {
  it("is that of a z test for an interval that is one", () => {
    // (1.96 + 0.8416) standard errors.
    assertClose([detectableFromInterval(1.959963984540054)], [2.801585218], 1e-8, "z");
  });
  it("of a rate detects with the power it says, by exact binomial sums", () => {
    const limit = 0.3;
    const n = 400;
    const found = detectableRate(wilson(120, n), limit, { direction: 1 });
    const p = limit + found;
    let power = 0;
    let log = n * Math.log(1 - p);
    for (let k = 0; k <= n; k++) {
      if (wilson(k, n).low > limit) power += Math.exp(log);
      log += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p));
    }
    assertClose([power], [0.8], 0.03, "power");
    const down = detectableRate(wilson(120, n), limit, { direction: -1 });
    assert.ok(down < found, "a rate below ½ varies less the lower it is");
  });
  it("of a difference of rates is larger where the rate grows towards ½", () => {
    const difference = { estimate: 0, low: -0.1, high: 0.1, n: 100, level: 0.95 };
    const plain = detectableFromInterval(0.1);
    const rising = detectableRateDifference(difference, wilson(10, 100), { direction: 1 });
    const falling = detectableRateDifference(difference, wilson(90, 100), { direction: 1 });
    assert.ok(falling < plain && plain < rising, `${falling} ${plain} ${rising}`);
  });
});
