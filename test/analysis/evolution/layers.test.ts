import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { jsDivergence } from "../../../lib/analysis/distance/divergence.js";
import { mutations } from "../../../lib/analysis/evolution/mutations.js";
import { movementToward, movementTowardTest } from "../../../lib/analysis/evolution/prior.js";
import { controlPlan, skipPlans } from "../../../lib/analysis/evolution/skip-plans.js";
import {
  criticalBlock,
  emergence,
  evolutionStages,
  firstStableLayer,
  medianChange,
} from "../../../lib/analysis/evolution/stages.js";
import { tensor } from "../../../lib/tensor.js";
import { assertClose } from "../goldens.js";
import { uniform } from "./goldens.js";

/** 10 blocks, 20 tokens: rapid up to block 3, then calm; every fourth token mutates at block 7, and one at 8. */
function planted() {
  const noise = uniform(21, 200);
  const data = noise.map((value, i) => {
    const [b, t] = [Math.floor(i / 20), i % 20];
    const level = b <= 3 ? 0.6 : 0.02;
    return level * (1 + 0.4 * value) + ((b === 7 && t % 4 === 0) || (b === 8 && t === 5) ? 0.4 : 0);
  });
  return tensor(data, [10, 20]);
}

describe("critical layers", () => {
  it("end where changes fall, whatever a few tokens do", () => {
    const { block, before, after, explained } = criticalBlock(planted());
    assert.equal(block, 3);
    assertClose([before, after], [0.6, 0.02], 0.1, "levels");
    assert.ok(explained > 0.99);
  });
  it("are none on a flat curve, a rising one, or one that falls too little", () => {
    const rows = (...levels: number[]) => levels.map((level) => [level, level, level]);
    assert.equal(criticalBlock(rows(0.1, 0.1, 0.1, 0.1)).block, undefined);
    assert.equal(criticalBlock(rows(0.1, 0.1, 0.5, 0.5)).block, undefined);
    assert.equal(criticalBlock(rows(0.5, 0.5, 0.3, 0.3)).block, undefined);
    assert.equal(criticalBlock(rows(0.5, 0.5, 0.3, 0.3), { fall: 1.5 }).block, 1);
  });
  it("do not count what the first block does to the embedding", () => {
    const rows = [0.98, 0.2, 0.21, 0.02, 0.01].map((level) => [level]);
    assert.equal(criticalBlock(rows).block, 2);
  });
  it("by probability: half of the largest; and the block from which the token leads", () => {
    const probability = [
      [1, 0, 0],
      [0.01, 0.1, 0.3],
      [0.39, 0.2, 0.31],
      [0.4, 0.9, 0.1],
      [0.8, 0.1, 0.32],
    ];
    assert.deepEqual([...emergence(probability)], [2, 2, 0]);
    const rank = [
      [1, 9, 5],
      [3, 1, 1],
      [1, 1, 2],
      [1, 1, 1],
      [1, 1, 2],
    ];
    assert.deepEqual([...firstStableLayer(rank)], [1, 0, 4]);
  });
  it("median over tokens, odd and even", () => {
    assert.deepEqual([...medianChange([[3, 1, 2]])], [2]);
    assert.deepEqual([...medianChange([[4, 1, 2, 3]])], [2.5]);
  });
});

describe("stages", () => {
  it("are found where they were planted, with what a third one brings", () => {
    const { starts, calms, risesAgain, costs } = evolutionStages([8, 9, 7, 1, 2, 1, 1, 4, 5]);
    assert.deepEqual(starts, [1, 3, 7]);
    assert.ok(calms && risesAgain);
    assert.equal(costs.length, 6);
    assertClose([costs[2]], [2 + 0.75 + 0.5], 1e-12, "three stages, by hand");
    assert.equal(evolutionStages([9, 8, 5, 5, 1, 1]).risesAgain, false);
  });
});

describe("mutation layers", () => {
  it("are the peaks of the share of tokens that stand out from their own later changes", () => {
    const found = mutations(planted(), { critical: 3 });
    assert.deepEqual(found.layers, [7]);
    assert.deepEqual(
      found.tokens.flatMap((mutates, t) => (mutates ? [t] : [])),
      [0, 4, 5, 8, 12, 16],
    );
    assert.equal(found.shares[7], 5 / 20);
    assert.ok(found.chance < 5 / 20 && found.chance >= 1 / 20);
  });
  it("are none where every token mutates at a block of its own", () => {
    const change = Array.from({ length: 12 }, (_, b) =>
      Array.from({ length: 40 }, (_, t) => (b <= 3 ? 0.3 : b === 4 + ((5 * t) % 8) ? 0.5 : 0.01)),
    );
    const found = mutations(change, { critical: 3 });
    assert.ok(found.tokens.every(Boolean));
    assert.deepEqual(found.layers, []);
  });
  it("are none where a token moves at every block, whatever its size, or still calms down", () => {
    const always = [0.6, 0.4, 0.41, 0.4, 0.41, 0.4].map((level) => [level, level / 10]);
    assert.deepEqual(mutations(always, { critical: 0 }).tokens, [false, false]);
    const falling = [0.9, 0.7, 0.4, 0.1, 0.1, 0.1].map((level) => [level]);
    assert.deepEqual(mutations(falling, { critical: 0 }).tokens, [false]);
  });
  it("need a height that can be chosen, and three blocks behind the critical one", () => {
    assert.deepEqual(mutations(planted(), { critical: 3, prominence: 0.6 }).tokens.includes(true), false);
    assert.throws(() => mutations(planted(), { critical: 7 }), /behind block 7 of 10/);
  });
});

describe("skip plans", () => {
  it("are the document's three", () => {
    const plans = skipPlans({ blocks: 12, critical: 4, mutations: [8, 10], last: 2 });
    assert.deepEqual(
      plans.map(({ name, skip, saved }) => [name, skip, saved]),
      [
        ["skip.1", [5, 6, 7], 3 / 12],
        ["skip.2", [8, 10], 2 / 12],
        ["skip.3", [5, 6, 7, 8, 9], 5 / 12],
      ],
    );
  });
  it("skip nothing for want of mutations, and refuse those that cannot be", () => {
    const [one, two, three] = skipPlans({ blocks: 6, critical: 2, mutations: [] });
    assert.deepEqual([one.skip, two.skip, three.skip], [[], [], [3]]);
    assert.match(one.says, /no mutation layer/);
    assert.throws(() => skipPlans({ blocks: 6, critical: 2, mutations: [2] }), /Block 2 cannot/);
    assert.throws(() => skipPlans({ blocks: 6, critical: 6, mutations: [] }), /critical block 6/);
  });
  it("have a control of the same size that skips none of the same blocks", () => {
    const [, two] = skipPlans({ blocks: 12, critical: 4, mutations: [8, 10] });
    const candidates = [5, 6, 7, 8, 9, 10, 11];
    const { skip, saved } = controlPlan(two, { candidates, blocks: 12, seed: 3 });
    assert.equal(saved, two.saved);
    assert.ok(skip.every((b) => candidates.includes(b) && !two.skip.includes(b)));
    assert.throws(() => controlPlan(two, { candidates: [8, 9], blocks: 12 }), /there are 1/);
  });
});

describe("movement towards a prior", () => {
  const prior = [0.7, 0.2, 0.1];
  const away = [0.1, 0.2, 0.7];
  const js = (p: number[]): number => jsDivergence(p, prior);
  it("is straight when a block lands on it, straight away on the way back, and 0 when nothing moves", () => {
    const way = [away, prior, away, away];
    const change = way.slice(1).map((p, b) => [jsDivergence(way[b], p)]);
    const { bits, directness } = movementToward(
      way.map((p) => [js(p)]),
      change,
    );
    assertClose(directness.data, [1, -1, 0], 1e-12, "directness");
    assertClose(bits.data, [js(away), -js(away), 0], 1e-12, "bits");
  });
  it("is found where mutations were planted towards it, and not where they turn aside", () => {
    const random = uniform(31, 400);
    const mutated = Array.from({ length: 8 }, (_, b) =>
      Array.from({ length: 20 }, (_, t) => (b === 2 + (t % 6) ? 1 : 0)),
    );
    const movement = (gain: number) =>
      mutated.map((row, b) => row.map((mark, t) => random[b * 20 + t] + gain * mark));
    const options = { critical: 1, draws: 999 };
    const towards = movementTowardTest(movement(0.6), mutated, options);
    assert.ok(towards.p <= 0.002, `p ${towards.p}`);
    assert.equal(towards.labelled.n, 20);
    assert.ok(movementTowardTest(movement(-0.6), mutated, options).p > 0.99);
  });
});
