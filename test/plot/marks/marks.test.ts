import assert from "node:assert/strict";
import { test } from "node:test";
import { bars } from "../../../lib/plot/marks/bars.js";
import { heatmap } from "../../../lib/plot/marks/heatmap.js";
import { binCounts, histogram } from "../../../lib/plot/marks/histogram.js";
import { lines, steps } from "../../../lib/plot/marks/lines.js";
import { scatter } from "../../../lib/plot/marks/scatter.js";
import type { SeriesInput } from "../../../lib/plot/marks/series.js";
import { spectrum } from "../../../lib/plot/marks/spectrum.js";
import type { Figure, Trace } from "../../../lib/plot/plotly.js";
import { seeded } from "../../../lib/random.js";
import { tensor } from "../../../lib/tensor.js";

const trace = (figure: Figure, index = 0): Trace & Record<string, never> => figure.data[index] as never;
const axis = (figure: Figure, name: string): Record<string, unknown> => figure.layout[name] as never;

test("lines keep values and gaps, and take tensors, arrays and named series alike", () => {
  const values = [0.5, Number.NaN, -2, Number.POSITIVE_INFINITY];
  const inputs: SeriesInput[] = [
    values,
    Float64Array.from(values),
    tensor(Float64Array.from(values), [4]),
    { y: values },
    { a: values },
  ];
  for (const input of inputs) {
    const figure = lines(input, { x: "layer", y: "bits" });
    assert.equal(figure.data.length, 1);
    assert.deepEqual(trace(figure).y, [0.5, null, -2, null]);
    assert.deepEqual(trace(figure).x, [0, 1, 2, 3]);
  }
  assert.equal(trace(lines({ hard: values, easy: values }), 1).name, "easy");
});

test("float32 values are stored with the seven digits that they hold", () => {
  const figure = lines(Float32Array.of(0.1, 1 / 3, 16_777_216));
  assert.deepEqual(trace(figure).y, [0.1, 0.3333333, 16_777_216]);
});

test("every figure has a title and axis titles", () => {
  const figure = lines([1, 2], { x: "layer", y: "entropy (bits)" });
  assert.equal(figure.layout.title?.text, "entropy (bits) by layer");
  assert.deepEqual(axis(figure, "xaxis").title, { text: "layer" });
  assert.deepEqual(axis(figure, "yaxis").title, { text: "entropy (bits)" });
});

test("a band outlines its interval, in one closed run for each unbroken stretch", () => {
  const low = [0, 1, Number.NaN, 3, 4];
  const high = [2, 3, 4, 5, 6];
  const [band] = lines({ y: [1, 2, 3, 4, 5], low, high }).data;
  assert.deepEqual(band.x, [0, 1, 1, 0, null, 3, 4, 4, 3]);
  assert.deepEqual(band.y, [2, 3, 1, 0, null, 5, 6, 4, 3]);
  assert.equal(band.fill, "toself");
});

test("the band of steps follows the steps", () => {
  const [band, line] = steps({ y: [1, 2], low: [0, 1], high: [2, 3] }).data;
  assert.deepEqual(band.x, [0, 1, 1, 1, 1, 0]);
  assert.deepEqual(band.y, [2, 2, 3, 1, 0, 0]);
  assert.equal((line.line as { shape: string }).shape, "hv");
});

test("quartiles of samples are the textbook's", () => {
  // Type 7 of 1 … 5: 2, 3, 4; of 1, 2, 3, 4: 1.75, 2.5, 3.25. NaN is left out.
  const figure = lines(
    [
      [5, 1, 4, 2, 3],
      [1, 2, Number.NaN, 3, 4],
    ],
    { band: "quartiles" },
  );
  const [band, line] = figure.data;
  assert.deepEqual(line.y, [3, 2.5]);
  assert.deepEqual(line.customdata, [
    [2, 4],
    [1.75, 3.25],
  ]);
  assert.deepEqual(band.y, [4, 3.25, 1.75, 2]);
  assert.match(JSON.stringify(figure.layout.title), /median and quartiles, n = 4 to 5/);
});

test("the bootstrap interval of a mean agrees with ±1.96 standard errors on many normal samples", () => {
  const random = seeded(3);
  const n = 400;
  const samples = Array.from({ length: n }, () => 2 + random.normal());
  const mean = samples.reduce((a, b) => a + b) / n;
  const error = Math.sqrt(samples.reduce((a, v) => a + (v - mean) ** 2, 0) / n / n);
  const [, line] = lines(tensor(Float64Array.from(samples), [1, n]), { band: "bootstrap" }).data;
  const [[low, high]] = line.customdata as number[][];
  // 1000 resamples place each end within about a tenth of a standard error.
  assert.ok(Math.abs(low - (mean - 1.96 * error)) < 0.2 * error, `low end ${low}`);
  assert.ok(Math.abs(high - (mean + 1.96 * error)) < 0.2 * error, `high end ${high}`);
  assert.ok(Math.abs((line.y as number[])[0] - mean) < 1e-6);
});

test("names on the x axis may repeat", () => {
  const figure = lines({ y: [1, 2, 3], x: ["the", "cat", "the"] });
  assert.deepEqual(trace(figure).x, [0, 1, 2]);
  assert.deepEqual(axis(figure, "xaxis").ticktext, ["the", "cat", "the"]);
});

test("wrong input is named", () => {
  const fails: [() => unknown, RegExp][] = [
    [() => lines([Number.NaN, Number.NaN]), /series "0" holds no finite number/],
    [() => lines([]), /no series/],
    [() => lines({ a: [] }), /series "a" is empty/],
    [() => lines({ name: "a", y: [1, 2], x: [1, 2, 3] }), /x has 3 entries.*but y has 2/],
    [() => lines({ y: [1, 2], low: [0, 0] }), /only one end/],
    [() => lines({ y: [1, 2], low: [0, 3], high: [1, 2] }), /position 1.*low end 3 is above/],
    [() => lines([1, 2], { band: "bootstrap" }), /needs samples/],
    [
      () => lines([[1, 2]], { band: "bootstrp" as never }),
      /band of lines is "bootstrp".*Did you mean "bootstrap"/,
    ],
    [() => lines(tensor(new Float32Array(8), [2, 2, 2])), /shape \(2, 2, 2\)/],
    [() => lines([[1, 2], [1]]), /rows of different lengths/],
    [() => lines([1, 2], { yLog: true, yRange: [0, 1] }), /positive numbers only/],
    [
      () =>
        lines([
          { y: [1], x: ["a"] },
          { y: [1], x: ["b"] },
        ]),
      /names other places/,
    ],
    [() => bars({ a: [1, 2] }, { categories: ["x"] }), /has 2 entries.*`categories` has 1/],
    [() => heatmap([[Number.NaN]]), /no finite number/],
    [() => heatmap([[1, 2]], { columns: ["a"] }), /`columns` has 1 entries.*second axis has 2/],
    [() => heatmap([[1, 2]], { range: [2, 1] }), /runs from 2 to 1/],
    [() => heatmap(tensor(new Float32Array(1_002_001).fill(1), [1001, 1001])), /1,002,001 numbers/],
    [() => histogram([1, 2], { bins: [0, 0] }), /do not rise/],
    [() => histogram([1, 2], { bins: 0 }), /bins of histogram is 0/],
    [() => scatter({ x: [1, 2], y: [1] }), /y has 1 entries.*x has 2/],
    [() => scatter([]), /no points/],
    [() => spectrum([1, -1]), /holds -1/],
  ];
  for (const [call, message] of fails) assert.throws(call, { name: "ModalscopeError", message });
});

test("bars: error bars are distances, categories may repeat or be digits", () => {
  const figure = bars([{ name: "run", y: [0.25, 0.5], low: [0.125, 0.25], high: [0.5, 1] }], {
    categories: ["1", "1"],
  });
  const bar = trace(figure);
  assert.deepEqual(bar.x, [0, 1]);
  assert.deepEqual(axis(figure, "xaxis").ticktext, ["1", "1"]);
  const { array, arrayminus } = bar.error_y as { array: number[]; arrayminus: number[] };
  assert.deepEqual(
    [array, arrayminus],
    [
      [0.25, 0.5],
      [0.125, 0.25],
    ],
  );
  const lying = trace(bars({ a: [1, 2] }, { categories: ["x", "y"], horizontal: true }));
  assert.deepEqual([lying.x, lying.y, lying.orientation], [[1, 2], [0, 1], "h"]);
});

test("heatmap: values on both sides of 0 get diverging colours with 0 in their middle", () => {
  const map = trace(
    heatmap([
      [-1, 3],
      [0, Number.NaN],
    ]),
  );
  assert.deepEqual([map.zmin, map.zmax, map.autocolorscale], [-3, 3, true]);
  assert.deepEqual(map.z, [
    [-1, 3],
    [0, null],
  ]);
  const positive = trace(heatmap([[1, 3]]));
  assert.deepEqual([positive.zmin, positive.zmax], [1, 3]);
  const sequential = trace(heatmap([[-1, 3]], { colors: "sequential" }));
  assert.deepEqual([sequential.zmin, sequential.zmax, Array.isArray(sequential.colorscale)], [-1, 3, true]);
  assert.deepEqual(trace(heatmap([[2, 2]])).zmax, 3);
});

test("histogram: a bin holds its left edge, the last one both", () => {
  assert.deepEqual(binCounts([0, 1, 1, 2.5, 4, 5, -1, Number.NaN], [0, 1, 2, 4]), {
    edges: [0, 1, 2, 4],
    counts: [1, 2, 2],
    left: 3,
  });
  const figure = histogram({ a: [0, 0, 1, 2], b: [4] }, { bins: [0, 1, 2, 4], density: true });
  // Density: 2/4 over width 1, 1/4 over width 1, 1/4 over width 2.
  assert.deepEqual(trace(figure).y, [0.5, 0.25, 0.125]);
  assert.deepEqual(trace(figure, 1).y, [0, 0, 0.5]);
  assert.deepEqual(trace(figure).x, [0.5, 1.5, 3]);
  const all = histogram(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  assert.equal(
    (trace(all).y as number[]).reduce((a, b) => a + b),
    8,
  );
  assert.deepEqual(trace(histogram([3, 3, 3])).y, [3]);
});

test("scatter: colours by value share one scale", () => {
  const figure = scatter(
    [
      { name: "a", x: [0, 1], y: [0, 1], value: [5, 6], labels: ["<s>", "b"] },
      { name: "b", x: [0], y: [2], value: [9] },
    ],
    { value: "layer" },
  );
  const points = figure.data.filter((t) => (t.x as unknown[])[0] !== null);
  assert.deepEqual(
    points.map((t) => (t.marker as { coloraxis: string }).coloraxis),
    ["coloraxis", "coloraxis"],
  );
  assert.deepEqual((points[0].marker as { color: number[] }).color, [5, 6]);
  assert.deepEqual(points[0].text, ["&lt;s&gt;", "b"]);
});

test("spectrum sorts, and its variance is the running share of squares", () => {
  assert.deepEqual(trace(spectrum([1, 3, 0, 2])).y, [3, 2, 1, null]);
  // 3² + 2² + 1² = 14.
  const share = trace(spectrum([1, 3, 2], { show: "variance" }));
  assert.deepEqual(
    share.y,
    [9 / 14, 13 / 14, 1].map((v) => Number(v.toPrecision(7))),
  );
  assert.deepEqual(share.x, [1, 2, 3]);
});
