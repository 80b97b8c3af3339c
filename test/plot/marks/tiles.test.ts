import assert from "node:assert/strict";
import { test } from "node:test";
import { tiles } from "../../../lib/plot/marks/tiles.js";

const categories = [
  { name: "yes", color: "#0072b2", mark: "+" },
  { name: "no", color: "#d55e00", mark: "-" },
  { name: "unknown", color: "#808080", mark: "?" },
];
const options = { categories, rows: ["a", "b"], columns: ["x", "y"] };

test("tiles place each category's number, mark and note", () => {
  const [trace] = tiles(
    [
      [{ category: "yes" }, { category: "no", mark: "!", note: "why <b>" }],
      [{ category: "unknown" }, { category: "yes" }],
    ],
    options,
  ).data;
  assert.deepEqual(trace.z, [
    [0, 1],
    [2, 0],
  ]);
  assert.deepEqual(trace.text, [
    ["+", "!"],
    ["?", "+"],
  ]);
  assert.deepEqual((trace.customdata as string[][][])[0][1], ["a", "y", "no", "why &lt;b&gt;"]);
});

test("the colour scale of tiles has one flat step for each category", () => {
  const [trace] = tiles([[{ category: "no" }]], { ...options, rows: ["a"], columns: ["x"] }).data;
  const scale = trace.colorscale as [number, string][];
  const { zmin = Number.NaN, zmax = Number.NaN } = trace;
  categories.forEach(({ color }, i) => {
    const place = (i - zmin) / (zmax - zmin);
    const step = scale.findIndex(([at], k) => at <= place && place < scale[k + 1][0]);
    assert.deepEqual([scale[step][1], scale[step + 1][1]], [color, color]);
  });
});

test("tiles of an unknown category or of another size than their labels are refused", () => {
  const row = [{ category: "yes" }, { category: "no" }];
  assert.throws(() => tiles([row], options), /tiles: the table has 1 entries, but `rows` has 2/);
  assert.throws(() => tiles([row, row.slice(1)], options), /row 1 has 1 entries/);
  assert.throws(
    () => tiles([row, [{ category: "yes" }, { category: "maybe" }]], options),
    /no category "maybe"/,
  );
  assert.throws(() => tiles([], { ...options, rows: [] }), /nothing to draw/i);
});
