import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type PidSamples,
  pidBootstrap,
  pidInterval,
  sameSpectrumDraws,
} from "../../../lib/analysis/index.js";
import { seeded } from "../../../lib/random.js";
import { copies, drawSamples, KNOWN } from "./known-cases.js";

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

describe("joint bootstrap of decompositions", () => {
  it("covers the truth of an atom, a share and a difference in nine of ten draws or more", () => {
    // Atoms keep some of their bias. A coverage of .9 gives 49 or more of 60 in 98 % of cases.
    const random = seeded(5);
    const held = { atom: 0, share: 0, difference: 0 };
    for (let i = 0; i < 60; i++) {
      const sets = [drawSamples(KNOWN.E0, 300, random), drawSamples(KNOWN.D2, 300, random)];
      const boot = pidBootstrap(sets, { draws: 60, seed: i });
      const holds = (truth: number, statistic: Parameters<typeof pidInterval>[1]): number => {
        const { low, high } = pidInterval(boot, statistic);
        return Number(low <= truth && truth <= high);
      };
      held.atom += holds(1, ([e0]) => e0.broja.redundancy);
      held.share += holds(0.660964 / 2.084963, ([, d2]) => d2.broja.uniqueX / d2.information.joint);
      held.difference += holds(2 - 2.084963, ([e0, d2]) => e0.information.joint - d2.information.joint);
    }
    for (const [name, count] of Object.entries(held)) assert.ok(count >= 49, `${name}: ${count} of 60`);
  });

  it("takes the same rows of every set: a set less itself is 0 in every draw", () => {
    const samples = drawSamples(KNOWN.A, 100, seeded(1));
    const boot = pidBootstrap([samples, samples]);
    const { estimate, low, high } = pidInterval(boot, ([a, b]) => a.broja.uniqueX - b.broja.uniqueX);
    assert.deepEqual([estimate, low, high].map(Math.abs), [0, 0, 0]);
  });

  it("draws clusters whole: copies of rows narrow no interval", () => {
    const one = drawSamples(KNOWN.A, 150, seeded(2));
    const twice = (rows: PidSamples["x"]): number[][] =>
      Array.from({ length: 300 }, (_, i) => Array.from((rows as readonly number[][])[i >> 1]));
    const doubled = { target: twice(one.target), x: twice(one.x), y: twice(one.y) };
    const clusters = Array.from({ length: 300 }, (_, i) => i >> 1);
    const width = (samples: PidSamples, grouped?: number[]): number => {
      const boot = pidBootstrap([samples], { clusters: grouped, draws: 200 });
      const { low, high } = pidInterval(boot, ([pid]) => pid.information.joint);
      return high - low;
    };
    assert.ok(Math.abs(width(doubled, clusters) / width(one) - 1) < 0.3);
    assert.ok(width(doubled) < 0.85 * width(one));
  });

  it("shows the uniques that equal channels get at ten dimensions and 200 rows", () => {
    const E90 = { hx: copies(KNOWN.E90.hx, 5), hy: copies(KNOWN.E90.hy, 5) };
    const nulls = sameSpectrumDraws(drawSamples(E90, 200, seeded(3)), { draws: 20 });
    assert.ok(mean(nulls.map(({ broja }) => broja.uniqueX)) > 0.2);
    const large = sameSpectrumDraws(drawSamples(KNOWN.E0, 5000, seeded(3)), { draws: 20 });
    assert.ok(mean(large.map(({ broja }) => broja.uniqueX)) < 0.05);
  });

  it("refuses rows too few, sets of unequal length, and statistics that are none", () => {
    const samples = drawSamples(KNOWN.A, 30, seeded(4));
    const few = drawSamples(KNOWN.A, 6, seeded(4));
    assert.throws(() => pidBootstrap([few]), /too few for 4 dimensions[\s\S]*at least 9/);
    assert.throws(() => pidBootstrap([samples, few]), /rows in each set/);
    assert.throws(() => pidBootstrap([samples], { draws: 5 }), /at least 20/);
    assert.throws(() => pidInterval(pidBootstrap([samples]), () => Number.NaN), /no number/);
  });
});
