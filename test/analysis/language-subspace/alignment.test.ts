import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { alignSource, sameNormPatch } from "../../../lib/analysis/language-subspace/alignment.js";
import { asMatrix, row, squaredNorm } from "../../../lib/analysis/linalg/matrix.js";
import { projectOnto, randomSubspace } from "../../../lib/analysis/linalg/subspace.js";
import { seeded } from "../../../lib/random.js";

const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-12): void => {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++)
    assert.ok(Math.abs(a[i] - b[i]) <= tolerance, `element ${i}: ${a[i]}, ${b[i]}`);
};

describe("alignSource", () => {
  it("gives one row, the mean, for all tokens", async () => {
    const source = [
      [1, 2],
      [3, 6],
    ];
    const { data, shape } = await alignSource(source, [[0, 0]], "mean");
    assert.deepEqual(shape, [1, 2]);
    close(data, [2, 4]);
  });

  it("finds the permutation when the target is the source in another order", async () => {
    const source = [
      [0, 0],
      [10, 0],
      [0, 10],
    ];
    const target = [source[2], source[0], source[1]];
    const { data, shape } = await alignSource(source, target, "transport");
    assert.deepEqual(shape, [3, 2]);
    close(data, target.flat(), 1e-9);
  });

  it("splits mass between texts of different lengths", async () => {
    // Two sources, four targets: each source serves the two targets near it.
    const { data } = await alignSource([[0], [10]], [[1], [9], [-1], [11]], "transport");
    close(data, [0, 10, 0, 10], 1e-9);
    // Four sources, one target: their mean.
    const { data: merged } = await alignSource([[1], [2], [3], [6]], [[0]], "transport");
    close(merged, [3], 1e-9);
  });

  it("refuses clouds of different widths", async () => {
    await assert.rejects(alignSource([[1, 2]], [[1]], "mean"), /dimensions/);
  });
});

describe("sameNormPatch", () => {
  it("lies in the control's span, along its content, with the other patch's length", () => {
    const random = seeded(3);
    const cloud = (rows: number) =>
      asMatrix(Array.from({ length: rows }, () => Array.from({ length: 12 }, () => random.normal())));
    const [h, s] = [cloud(5), cloud(1)];
    const [basis, control] = [randomSubspace(3, 12, 1), randomSubspace(3, 12, 2)];
    const patch = sameNormPatch(h, s, basis, control);
    const change = asMatrix(Array.from({ length: 5 }, (_, t) => s.data.map((v, j) => v - row(h, t)[j])));
    const [wanted, along] = [projectOnto(change, basis), projectOnto(change, control)];
    close(projectOnto(patch, control).data, patch.data);
    for (let t = 0; t < 5; t++) {
      close([squaredNorm(row(patch, t))], [squaredNorm(row(wanted, t))]);
      const factor = row(patch, t)[0] / row(along, t)[0];
      assert.ok(factor > 0);
      close(
        row(patch, t),
        row(along, t).map((v) => v * factor),
      );
    }
  });

  it("is the patch itself when the control is the subspace, and nothing where nothing changes", () => {
    const basis = randomSubspace(2, 6, 5);
    const h = [
      [1, 2, 3, 4, 5, 6],
      [0, 1, 0, 1, 0, 1],
    ];
    const patch = sameNormPatch(h, [h[1]], basis, basis);
    const wanted = projectOnto([h[1].map((v, j) => v - h[0][j])], basis);
    close(row(patch, 0), wanted.data);
    close(row(patch, 1), new Float64Array(6));
  });
});
