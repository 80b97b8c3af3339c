import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dispersion, pathShapes, pathSteps } from "../../../lib/analysis/evolution/paths.js";
import { reclustering } from "../../../lib/analysis/evolution/reclustering.js";
import { trend } from "../../../lib/analysis/statistics/permutation.js";
import { seeded } from "../../../lib/random.js";
import { tensor } from "../../../lib/tensor.js";
import { assertClose } from "../goldens.js";
import { goldens, uniform } from "./goldens.js";

const float32 = (values: Iterable<number>, ...shape: number[]) => tensor(Float32Array.from(values), shape);

describe("spread of encodings", () => {
  it("agrees with scipy's pairwise distances", () => {
    const cloud = [...uniform(10, 77)].map((value) => value + 0.4);
    const { distance, angle, relative } = dispersion(
      float32([...cloud, ...cloud.map((x) => 3 * x)], 2, 7, 11),
    );
    const expected = goldens.paths;
    // float32 input
    assertClose(distance, [expected.distance, 3 * expected.distance], 1e-6, "distance grows with the norm");
    assertClose(angle, [expected.angle, expected.angle], 1e-6, "angle");
    assertClose(relative, [expected.relative, expected.relative], 1e-6, "relative");
  });
  it("is 0 for equal tokens, 1 for opposite ones (angles 2)", () => {
    const { angle, relative } = dispersion(float32([1, 2, 1, 2, 1, 2, -1, -2], 2, 2, 2));
    assertClose(angle, [0, 2], 1e-12, "angle");
    assertClose(relative, [0, 1], 1e-12, "relative");
  });
  it("has a trend, as Kendall's", () => {
    const curve = uniform(8, 12).map((value, i) => value + i / 11);
    assertClose([trend(curve)], [goldens.paths.trend], 1e-12, "trend");
    assert.equal(trend([1, 2, 3]), 1);
    assert.equal(trend([3, 2, 1]), -1);
  });
});

describe("paths through the layers", () => {
  it("agree with scikit-learn's principal components", () => {
    const noise = uniform(9, 180);
    const path = new Float64Array(180);
    for (let s = 0; s < 9; s++)
      for (let j = 0; j < 20; j++)
        path[s * 20 + j] = noise[s * 20 + j] + (s > 0 ? path[(s - 1) * 20 + j] : 0);
    const [shape] = pathShapes(
      float32(
        path.map((value, i) => value + Math.floor(i / 20) / 2),
        9,
        1,
        20,
      ),
    );
    const { linearity, straightness, walkLinearity, walkStraightness } = goldens.paths;
    assertClose([shape.linearity, shape.straightness], [linearity, straightness], 1e-6, "path");
    assertClose(
      [shape.walk.linearity, shape.walk.straightness],
      [walkLinearity, walkStraightness],
      1e-6,
      "walk",
    );
  });
  it("are straight on a line, and orderly; a turn back is neither", () => {
    const [line, back] = pathShapes(float32([0, 0, 1, 5, 2, 10, 3.5, 0], 4, 2, 1));
    assertClose([line.linearity, line.straightness, line.orderly], [1, 1, 1], 1e-12, "a line");
    assertClose([line.longest.share, line.longest.block], [1.5 / 3.5, 2], 1e-12, "the longest step");
    assertClose([back.straightness], [0], 1e-12, "a way back");
    // Steps of 1, 1 and 1.5, and of 5, 5 and 10.
    const steps = pathSteps(float32([0, 0, 1, 5, 2, 10, 3.5, 0], 4, 2, 1));
    assert.deepEqual(steps, [
      { longest: { block: 2, share: 1.5 / 3.5 }, medianStep: 1 / 3.5 },
      { longest: { block: 2, share: 0.5 }, medianStep: 0.25 },
    ]);
    assert.ok(back.orderly < 1);
  });
  it("of a long random walk have the share 6/π² on their first axis", () => {
    const random = seeded(5);
    const [depth, width] = [60, 4000];
    const data = new Float32Array(depth * width);
    for (let i = width; i < data.length; i++) data[i] = data[i - width] + random.normal();
    const [{ linearity, walk }] = pathShapes(tensor(data, [depth, 1, width]));
    assert.ok(Math.abs(linearity - 6 / Math.PI ** 2) < 0.02, `${linearity}`);
    assert.ok(Math.abs(linearity - walk.linearity) < 0.01, `${linearity} against ${walk.linearity}`);
  });
});

describe("re-clustering", () => {
  const answers = Array.from({ length: 24 }, (_, i) => ["cat", "dog", "sheep"][i % 3]);
  const state = (seed: number, gather: number) =>
    [...uniform(seed, 24 * 6)].map((value, i) => value + (i % 6 === Math.floor(i / 6) % 3 ? gather : 0));
  it("is found at a last state that gathers like answers, not at one that does not", () => {
    const gathered = reclustering(
      float32([...state(1, 0), ...state(2, 0), ...state(3, 2)], 3, 24, 6),
      answers,
      { draws: 199 },
    );
    assert.equal(gathered.rise.p, 1 / 200);
    assert.ok(gathered.silhouette[2] > 0.5 && gathered.silhouette[1] < 0.1);
    assert.ok(gathered.labelAgreement[2] < gathered.labelAgreement[1]);
    const not = reclustering(float32([...state(1, 0), ...state(3, 2), ...state(2, 0)], 3, 24, 6), answers, {
      draws: 199,
    });
    assert.ok(not.rise.p > 0.9);
  });
});
