import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { wilson } from "../../lib/analysis/index.js";
import { seeded } from "../../lib/random.js";
import { gate } from "../../lib/studies/gate.js";

const flags = (n: number, right: number): boolean[] => Array.from({ length: n }, (_, i) => i < right);

describe("the gate", () => {
  it("lets those kinds of task pass that the image makes easier, beyond chance", () => {
    const { rows, passed } = gate([
      { kind: "colour", correct: flags(100, 90), blind: flags(100, 20) },
      { kind: "count", correct: flags(100, 26), blind: flags(100, 20) },
      { kind: "prior", correct: flags(100, 95), blind: flags(100, 95) },
      { kind: "maths", correct: flags(100, 60), blind: 0.25 },
      { kind: "guess", correct: flags(100, 30), blind: 0.25 },
    ]);
    assert.deepEqual([...passed], ["colour", "maths"]);
    assert.deepEqual(rows[0].accuracy, wilson(90, 100));
    assert.deepEqual(rows[0].blind, wilson(20, 100));
    assert.equal(rows[0].difference.level, 0.99);
    assert.equal(Math.round(100 * rows[3].difference.estimate), 35);
  });
  it("counts clusters and not their questions", () => {
    const right = Array.from({ length: 120 }, (_, i) => i % 60 < 36);
    const blind = Array.from({ length: 120 }, (_, i) => i % 60 < 24);
    const clusters = Array.from({ length: 120 }, (_, i) => Math.floor((i % 60) / 12));
    const passes = (own: number[] | undefined): boolean =>
      gate([{ kind: "maths", correct: right, blind, clusters: own }]).passed.has("maths");
    assert.deepEqual([passes(undefined), passes(clusters)], [true, false]);
  });
  it("lets a model pass that does not look at images in at most 2.5% of runs of six kinds", () => {
    const random = seeded(5);
    const guesses = (): boolean[] => Array.from({ length: 100 }, () => random.uniform() < 0.3);
    let passed = 0;
    const runs = 400;
    for (let run = 0; run < runs; run++)
      passed += Math.sign(
        gate([..."abcdef"].map((kind) => ({ kind, correct: guesses(), blind: guesses() }))).passed.size,
      );
    // Of a share of 0.025 in 400 runs three standard errors are 0.023.
    assert.ok(passed / runs <= 0.048, `${passed} of ${runs}`);
  });
  it("refuses what it cannot compare", () => {
    assert.throws(() => gate([]), /no kinds/);
    assert.throws(
      () => gate([{ kind: "a", correct: [true, true], blind: [true] }]),
      /2 answers .* and 1 without/,
    );
    const twice = { kind: "a", correct: [true, false], blind: 0 };
    assert.throws(() => gate([twice, twice]), /kind "a" twice/);
  });
});
