import assert from "node:assert/strict";
import { test } from "node:test";
import { concepts } from "../../../lib/plot/concepts.js";
import { forest } from "../../../lib/plot/marks/forest.js";

const rows = [
  { name: "Z", estimate: 0.4, low: 0.1, high: 0.6, null: [-0.9, 0.2], group: "Z", color: concepts.Z },
  { name: "full", estimate: 1, low: 0.5, high: 1.5, group: "full", color: concepts.full },
] as const;

test("a forest plot has a point and an interval for each row, and the null as a band in its row", () => {
  const { data, layout } = forest(rows, { x: "nats" });
  assert.deepEqual(
    data.map((trace) => [trace.name, trace.x, trace.y]),
    [
      ["Z", [0.4], [0]],
      ["full", [1], [1]],
    ],
  );
  const error = data[0].error_x as { array: number[]; arrayminus: number[] };
  assert.ok(Math.abs(error.array[0] - 0.2) < 1e-12 && Math.abs(error.arrayminus[0] - 0.3) < 1e-12);
  const [band] = layout.shapes ?? [];
  assert.deepEqual([band.x0, band.x1, band.y0, band.y1], [-0.9, 0.2, -0.4, 0.4]);
  // Shapes do not widen plotly's own range.
  const [from, to] = (layout.xaxis as { range: [number, number] }).range;
  assert.ok(from < -0.9 && to > 1.5);
});

test("a row's limits are lines in it, inside the axis; rows that are their own groups need no legend", () => {
  const { layout } = forest([{ ...rows[0], limits: [-2, 3] }, rows[1]]);
  assert.equal(layout.showlegend, false);
  const lines = (layout.shapes ?? []).filter(({ type }) => type === "line");
  assert.deepEqual(
    lines.map(({ x0, x1, y0, y1 }) => [x0, x1, y0, y1]),
    [
      [-2, -2, -0.4, 0.4],
      [3, 3, -0.4, 0.4],
    ],
  );
  const [from, to] = (layout.xaxis as { range: [number, number] }).range;
  assert.ok(from < -2 && to > 3);
  assert.equal(forest([rows[0], { ...rows[1], group: "other" }]).layout.showlegend, true);
});

test("a forest plot refuses a value outside its interval, and nothing", () => {
  assert.throws(() => forest([{ name: "odd", estimate: 2, low: 0, high: 1 }]), /"odd" is 2 \[0, 1\]/);
  assert.throws(() => forest([]), /nothing to draw/);
});
