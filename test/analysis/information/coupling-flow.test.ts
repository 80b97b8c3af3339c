import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { couplingFlow, gaussianise, type Matrix, samplePid } from "../../../lib/analysis/index.js";
import { CouplingLayer } from "../../../lib/analysis/information/coupling-layer.js";
import { asMatrix } from "../../../lib/analysis/linalg/matrix.js";
import { type Random, seeded } from "../../../lib/random.js";
import { copies, drawSamples, KNOWN, type Rows } from "./known-cases.js";

/** A layer with no weight 0, and rows for it. */
function layerAndRows(random: Random): { layer: CouplingLayer; x: Matrix } {
  const layer = new CouplingLayer([0, 2], [1, 3, 4], 6, random);
  for (const w of layer.parameters) for (let i = 0; i < w.length; i++) w[i] += 0.5 * random.normal();
  const data = Float64Array.from({ length: 4 * 5 }, () => random.normal());
  return { layer, x: { data, shape: [4, 5] } };
}

describe("a coupling layer", () => {
  it("pulls back what finite differences say, to 1e-7", () => {
    const random = seeded(1);
    const { layer, x } = layerAndRows(random);
    const weights = Float64Array.from({ length: 20 }, () => random.normal());
    const loss = (): number => {
      const { output, logDeterminant } = layer.forward(x);
      return output.data.reduce((sum, value, k) => sum + weights[k] * value, -1.5 * logDeterminant);
    };
    const { input, parameters } = layer.backward(layer.forward(x), { data: weights, shape: [4, 5] }, -1.5);
    const check = (values: Float64Array, gradient: Float64Array, name: string): void => {
      for (let k = 0; k < values.length; k++) {
        const at = values[k];
        const step = 1e-5;
        values[k] = at + step;
        const above = loss();
        values[k] = at - step;
        const below = loss();
        values[k] = at;
        const numeric = (above - below) / (2 * step);
        assert.ok(Math.abs(numeric - gradient[k]) < 1e-7 * Math.max(1, Math.abs(numeric)), `${name} ${k}`);
      }
    };
    check(x.data, input.data, "input");
    layer.parameters.forEach((w, k) => {
      check(w, parameters[k], `parameter ${k}`);
    });
  });

  it("reports the log determinant of its Jacobian", () => {
    const { layer, x } = layerAndRows(seeded(2));
    const one: Matrix = { data: x.data.slice(0, 5), shape: [1, 5] };
    // Unmoved columns first, the Jacobian is triangular: its determinant is the product of the moved columns' own slopes.
    let log = 0;
    for (const column of [1, 3, 4]) {
      const moved = [1e-6, -1e-6].map((step) => {
        const data = one.data.slice();
        data[column] += step;
        return layer.forward({ data, shape: [1, 5] }).output.data[column];
      });
      log += Math.log((moved[0] - moved[1]) / 2e-6);
    }
    assert.ok(Math.abs(layer.forward(one).logDeterminant - log) < 1e-8);
  });

  it("starts as the identity", () => {
    const { x } = layerAndRows(seeded(3));
    const { output, logDeterminant } = new CouplingLayer([0, 1], [2, 3, 4], 8, seeded(4)).forward(x);
    assert.deepEqual(output, x);
    assert.equal(logDeterminant, 0);
  });
});

/** Rows of a plane turned about 0 by `turn` radians for each unit of their distance from it. */
const swirled = (rows: Rows, turn: number): Rows =>
  rows.map(([a, b]) => {
    const [c, s] = [Math.cos(turn * Math.hypot(a, b)), Math.sin(turn * Math.hypot(a, b))];
    return [c * a - s * b, s * a + c * b];
  });

describe("flows for pairs", () => {
  it("find the information in swirled Gaussians, of which maps for single variables see nothing", async () => {
    const plain = drawSamples(
      {
        hx: [
          [2, 0],
          [0, 2],
        ],
        hy: [
          [1, 0],
          [0, 1],
        ],
      },
      1000,
      seeded(1),
    );
    // A swirl keeps the Gaussian law of each source, and so of all that a variable's own flow could learn from.
    const samples = { target: plain.target, x: swirled(plain.x, 0.4), y: swirled(plain.y, 0.4) };
    assert.deepEqual(gaussianise(samples).steps, { target: [], x: [], y: [] });
    const before = samplePid(samples).information;
    const truth = samplePid(plain).information;
    const flows = await couplingFlow(samples, { seed: 1, units: 16, maxSteps: 160 });
    assert.equal(flows.kept, true);
    assert.ok(flows.after > flows.before + 0.5, `${flows.before}, ${flows.after}`);
    // Both halves' rows together, in one frame.
    const after = samplePid(flows.samples).information;
    assert.ok(
      after.joint > before.joint + 0.5 * (truth.joint - before.joint),
      `${before.joint}, ${after.joint}, ${truth.joint}`,
    );
    assert.ok(after.joint < truth.joint + 0.05);
  });

  it("leave Gaussian samples as they are, or no poorer by .05 bits", async () => {
    const samples = drawSamples({ hx: copies(KNOWN.E0.hx, 3), hy: copies(KNOWN.E0.hy, 3) }, 200, seeded(3));
    const { kept, samples: mapped } = await couplingFlow(samples, { units: 16, maxSteps: 100 });
    const [before, after] = [samplePid(samples), samplePid(mapped)].map(({ information }) => information);
    assert.ok(Math.abs(after.joint - before.joint) < 0.05, `${before.joint}, ${after.joint}`);
    if (!kept) assert.deepEqual(mapped.x, asMatrix(samples.x));
  });

  it("have nothing to couple in one dimension", async () => {
    const samples = drawSamples({ hx: [[1]], hy: [[1]] }, 60, seeded(5));
    const { kept } = await couplingFlow(samples, { maxSteps: 20 });
    assert.equal(kept, false);
  });

  it("report progress, and stop at a signal", async () => {
    const samples = drawSamples(KNOWN.E0, 100, seeded(6));
    const abort = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number, total: number): void => {
      seen.push(done / total);
      if (seen.length === 2) abort.abort(new Error("enough"));
    };
    await assert.rejects(couplingFlow(samples, { onProgress, signal: abort.signal }), /enough/);
    assert.deepEqual(seen.length, 2);
  });
});
