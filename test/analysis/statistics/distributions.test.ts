import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digamma, normalQuantile, normalTail } from "../../../lib/analysis/statistics/distributions.js";

describe("distributions", () => {
  it("have scipy's digamma values, to 1e-13", () => {
    for (const [x, value] of [
      [0.1, -10.423754940411076],
      [0.5, -1.9635100260214235],
      [1, -0.5772156649015329],
      [2.5, 0.7031566406452432],
      [11.9, 2.4339335368825377],
      [12, 2.4426616799758123],
      [100.25, 4.602671243274712],
    ]) {
      assert.ok(
        Math.abs(digamma(x) - value) < 1e-13 * Math.max(1, Math.abs(value)),
        `ψ(${x}) is ${digamma(x)}`,
      );
    }
    assert.throws(() => digamma(0), /computed above 0/);
  });

  it("have scipy's normal tails, to a share of 1e-12", () => {
    for (const [x, p] of [
      [-2, 0.9772498680518208],
      [0, 0.5],
      [0.5, 0.3085375387259869],
      [1, 0.15865525393145707],
      [2.9, 0.0018658133003840375],
      [3, 0.0013498980316300933],
      [5, 2.866515718791933e-7],
      [8, 6.22096057427174e-16],
      [20, 2.7536241186061556e-89],
      [37, 5.7255712225239266e-300],
    ]) {
      assert.ok(Math.abs(normalTail(x) / p - 1) < 1e-12, `P(Z > ${x}) is ${normalTail(x)}`);
    }
    for (const p of [0.001, 0.3, 0.9]) assert.ok(Math.abs(normalTail(normalQuantile(p)) - (1 - p)) < 1e-14);
  });
});
