import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  barycentricMap,
  exactTransport,
  sinkhorn,
  squaredDistanceCost,
  uniformWeights,
} from "../../../lib/analysis/distance/optimal-transport.js";
import { asMatrix, zeros } from "../../../lib/analysis/linalg/matrix.js";
import { seeded } from "../../../lib/random.js";
import { assertClose, goldens } from "../goldens.js";

const { transport } = goldens;
const swap = [
  [0, 1],
  [1, 0],
];

/** Least mean cost over all assignments, by trying them. */
function bruteAssignment(cost: number[][]): number {
  const go = (rows: number, used: number): number => {
    if (rows === cost.length) return 0;
    let best = Number.POSITIVE_INFINITY;
    for (let j = 0; j < cost.length; j++) {
      if (((used >> j) & 1) === 0) best = Math.min(best, cost[rows][j] + go(rows + 1, used | (1 << j)));
    }
    return best;
  };
  return go(0, 0) / cost.length;
}

describe("exact transport", () => {
  it("gives the known answer", async () => {
    const { plan, cost } = await exactTransport([0.5, 0.5], [0.5, 0.5], swap);
    assert.deepEqual(Array.from(plan.data), [0.5, 0, 0, 0.5]);
    assert.equal(cost, 0);
  });
  it("agrees with POT's emd for unequal weights, plan and cost, to 1e-9", async () => {
    const { plan, cost } = await exactTransport(transport.a, transport.b, transport.cost);
    assertClose([cost], [transport.emd], 1e-9, "cost");
    assertClose(plan.data, transport.plan.flat(), 1e-9, "plan");
  });
  it("agrees with POT on squared distances, and so does its barycentric map", async () => {
    const { x, y } = transport;
    const { plan, cost } = await exactTransport(
      uniformWeights(8),
      uniformWeights(11),
      squaredDistanceCost(x, y),
    );
    assertClose([cost], [transport.uniformCost], 1e-9, "cost");
    assertClose(barycentricMap(plan, x).data, transport.barycentric.flat(), 1e-9, "map");
  });
  it("is the best assignment when the weights are equal, whatever the scale of the costs", async () => {
    const random = seeded(3);
    for (const scale of [1e-5, 1, 1e6]) {
      const cost = Array.from({ length: 7 }, () => Array.from({ length: 7 }, () => scale * random.uniform()));
      const found = await exactTransport(uniformWeights(7), uniformWeights(7), cost);
      assertClose([found.cost], [bruteAssignment(cost)], 1e-12, `scale ${scale}`);
    }
  });
  it("keeps both marginals to 1e-12 at 60 × 45", async () => {
    const cost = zeros(60, 45);
    const random = seeded(4);
    cost.data.forEach((_, i) => {
      cost.data[i] = random.uniform();
    });
    const { plan } = await exactTransport(uniformWeights(60), uniformWeights(45), cost);
    const rows = Array.from({ length: 60 }, (_, i) =>
      plan.data.subarray(i * 45, (i + 1) * 45).reduce((a, b) => a + b),
    );
    const columns = Array.from({ length: 45 }, (_, j) =>
      rows.reduce((sum, _r, i) => sum + plan.data[i * 45 + j], 0),
    );
    assertClose(rows, uniformWeights(60), 1e-12, "rows");
    assertClose(columns, uniformWeights(45), 1e-12, "columns");
    assert.ok(plan.data.filter((v) => v > 0).length <= 60 + 45 - 1, "the plan is a vertex");
  });
  it("refuses weights that do not fit", async () => {
    await assert.rejects(exactTransport([0.5, 0.5], [1, 1], swap), /sum to 1, the target weights to 2/);
    await assert.rejects(exactTransport([1], [0.5, 0.5], swap), /must be equal/);
    await assert.rejects(exactTransport([-0.5, 1.5], [0.5, 0.5], swap), /negative/);
  });
});

describe("Sinkhorn", () => {
  it("gives the known answer", () => {
    const { plan, cost } = sinkhorn([0.5, 0.5], [0.5, 0.5], swap, 1);
    assertClose(plan.data, [0.36552929, 0.13447071, 0.13447071, 0.36552929], 1e-7, "plan");
    assertClose([cost], [0.2689414214], 1e-9, "cost");
  });
  it("agrees with POT to 1e-7", () => {
    const { plan } = sinkhorn(transport.a, transport.b, transport.cost, 2, { tolerance: 1e-12 });
    assertClose(plan.data, transport.sinkhorn.flat(), 1e-7, "plan");
  });
  it("comes to the exact plan as reg falls, where plain scalings underflow", () => {
    const { cost } = sinkhorn(transport.a, transport.b, transport.cost, 0.01, {
      tolerance: 1e-7,
      maxIterations: 1e6,
    });
    assertClose([cost], [transport.emd], 1e-3, "cost");
  });
  it("says when it has not converged, and refuses reg 0", () => {
    assert.throws(
      () => sinkhorn(transport.a, transport.b, transport.cost, 0.01, { maxIterations: 3 }),
      /3 steps/,
    );
    assert.throws(() => sinkhorn([1], [1], [[0]], 0), /above 0/);
  });
});

it("the barycentric map is each target's weighted mean, and refuses a target without mass", () => {
  const mapped = barycentricMap(
    [
      [0.25, 0.5],
      [0.25, 0],
    ],
    asMatrix([
      [2, 0],
      [4, 8],
    ]),
  );
  assertClose(mapped.data, [3, 4, 2, 0], 1e-14, "map");
  assert.throws(() => barycentricMap([[1, 0]], [[1]]), /No mass reaches target 1/);
});
