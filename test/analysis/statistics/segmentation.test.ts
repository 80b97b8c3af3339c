import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelTest } from "../../../lib/analysis/statistics/labels.js";
import { piecewiseLine, segment } from "../../../lib/analysis/statistics/segmentation.js";
import { goldens, uniform } from "../evolution/goldens.js";
import { assertClose } from "../goldens.js";

const levels = (values: number[], lengths: number[]): number[] =>
  lengths.flatMap((length, k) => Array<number>(length).fill(values[k]));
const series = uniform(4, 24).map((value, i) => value + levels([2, 0, 0.6, -1], [7, 9, 3, 5])[i]);
const second = uniform(5, 24).map((value, i) => value + levels([0, 1.5], [11, 13])[i]);
const wide = Array.from(series, (value, i) => [value, second[i]]);

describe("segmentation", () => {
  it("cuts where ruptures does: fixed numbers, prices, shortest segments, one and two columns", () => {
    for (const { wide: both, starts, ...options } of goldens.segmentation) {
      const found = segment(both ? wide : series, options);
      assert.deepEqual(found.starts, starts, JSON.stringify({ both, ...options }));
    }
  });
  it("finds steps exactly, at cost 0, with their levels", () => {
    const { starts, means, cost } = segment(levels([5, 1, 3], [4, 3, 5]), { segments: 3 });
    assert.deepEqual(starts, [0, 4, 7]);
    assertClose(means.data, [5, 1, 3], 1e-14, "levels");
    assertClose([cost], [0], 1e-14, "cost");
    assert.deepEqual(segment(levels([5, 1, 3], [4, 3, 5]), { penalty: 0.1 }).starts, [0, 4, 7]);
    assert.deepEqual(segment(levels([5, 1, 3], [4, 3, 5]), { penalty: 1000 }).starts, [0]);
  });
  it("is the best of all segmentations, by going through them", () => {
    const few = series.subarray(0, 10);
    const error = (part: Float64Array): number => {
      const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
      return part.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    };
    let best = Number.POSITIVE_INFINITY;
    for (let a = 1; a < 9; a++)
      for (let b = a + 1; b < 10; b++)
        best = Math.min(best, error(few.subarray(0, a)) + error(few.subarray(a, b)) + error(few.subarray(b)));
    assertClose([segment(few, { segments: 3 }).cost], [best], 1e-12, "cost");
  });
  it("refuses what cannot be cut", () => {
    assert.throws(() => segment([1, 2], { segments: 3 }), /cannot be cut into 3/);
    assert.throws(() => segment([1, 2, 3], {}), /and not both/);
    assert.throws(() => segment([1, 2, 3], { segments: 2, penalty: 1 }), /and not both/);
    assert.throws(() => segment([1, Number.NaN, 3], { segments: 2 }), /NaN/);
  });
});

describe("labels that change places", () => {
  const marks = [1, 0, 1, 0, 0, 1, 0, 0, 1, 0];
  const values = uniform(7, 10).map((value, i) => value + 0.3 * marks[i]);
  it("give the share of all arrangements, in one group and within two", () => {
    const free = labelTest(values, marks);
    assertClose([free.statistic], [goldens.labels.statistic], 1e-12, "statistic");
    // 9999 draws: three standard errors are 0.014.
    assert.ok(Math.abs(free.p - goldens.labels.free) < 0.015, `${free.p}`);
    const groups = marks.map((_, i) => (i < 5 ? "a" : "b"));
    assert.ok(Math.abs(labelTest(values, marks, { groups }).p - goldens.labels.grouped) < 0.015);
  });
  it("keep runs together when shifted: a run of labels has as many places as items", () => {
    const run = [0, 0, 1, 1, 1, 0, 0, 0, 0, 0];
    const rising = run.map((mark) => mark * 2);
    const { p } = labelTest(rising, run, { arrangement: "shift" });
    assert.ok(Math.abs(p - 0.1) < 0.01, `${p}: one shift in ten is the observed one`);
    assert.ok(labelTest(rising, run).p < 0.02, "one choice of three in 120");
  });
  it("need both kinds", () => {
    assert.throws(() => labelTest([1, 2], [0, 0]), /0 of 2 items/);
    assert.throws(() => labelTest([1, 2], [true, true]), /2 of 2 items/);
  });
});

describe("straight pieces", () => {
  it("are found where they were put, and leave no error", () => {
    const made = [5, 4, 3, 2, 1, 7, 7.5, 8, 8.5, 9, 3, 3, 3, 3];
    const { starts, fitted, cost } = piecewiseLine(made, { segments: 3 });
    assert.deepEqual(starts, [0, 5, 10]);
    assertClose(fitted, made, 1e-12, "pieces");
    assert.ok(cost < 1e-20);
  });

  it("have the least error of all cuts", () => {
    const line = (some: number[]): number => {
      const [n, middle] = [some.length, (some.length - 1) / 2];
      const mean = some.reduce((a, b) => a + b, 0) / n;
      const slope =
        some.reduce((sum, y, i) => sum + (i - middle) * y, 0) /
        some.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
      return some.reduce((sum, y, i) => sum + (y - mean - slope * (i - middle)) ** 2, 0);
    };
    const values = Array.from(series);
    const costs = values.map((_, cut) =>
      cut >= 3 && cut <= values.length - 3
        ? line(values.slice(0, cut)) + line(values.slice(cut))
        : Number.POSITIVE_INFINITY,
    );
    const found = piecewiseLine(values, { segments: 2 });
    assert.equal(found.starts[1], costs.indexOf(Math.min(...costs)));
    assert.ok(Math.abs(found.cost - Math.min(...costs)) < 1e-9);
    assert.throws(() => piecewiseLine([1, 2, 3], { segments: 2 }), /cannot be cut/);
  });
});
