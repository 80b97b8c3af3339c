import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { binomial, normalQuantile } from "../../../lib/analysis/statistics/distributions.js";
import {
  bootstrap,
  bootstrapMean,
  bootstrapRatio,
  clusteredMean,
  proportion,
  wilson,
} from "../../../lib/analysis/statistics/intervals.js";
import {
  groupDifferenceTest,
  mcnemar,
  pairedProportions,
  shuffledPairingTest,
  signFlipTest,
  subsetOverlap,
} from "../../../lib/analysis/statistics/permutation.js";
import {
  detectableMean,
  detectablePairedDifference,
  detectableProportion,
} from "../../../lib/analysis/statistics/power.js";
import { seeded } from "../../../lib/random.js";
import { assertClose, goldens } from "../goldens.js";

const { statistics } = goldens;

describe("intervals", () => {
  it("rest on scipy's normal quantile, to 1e-14", () => {
    for (const [p, z] of statistics.normal) assertClose([normalQuantile(p)], [z], 1e-14, `quantile at ${p}`);
    assert.throws(() => normalQuantile(1), /between 0 and 1/);
  });
  it("are scipy's Wilson intervals", () => {
    for (const [successes, n, low, high] of statistics.wilson) {
      const found = wilson(successes, n);
      assertClose([found.low, found.high], [low, high], 1e-12, `${successes} of ${n}`);
      assert.deepEqual([found.estimate, found.n, found.level], [successes / n, n, 0.95]);
    }
    assert.throws(() => wilson(3, 2), /3 in 2/);
  });
  it("of flags are those of their count", () => {
    assert.deepEqual(proportion([true, false, true, true]), wilson(3, 4));
  });
  it("of a ratio divide the sums, not the units' own ratios", () => {
    const { estimate, low, high, n } = bootstrapRatio([
      [1, 2],
      [0, 0],
      [3, 4],
    ]);
    assert.deepEqual([estimate, n], [4 / 6, 3]);
    // Of any units that are drawn the ratio lies between the two that have one.
    assert.ok(low >= 1 / 2 && high <= 3 / 4, `${low}, ${high}`);
    assert.equal(bootstrapRatio([[2, 4]]).high, 0.5);
    assert.throws(() => bootstrapRatio([[1, 0]]), /not a number in 2000 of 2000 draws/);
  });
  it("draw clusters whole", () => {
    const random = seeded(2);
    const means = Array.from({ length: 12 }, () => random.normal());
    const one = clusteredMean(means, [...means.keys()]);
    // A cluster of five equal values counts as one value does.
    const five = clusteredMean(
      means.flatMap((x) => Array<number>(5).fill(x)),
      means.flatMap((_, c) => Array<number>(5).fill(c)),
    );
    const plain = bootstrapMean(means);
    for (const found of [one, five])
      assertClose(
        [found.estimate, found.low, found.high],
        [plain.estimate, plain.low, plain.high],
        1e-12,
        "",
      );
    assert.equal(five.n, 12);
    const among = [true, false, true];
    assert.equal(clusteredMean([1, 50, 3], [0, 0, 1], { among }).estimate, 2);
    assert.throws(() => clusteredMean([1, 2], [0]), /clusteredMean/);
  });
  it("cover the true mean about as often as they say", () => {
    const random = seeded(1);
    const covered = Array.from({ length: 300 }, (_, seed) => {
      const { low, high } = bootstrapMean(
        Array.from({ length: 40 }, () => random.normal() + 3),
        { draws: 400, seed },
      );
      return low <= 3 && 3 <= high;
    }).filter(Boolean).length;
    // 95% of 300 is 285; percentile intervals of 40 are a little narrow.
    assert.ok(covered >= 270 && covered <= 297, `${covered} of 300 cover`);
  });
  it("have the width that theory gives for a large sample, and repeat with the seed", () => {
    const random = seeded(2);
    const values = Array.from({ length: 2000 }, () => random.normal());
    const mean = values.reduce((a, b) => a + b) / 2000;
    const deviation = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / 1999);
    const found = bootstrapMean(values);
    assertClose([found.estimate], [mean], 1e-12, "mean");
    assert.ok(Math.abs((found.high - found.low) / (2 * 1.96 * (deviation / Math.sqrt(2000))) - 1) < 0.08);
    assert.deepEqual(bootstrapMean(values), found);
    assert.notDeepEqual(bootstrapMean(values, { seed: 1 }), found);
  });
  it("leave undefined draws out, and refuse when most are", () => {
    const groups = [0, 0, 0, 0, 0, 1];
    const share = (indices: Int32Array): number => {
      const ones = indices.filter((i) => groups[i] === 1).length;
      return ones === 0 ? Number.NaN : ones;
    };
    assert.ok(bootstrap(6, share).low >= 1);
    assert.throws(() => bootstrap(6, () => Number.NaN), /not a number in 2000 of 2000/);
  });
});

describe("tests", () => {
  it("of signs go through all patterns, as scipy's product does", () => {
    const { differences, p } = statistics.signFlip;
    const found = signFlipTest(differences);
    assert.equal(found.null.length, 512);
    assertClose([found.p], [p], 1e-12, "p");
  });
  it("of signs, drawn, come near the exact p", () => {
    const twice = [...statistics.signFlip.differences, ...statistics.signFlip.differences];
    // The exact p of 18 values, by counting here.
    const sum = twice.reduce((a, b) => a + b);
    let extreme = 0;
    for (let pattern = 0; pattern < 2 ** 18; pattern++) {
      let total = 0;
      for (let i = 0; i < 18; i++) total += (pattern >> i) & 1 ? -twice[i] : twice[i];
      if (Math.abs(total) >= Math.abs(sum) - 1e-9) extreme++;
    }
    const exact = extreme / 2 ** 18;
    const error = Math.sqrt((exact * (1 - exact)) / 9999);
    assert.ok(Math.abs(signFlipTest(twice, { seed: 1 }).p - exact) < 4 * error + 1e-4);
  });
  it("of two groups come near the exact p, and of pairings find a pairing", () => {
    // Only 2 of the 20 splits of 1…6 into threes are as far apart as {1,2,3} and {4,5,6}.
    const { p, statistic } = groupDifferenceTest([1, 2, 3], [4, 5, 6]);
    assert.equal(statistic, -3);
    assert.ok(Math.abs(p - 0.1) < 0.012, `p is ${p}`);
    const x = Array.from({ length: 12 }, (_, i) => i);
    const paired = shuffledPairingTest(12, (order) => order.reduce((sum, j, i) => sum + x[i] * x[j], 0));
    assert.equal(paired.p, 0.001);
  });
  it("of paired proportions are exact McNemar tests", () => {
    for (const [b, c, p] of statistics.mcnemar) assertClose([mcnemar(b, c)], [p], 1e-12, `${b} against ${c}`);
    assert.equal(mcnemar(0, 0), 1);
    const found = pairedProportions([true, true, false, true], [false, true, false, false]);
    assert.deepEqual(found, { firstOnly: 2, secondOnly: 0, n: 4, difference: 0.5, p: 0.5 });
  });
  it("of overlapping subsets are scipy's hypergeometric tails", () => {
    for (const [d, a, b, common, p] of statistics.overlap) {
      const found = subsetOverlap(d, a, b, common);
      assertClose([found.p], [p], 1e-9, `${common} of ${a} and ${b} in ${d}`);
      assert.equal(found.expected, (a * b) / d);
    }
  });
});

describe("the smallest detectable", () => {
  it("mean is within 1.1% of scipy's noncentral t", () => {
    for (const [n, effect] of statistics.detectableMean) {
      assertClose([detectableMean(n, 2)], [2 * effect], n < 20 ? 0.011 : 0.003, `n=${n}`);
    }
    assert.throws(() => detectableMean(2, 1), /too few/);
  });
  it("proportion is scipy's exact one", () => {
    for (const [n, chance, p] of statistics.detectableProportion) {
      assertClose([detectableProportion(n, chance)], [p], 1e-5, `n=${n}, chance ${chance}`);
    }
    assert.ok(Number.isNaN(detectableProportion(2, 0.5)), "two cases cannot tell");
  });
  it("paired difference is that of scipy's exact McNemar test", () => {
    for (const [n, reverse, difference] of statistics.detectablePaired) {
      assertClose(
        [detectablePairedDifference(n, { reverse })],
        [difference],
        1e-5,
        `n=${n}, reverse ${reverse}`,
      );
    }
    assert.ok(Number.isNaN(detectablePairedDifference(5)), "five pairs cannot tell");
  });
  it("rests on binomial probabilities that sum to 1", () => {
    assertClose(binomial(3, 0.25), [27 / 64, 27 / 64, 9 / 64, 1 / 64], 1e-14, "n=3");
    assert.deepEqual(Array.from(binomial(2, 1)), [0, 0, 1]);
    assertClose([binomial(400, 0.3).reduce((a, b) => a + b)], [1], 1e-12, "sum");
  });
});
