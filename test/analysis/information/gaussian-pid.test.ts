import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  atomShares,
  channelInformation,
  channelsFromCovariance,
  entropyBias,
  gaussianPid,
  informationBias,
  type Matrix,
  multiply,
  randomSubspace,
  transpose,
  unionInformation,
} from "../../../lib/analysis/index.js";
import { asMatrix } from "../../../lib/analysis/linalg/matrix.js";
import { type Random, seeded } from "../../../lib/random.js";
import { assertTruth, copies, covarianceOfChannels, KNOWN, truthOf } from "./known-cases.js";

const bits = Math.LN2;

function randomMatrix(rows: number, columns: number, scale: number, random: Random): Matrix {
  const data = Float64Array.from({ length: rows * columns }, () => scale * random.normal());
  return { data, shape: [rows, columns] };
}

describe("Gaussian decomposition", () => {
  for (const [name, { hx, hy, truth }] of Object.entries(KNOWN)) {
    it(`${name} has the atoms of two other solvers, to their 6 digits`, () => {
      const { broja, information, union } = gaussianPid({ hx, hy });
      assertTruth(truthOf(broja, information.joint), truth, 1e-6, name);
      assert.ok(union.gap >= -1e-12 && union.gap <= 2e-7, `gap ${union.gap}`);
      assert.ok(union.lowerBound <= union.bits + 1e-12);
    });
  }

  it("by minimal mutual information tells A and E0 from ~G", () => {
    const a = gaussianPid(KNOWN.A);
    assertTruth(truthOf(a.mmi, a.information.joint), [1, 0, 0, 0.5, 0.5], 1e-12, "A");
    const e = gaussianPid(KNOWN.E0);
    assertTruth(truthOf(e.mmi, e.information.joint), [2, 0, 0, 1.292481, 0.707519], 1e-6, "E0");
    const f = gaussianPid(KNOWN["F shared latent"]);
    assertTruth(truthOf(f.mmi, f.information.joint), [1.792481, 0, 0, 1, 0.792481], 1e-6, "F");
  });

  it("has the closed forms of scalar channels, to 1e-6 bits", () => {
    for (const rho of [-0.9, -0.5, 0, 0.3, 0.9]) {
      const same = gaussianPid({ hx: [[1]], hy: [[1]], noise: [[rho]] });
      const synergy = 0.5 * Math.log2(1 + 2 / (1 + rho)) - 0.5;
      assertTruth(
        truthOf(same.broja, same.information.joint),
        [0.5 + synergy, 0, 0, 0.5, synergy],
        1e-6,
        `ρ ${rho}`,
      );
      // Y is nothing but X's noise: a synergy that a Gaussian decomposition can see.
      const twin = gaussianPid({ hx: [[1]], hy: [[0]], noise: [[rho]] });
      const twinned = 0.5 * Math.log2(1 + 1 / (1 - rho * rho)) - 0.5;
      assertTruth(
        truthOf(twin.broja, twin.information.joint),
        [0.5 + twinned, 0.5, 0, 0, twinned],
        1e-6,
        `twin ${rho}`,
      );
    }
    for (const s of [0.1, 1, 10, 100]) {
      const covariance = [
        [1, 1, 1],
        [1, 2, 2],
        [1, 2, 2 + s],
      ];
      const { broja } = gaussianPid(channelsFromCovariance(covariance, { target: 1, x: 1, y: 1 }));
      const redundancy = 0.5 * Math.log2(1 + 1 / (1 + s));
      assertTruth(truthOf(broja, 0.5), [0.5, 0.5 - redundancy, 0, redundancy, 0], 1e-6, `s ${s}`);
    }
    for (const [rho, joint, synergy] of [
      [0.9, 1.323445, 0.823445],
      [0.99, 2.839758, 2.339758],
    ]) {
      const { broja, mmi, information } = gaussianPid({ hx: [[1]], hy: [[0]], noise: [[rho]] });
      for (const atoms of [broja, mmi])
        assertTruth(truthOf(atoms, information.joint), [joint, 0.5, 0, 0, synergy], 1e-6, `K ${rho}`);
    }
  });

  it("of correlations .5, .3 and .2 is Barrett's example in nats, to 1e-7", () => {
    const covariance = [
      [1, 0.5, 0.3],
      [0.5, 1, 0.2],
      [0.3, 0.2, 1],
    ];
    const { information, mmi } = gaussianPid(channelsFromCovariance(covariance, { target: 1, x: 1, y: 1 }));
    const found = [information.joint, information.x, mmi.redundancy, mmi.synergy].map(
      (value) => value * bits,
    );
    [0.1724202, 0.143841, 0.0471553, 0.0285792].forEach((wanted, i) => {
      assert.ok(Math.abs(found[i] - wanted) < 1e-7, `${found}`);
    });
  });

  it("doubles every atom of two rotated copies, to 1e-6 bits", () => {
    ["A", "C", "D2", "E0", "E90"].forEach((name, seed) => {
      const { hx, hy, truth } = KNOWN[name];
      const turned = (h: number[][], s: number): Matrix => {
        const both = asMatrix(copies(h, 2));
        const target = randomSubspace(both.shape[1], both.shape[1], 100 + seed);
        return multiply(multiply(randomSubspace(both.shape[0], both.shape[0], s), both), target);
      };
      const { broja, information } = gaussianPid({ hx: turned(hx, 2 * seed), hy: turned(hy, 2 * seed + 1) });
      const doubled = truth.map((value) => 2 * value) as unknown as typeof truth;
      assertTruth(truthOf(broja, information.joint), doubled, 2e-6, name);
    });
  });

  it("is the same in any units and axes of the three variables, to 1e-6 bits", () => {
    const random = seeded(4);
    const { hx, hy, truth } = KNOWN["G shared latent, unequal"];
    const plain = asMatrix(covarianceOfChannels({ hx, hy }));
    const mix: Matrix = { data: new Float64Array(49), shape: [7, 7] };
    for (const [from, to, unit] of [
      [0, 3, 1e3],
      [3, 5, 1e-4],
      [5, 7, 7],
    ]) {
      for (let i = from; i < to; i++)
        for (let j = from; j < to; j++) mix.data[i * 7 + j] = unit * random.normal();
    }
    const mixed = multiply(multiply(mix, plain), transpose(mix));
    const { broja, information } = gaussianPid(channelsFromCovariance(mixed, { target: 3, x: 2, y: 2 }));
    assertTruth(truthOf(broja, information.joint), truth, 1e-6, "G");
  });

  it("recovers noises that are correlated from a covariance", () => {
    const noise = [
      [0.3, -0.2],
      [0.1, 0.5],
    ];
    const channels = { ...KNOWN.E0, noise };
    const direct = gaussianPid(channels);
    const through = gaussianPid(
      channelsFromCovariance(covarianceOfChannels(channels), { target: 2, x: 2, y: 2 }),
    );
    assertTruth(
      truthOf(through.broja, through.information.joint),
      truthOf(direct.broja, direct.information.joint),
      1e-9,
      "E0",
    );
  });

  it("as shares sums to 1", () => {
    const shares = atomShares(gaussianPid(KNOWN.E0).broja);
    const sum = shares.redundancy + shares.uniqueX + shares.uniqueY + shares.synergy;
    assert.ok(Math.abs(sum - 1) < 1e-12);
    assert.ok(Math.abs(shares.redundancy - 0.5) < 1e-6);
  });
});

describe("union information", () => {
  it("is proved to 1e-6 bits for random channels of 1 to 12 dimensions and gains of 0.1 to 1000", () => {
    const random = seeded(8);
    for (const d of [1, 2, 5, 12]) {
      for (const gain of [0.1, 1, 10, 1000]) {
        const [hx, hy] = [randomMatrix(d, d, gain, random), randomMatrix(d + 1, d, gain, random)];
        const { gap, bits: union } = unionInformation(hx, hy);
        const own = channelInformation({ hx, hy });
        assert.ok(gap > -1e-9 && gap < 1e-6, `d ${d} gain ${gain}: gap ${gap}`);
        assert.ok(union >= Math.max(own.x, own.y) - 1e-6 && union <= own.x + own.y, `d ${d} gain ${gain}`);
      }
    }
  });

  it("has a lower bound that no coupling of the noises undercuts", () => {
    const random = seeded(9);
    for (let round = 0; round < 20; round++) {
      const [hx, hy] = [randomMatrix(3, 3, 2, random), randomMatrix(2, 3, 2, random)];
      const { lowerBound, bits: union } = unionInformation(hx, hy);
      for (let draw = 0; draw < 50; draw++) {
        // A random contraction: a scaled part of a rotation.
        const whole = randomSubspace(5, 5, 1000 * round + draw);
        const size = random.uniform();
        const noise = [0, 1, 2].map((i) => [3, 4].map((j) => size * whole.data[i * 5 + j]));
        assert.ok(channelInformation({ hx, hy, noise }).joint >= lowerBound - 1e-12);
      }
      assert.ok(union - lowerBound < 1e-6);
    }
  });

  it("of scalar channels is what a search over all correlations finds, to 1e-6 bits", () => {
    for (const [gx, gy] of [
      [1, 1],
      [3, 1],
      [0.2, 5],
      [100, 99],
    ]) {
      let least = Number.POSITIVE_INFINITY;
      for (let k = 1; k < 200000; k++) {
        const rho = Math.cos((k * Math.PI) / 200000);
        const joint = 1 + (gx * gx + gy * gy - 2 * rho * gx * gy) / (1 - rho * rho);
        least = Math.min(least, 0.5 * Math.log2(joint));
      }
      const found = unionInformation([[gx]], [[gy]]);
      assert.ok(Math.abs(found.bits - least) < 1e-6, `${gx}, ${gy}: ${found.bits}, ${least}`);
    }
  });

  it("is refused where its Hessian would not fit in memory", () => {
    const wide = randomMatrix(65, 65, 1, seeded(1));
    assert.throws(() => unionInformation(wide, wide), /a minimum over 4225 unknowns/);
    assert.throws(() => unionInformation([[1, 0]], [[1]]), /unionInformation got 2 and 1 target dimensions/);
  });

  it("of a source without gain is the other's information", () => {
    const { bits: union, gap } = unionInformation([[0, 0]], [[1, 1]]);
    assert.ok(Math.abs(union - 0.5 * Math.log2(3)) < 1e-12 && gap < 1e-7, `${union}, ${gap}`);
  });

  it("is found to 1e-8 bits in under 60 steps", () => {
    const rough = unionInformation(KNOWN.E90.hx, KNOWN.E90.hy, { tolerance: 1e-4 });
    const fine = unionInformation(KNOWN.E90.hx, KNOWN.E90.hy, { tolerance: 1e-8 });
    assert.ok(rough.gap <= 1e-3 && fine.gap <= 1e-7, `${rough.gap}, ${fine.gap}`);
    assert.ok(fine.steps < 60, `${fine.steps} steps`);
  });
});

describe("the bias of an information", () => {
  it("for 50 rows in 2 and 3 dimensions is .09412 bits", () => {
    assert.ok(Math.abs(informationBias(2, 3, 50) - 0.09412) < 5e-6);
  });
  it("is the mean of simulated entropies, to .02 bits", () => {
    const random = seeded(1);
    // The entropy's bias is the mean of log determinants of Wishart matrices: here of 2 rows in 1 dimension, exactly.
    let sum = 0;
    for (let k = 0; k < 40000; k++) {
      const [a, b] = [random.normal(), random.normal()];
      sum += 0.5 * Math.log2((a - b) ** 2 / 2);
    }
    assert.ok(Math.abs(sum / 40000 - entropyBias(1, 2)) < 0.02, `${sum / 40000}, ${entropyBias(1, 2)}`);
    assert.throws(() => entropyBias(3, 3), /3 rows in 3 dimensions/);
  });
});
