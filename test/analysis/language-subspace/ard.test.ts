import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ardKernel,
  holdOut,
  mmdPermutationTest,
  mmdSquared,
  type SamplePair,
} from "../../../lib/analysis/distance/mmd.js";
import {
  absoluteThreshold,
  fitLengthscales,
  survivingDimensions,
  warmStart,
} from "../../../lib/analysis/language-subspace/ard.js";
import { gatherComparisons } from "../../../lib/analysis/language-subspace/ard-data.js";
import { describeBackend, learningBackend } from "../../../lib/analysis/learn/tfjs.js";
import { seeded } from "../../../lib/random.js";
import { assertClose, goldens } from "../goldens.js";

const { ard } = goldens;

/** Pairs of clouds around one centre per pair; in the dimensions from `shared` on, y lies `shift` away from x. */
function clouds(
  pairs: number,
  tokens: number,
  d: number,
  shared: number,
  shift: number,
  seed: number,
): SamplePair[] {
  const random = seeded(seed);
  return Array.from({ length: pairs }, () => {
    const centre = Array.from({ length: d }, () => random.normal());
    const cloud = (offset: number): number[][] =>
      Array.from({ length: tokens }, () =>
        centre.map((c, j) => c + random.normal() + (j < shared ? 0 : offset)),
      );
    return { x: cloud(0), y: cloud(shift) };
  });
}

describe("MMD²", () => {
  it("gives the known answer", () => {
    assertClose([mmdSquared({ x: [[0], [1], [2]], y: [[3], [4], [5]] }, [1])], [0.6964415423], 1e-10, "MMD²");
  });
  it("agrees with numpy", () => {
    const found = ard.pairs.map((pair) => mmdSquared(pair, ard.start.map(Math.exp)));
    assertClose(found, ard.mmdAtStart, 1e-12, "MMD²");
  });
  it("leaves a dimension of infinite lengthscale out", () => {
    const found = ardKernel([[0, 5]], [[1, -7]], [1, Number.POSITIVE_INFINITY]);
    assertClose(found.data, [Math.exp(-0.5)], 1e-15, "kernel");
    assert.throws(() => ardKernel([[0]], [[1]], [0]), /above 0/);
  });
  it("needs two rows a side", () => {
    assert.throws(() => mmdSquared({ x: [[1]], y: [[2], [3]] }, [1]), /two of each/);
  });
});

describe("the permutation test of MMD²", () => {
  it("rejects about 5% of equal distributions and nearly all different ones", () => {
    const p = (shift: number, seed: number): number =>
      mmdPermutationTest(clouds(2, 8, 3, 0, shift, seed), [2, 2, 2], { draws: 99, seed }).p;
    const seeds = Array.from({ length: 200 }, (_, seed) => seed);
    const falseAlarms = seeds.filter((seed) => p(0, seed) <= 0.05).length;
    // 200 draws at 5%: 10 ± 9 is three standard deviations.
    assert.ok(
      falseAlarms >= 1 && falseAlarms <= 19,
      `${falseAlarms} of 200 equal pairs were called different`,
    );
    const found = seeds.slice(0, 20).filter((seed) => p(2, seed) <= 0.05).length;
    assert.equal(found, 20);
  });
  it("sums the pairs' own values", () => {
    const { statistic, perPair } = mmdPermutationTest(ard.pairs, ard.start.map(Math.exp), { draws: 1 });
    assertClose(perPair, ard.mmdAtStart, 1e-12, "per pair");
    assertClose([statistic], [ard.mmdAtStart.reduce((a, b) => a + b)], 1e-12, "sum");
  });
  it("holds pairs out without overlap", () => {
    const { fit, test } = holdOut([1, 2, 3, 4, 5], { share: 0.4, seed: 3 });
    assert.deepEqual([...fit, ...test].sort(), [1, 2, 3, 4, 5]);
    assert.equal(test.length, 2);
    assert.throws(() => holdOut([1, 2], { share: 0.1 }), /leaves one side empty/);
  });
});

describe("comparisons", () => {
  const pairs = clouds(2, 9, 4, 4, 0, 1);
  it("give MMD² as their weighted sum when all are taken", () => {
    const { squares, coefficients, count, available } = gatherComparisons(pairs, {
      comparisons: 1e6,
      standardise: false,
    });
    assert.equal(count, available);
    let sum = 0;
    for (let c = 0; c < count; c++) {
      const exponent = squares.subarray(c * 4, (c + 1) * 4).reduce((a, b) => a + b);
      sum += coefficients[c] * Math.exp(-0.5 * exponent);
    }
    const exact = pairs.reduce((total, pair) => total + mmdSquared(pair, [1, 1, 1, 1]), 0);
    assertClose([sum], [exact], 1e-5, "float32 sum");
  });
  it("estimate it without bias when some are drawn", () => {
    const shifted = clouds(1, 9, 2, 0, 1, 2);
    const exact = mmdSquared(shifted[0], [1, 1]);
    const estimates = Array.from({ length: 400 }, (_, seed) => {
      const { squares, coefficients, count } = gatherComparisons(shifted, {
        comparisons: 30,
        seed,
        standardise: false,
      });
      assert.equal(count, 30);
      let sum = 0;
      for (let c = 0; c < count; c++)
        sum += coefficients[c] * Math.exp(-0.5 * (squares[2 * c] + squares[2 * c + 1]));
      return sum;
    });
    const mean = estimates.reduce((a, b) => a + b) / 400;
    const error = Math.sqrt(estimates.reduce((a, b) => a + (b - mean) ** 2, 0) / 399 / 400);
    assert.ok(Math.abs(mean - exact) < 3.5 * error, `the mean is ${mean} ± ${error}, the whole sum ${exact}`);
  });
  it("refuse what would not fit in memory, and a constant dimension", () => {
    assert.throws(() => gatherComparisons(pairs, { maxBytes: 100 }), /MiB/);
    const constant = [
      {
        x: [
          [1, 2],
          [1, 3],
        ],
        y: [
          [1, 4],
          [1, 5],
        ],
      },
    ];
    assert.throws(() => gatherComparisons(constant), /Dimension 0 has the same value/);
  });
});

describe("learning lengthscales", () => {
  for (const backend of ["wasm", "cpu", undefined] as const) {
    it(`follows Adam on the exact gradient, as numpy does in float64 (${backend ?? "plain loops"})`, async () => {
      const task = { lambda: ard.lambda, start: ard.start };
      // Two more fits beside it must not disturb it.
      const [, fit] = await fitLengthscales(ard.pairs, [{ lambda: 1 }, task, { lambda: 0 }], {
        backend,
        comparisons: 1e6,
        standardise: false,
        matchBandwidth: false,
        maxSteps: ard.steps,
        plateau: -1,
      });
      assertClose(fit.lengthscales, ard.lengthscales, 2e-4, "lengthscales");
      for (const { step, mmd, penalty } of fit.history) {
        assertClose([mmd + penalty], [ard.objective[step]], 1e-4, `objective at step ${step}`);
      }
      assert.deepEqual(
        fit.history.map(({ step }) => step),
        [0, 25, 50, 60],
      );
      assert.equal(fit.backend?.name, backend);
      assert.equal(fit.stopped, "limit");
    });
  }

  it("holds the bandwidth alike on plain loops and on tfjs", async () => {
    // 90 comparisons a pair and 7 dimensions: neither is a multiple of the four that the loops take at once.
    const pairs = clouds(5, 11, 7, 3, 1, 8);
    const tasks = [{ lambda: 0.05 }, { lambda: 0.2, start: [0, 1, 0, 1, 0, 1, 0] }];
    const options = { holdBandwidth: true, maxSteps: 120, plateau: -1, comparisons: 91 };
    const [plain, tfjs] = [
      await fitLengthscales(pairs, tasks, options),
      await fitLengthscales(pairs, tasks, { ...options, backend: "wasm" }),
    ];
    for (const [i, { lengthscales, history }] of plain.entries()) {
      assertClose(lengthscales, tfjs[i].lengthscales, 1e-4, `lengthscales of fit ${i}`);
      const at = (points: typeof history) => points.map(({ mmd, penalty }) => mmd + penalty);
      assertClose(at(history), at(tfjs[i].history), 1e-5, `objective of fit ${i}`);
    }
  });

  it("finds the dimensions in which the samples agree, and from a start on the others none", async () => {
    const d = 24;
    const shared = [0, 1, 2, 3, 4, 5];
    const wrong = Array.from({ length: 3 }, (_, i) =>
      Array.from({ length: d }, (_, j) => (j === 20 + i ? 1 : 0)),
    );
    const [cold, warm] = await fitLengthscales(
      clouds(8, 16, d, shared.length, 1.5, 5),
      [{ lambda: 0.05 }, { lambda: 0.05, start: warmStart(wrong) }],
      { maxSteps: 300, learningRate: 0.03 },
    );
    const order = Array.from(cold.lengthscales.keys()).sort(
      (a, b) => cold.lengthscales[a] - cold.lengthscales[b],
    );
    assert.deepEqual(
      order.slice(0, shared.length).sort((a, b) => a - b),
      shared,
    );
    assert.equal(cold.trivial, undefined);
    assert.equal(warm.trivial, "alike");
    // Both start where the median comparison has the exponent ½, and so a kernel value of 0.61.
    for (const { history } of [cold, warm]) assert.ok(Math.abs(history[0].meanKernel - 0.6) < 0.06);
  });

  it("reports the trivial minimum that a large penalty drives it into, and does not when the bandwidth is held", async () => {
    const pairs = clouds(4, 8, 6, 3, 1, 6);
    const options = { learningRate: 0.1, maxSteps: 200 };
    const [free] = await fitLengthscales(pairs, [{ lambda: 50 }], options);
    assert.equal(free.trivial, "alike");
    const [held] = await fitLengthscales(pairs, [{ lambda: 50 }], { ...options, holdBandwidth: true });
    assert.equal(held.trivial, undefined);
    // Held: the mean exponent over the comparisons is what it was.
    const { squares, count } = gatherComparisons(pairs);
    const meanExponent = (l: Float64Array): number => {
      let sum = 0;
      for (let c = 0; c < count; c++) for (let j = 0; j < 6; j++) sum += squares[c * 6 + j] / l[j] ** 2;
      return sum / count;
    };
    assertClose([meanExponent(held.lengthscales)], [meanExponent(held.start)], 1e-3, "mean exponent");
    const [vanishing] = await fitLengthscales(pairs, [{ lambda: 0, start: new Array(6).fill(-4) }], {
      matchBandwidth: false,
      maxSteps: 1,
    });
    assert.equal(vanishing.trivial, "unrelated");
  });

  it("stops at a plateau, by the signal, and at bad tasks", async () => {
    const pairs = clouds(2, 6, 3, 3, 0, 7);
    const [flat] = await fitLengthscales(pairs, [{ lambda: 0 }], { learningRate: 1e-9 });
    assert.equal(flat.stopped, "plateau");
    assert.equal(flat.steps, 50);
    const seen: number[] = [];
    const stop = new AbortController();
    await assert.rejects(
      fitLengthscales(pairs, [{ lambda: 1 }], {
        signal: stop.signal,
        plateau: -1,
        onProgress: (done) => {
          seen.push(done);
          if (done === 50) stop.abort(new Error("enough"));
        },
      }),
      /enough/,
    );
    assert.deepEqual(seen, [0, 25, 50]);
    await assert.rejects(fitLengthscales(pairs, [{ lambda: -1 }]), /λ=-1/);
    await assert.rejects(fitLengthscales(pairs, [{ lambda: 1, start: [0] }]), /3 finite log lengthscales/);
    await assert.rejects(fitLengthscales([], [{ lambda: 1 }]), /no pairs/);
  });

  it("leaves no tensors behind", async () => {
    const { tf } = await learningBackend("wasm");
    const before = tf.memory().numTensors;
    const options = { maxSteps: 5, holdBandwidth: true, backend: "wasm" } as const;
    await fitLengthscales(clouds(2, 6, 3, 3, 0, 7), [{ lambda: 0.1 }], options);
    assert.equal(tf.memory().numTensors, before);
  });

  it("counts surviving dimensions by a threshold that does not move with the fit", () => {
    const threshold = absoluteThreshold(5);
    assert.equal(threshold, 10);
    assert.deepEqual(survivingDimensions([1, 30, 9.9, 10, 1e9], threshold), [0, 2]);
    assert.deepEqual(survivingDimensions([11, 12, 13], threshold), []);
  });

  it("warms up short where the subspace is", () => {
    const log = warmStart([[0.6, 0.8, 0]], 0.01);
    assertClose(log, [-Math.log(0.37), -Math.log(0.65), -Math.log(0.01)], 1e-12, "start");
  });
});

describe("the learning back end", () => {
  it("says which one learns, and why the faster ones do not", async () => {
    const chosen = await learningBackend();
    const text = describeBackend(chosen);
    assert.ok(text.startsWith(`tfjs learns on ${chosen.name}`), text);
    if (chosen.name !== "tensorflow") {
      const native = chosen.skipped.find(({ package: name }) => name === "@tensorflow/tfjs-node");
      assert.ok(native !== undefined && native.why.length > 0);
      assert.ok(text.includes(`@tensorflow/tfjs-node: ${native.why}`), text);
    }
    assert.equal(chosen.tf.getBackend(), chosen.name);
  });
  it("multiplies on WASM, found without a network", async () => {
    const { tf, name } = await learningBackend("wasm");
    assert.equal(name, "wasm");
    const product = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]]));
    assert.deepEqual(Array.from(product.dataSync()), [11]);
    product.dispose();
  });
});
