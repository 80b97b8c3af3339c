import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { discretePid, type Matrix, type PidAtoms } from "../../../lib/analysis/index.js";
import { seeded } from "../../../lib/random.js";
import { exclusiveOr, type Rows } from "./known-cases.js";

type Shape = readonly [m: number, x: number, y: number];

function table(shape: Shape, p: (m: number, x: number, y: number) => number): Matrix {
  const [nm, nx, ny] = shape;
  const data = Float64Array.from({ length: nm * nx * ny }, (_, k) =>
    p(Math.floor(k / (nx * ny)), Math.floor(k / ny) % nx, k % ny),
  );
  return { data, shape };
}

/** M a function of uniform X and Y. */
const gate = (outcomes: number, f: (x: number, y: number) => number): Matrix =>
  table([outcomes, 2, 2], (m, x, y) => (f(x, y) === m ? 1 : 0));

function assertAtoms(found: PidAtoms, [r, ux, uy, s]: readonly number[], tolerance: number): void {
  const values = [found.redundancy, found.uniqueX, found.uniqueY, found.synergy];
  [r, ux, uy, s].forEach((wanted, i) => {
    assert.ok(Math.abs(values[i] - wanted) <= tolerance, `R U_X U_Y S are ${values}, not ${[r, ux, uy, s]}`);
  });
}

describe("discrete decomposition", () => {
  it("gives the gates' published BROJA atoms, to 1e-6 bits", () => {
    // Bertschinger et al. 2014, table 1.
    assertAtoms(discretePid(gate(2, (x, y) => x ^ y)).atoms, [0, 0, 0, 1], 1e-6);
    assertAtoms(discretePid(gate(2, (x, y) => x & y)).atoms, [0.75 * Math.log2(4 / 3), 0, 0, 0.5], 1e-6);
    assertAtoms(discretePid(gate(4, (x, y) => 2 * x + y)).atoms, [0, 1, 1, 0], 1e-6);
    assertAtoms(discretePid(gate(3, (x, y) => x + y)).atoms, [0.5, 0, 0, 1], 1e-6);
    const same = table([2, 2, 2], (m, x, y) => (m === x && m === y ? 1 : 0));
    assertAtoms(discretePid(same).atoms, [1, 0, 0, 0], 1e-6);
    // Outcomes that never occur change nothing.
    assertAtoms(discretePid(gate(5, (x, y) => 3 * (x ^ y))).atoms, [0, 0, 0, 1], 1e-6);
    // A shared bit beside an exclusive-or.
    const both = table([4, 4, 4], (m, x, y) =>
      x >> 1 === y >> 1 && m === 2 * (x >> 1) + ((x ^ y) & 1) ? 1 : 0,
    );
    assertAtoms(discretePid(both).atoms, [1, 0, 0, 1], 1e-6);
  });

  it("of 2×2×2 tables is what a grid over both degrees of freedom finds, to 2e-5 bits", () => {
    const random = seeded(5);
    for (let round = 0; round < 5; round++) {
      const p = table([2, 2, 2], () => random.uniform());
      const total = p.data.reduce((sum, value) => sum + value, 0);
      let least = Number.POSITIVE_INFINITY;
      // Moving mass within one outcome of M, from (0,0) and (1,1) to (0,1) and (1,0), keeps all pair marginals.
      const range = (m: number): [number, number] => {
        const [a, b, c, d] = [0, 1, 2, 3].map((k) => p.data[4 * m + k]);
        return [-Math.min(b, c), Math.min(a, d)];
      };
      const [r0, r1] = [range(0), range(1)];
      for (let i = 0; i <= 600; i++) {
        const s = r0[0] + ((r0[1] - r0[0]) * i) / 600;
        for (let j = 0; j <= 600; j++) {
          const t = r1[0] + ((r1[1] - r1[0]) * j) / 600;
          least = Math.min(least, information(p.data, s, t));
        }
      }
      const { union } = discretePid(p);
      // The grid's own spacing leaves it a little above the minimum.
      assert.ok(
        union.bits <= least / total + 1e-6 && union.bits >= least / total - 2e-5,
        `${union.bits}, ${least / total}`,
      );
    }
  });

  it("is proved to 1e-6 bits for larger and sparse tables", () => {
    const random = seeded(6);
    for (const shape of [
      [3, 3, 3],
      [4, 6, 5],
      [2, 9, 9],
    ] as const) {
      for (const sparse of [false, true]) {
        const p = table(shape, () => (sparse && random.uniform() < 0.5 ? 0 : random.uniform() ** 3));
        const { union, information: known, atoms } = discretePid(p);
        assert.ok(union.gap >= -1e-12 && union.gap < 1e-6, `${shape}: gap ${union.gap}`);
        assert.ok(union.bits <= known.joint + 1e-9);
        for (const atom of Object.values(atoms)) assert.ok(atom >= -1e-12, JSON.stringify(atoms));
      }
    }
  });

  it("of a binary target seen twice through equal noise has nothing unique", () => {
    // 10 bins of M + noise, σ = ½; before binning R = I(M;X) is .9128 bits.
    const edges = Array.from({ length: 9 }, (_, k) => -1.6 + 0.4 * k);
    const random = seeded(7);
    const bin = (value: number): number => edges.filter((edge) => edge < value).length;
    const likelihood = [-1, 1].map((m) => {
      const counts = new Array<number>(10).fill(0);
      for (let k = 0; k < 100000; k++) counts[bin(m + 0.5 * random.normal())] += 1e-5;
      return counts;
    });
    const { atoms, information } = discretePid(
      table([2, 10, 10], (m, x, y) => likelihood[m][x] * likelihood[m][y]),
    );
    assertAtoms(atoms, [information.x, 0, 0, information.joint - information.x], 1e-6);
    assert.ok(information.x < 0.9128 && information.x > 0.89, `${information.x}`);
  });

  it("sees the exclusive-or of noisy signs", () => {
    const { target, x, y } = exclusiveOr(4000, 0.5, seeded(8));
    const sign = (rows: Rows, i: number): number => (rows[i][0] > 0 ? 1 : 0);
    const counts = table([2, 2, 2], () => 0);
    for (let i = 0; i < 4000; i++) counts.data[4 * sign(target, i) + 2 * sign(x, i) + sign(y, i)] += 1;
    // Each sign is misread with P(Z > 2); an odd number of misreadings flips the exclusive-or.
    const flip = (1 - (1 - 2 * 0.02275) ** 3) / 2;
    const truth = 1 + flip * Math.log2(flip) + (1 - flip) * Math.log2(1 - flip);
    assertAtoms(discretePid(counts).atoms, [0, 0, 0, truth], 0.04);
  });

  it("refuses what is no distribution", () => {
    assert.throws(() => discretePid(table([2, 2, 2], () => 0)), /sum 0/);
    assert.throws(() => discretePid(table([2, 60, 60], () => 1)), /a minimum over 6962 unknowns/);
    assert.throws(() => discretePid(table([2, 2, 2], (m) => m - 0.5)), /a value -0.5/);
    assert.throws(() => discretePid(table([2, 2, 2], () => Number.NaN)), /NaN/);
    assert.throws(() => discretePid({ data: new Float64Array(4).fill(1), shape: [2, 2] }), /shape \(2, 2\)/);
  });
});

/** `total · I(M;X,Y)` in bits with mass s and t moved. */
function information(data: Float64Array, s: number, t: number): number {
  const signs = [-1, 1, 1, -1];
  const sums = [0, 0];
  let bits = 0;
  let total = 0;
  for (let k = 0; k < 4; k++) {
    const a = data[k] + signs[k] * s;
    const b = data[4 + k] + signs[k] * t;
    sums[0] += a;
    sums[1] += b;
    total += a + b;
    if (a > 0) bits += a * Math.log2(a / (a + b));
    if (b > 0) bits += b * Math.log2(b / (a + b));
  }
  return bits - sums[0] * Math.log2(sums[0] / total) - sums[1] * Math.log2(sums[1] / total);
}
