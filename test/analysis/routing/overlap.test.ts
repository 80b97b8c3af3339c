/** Agreement of the experts of two kinds of token. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  expertLoads,
  jaccard,
  jsDivergence,
  mostUsed,
  routerEntropy,
  routingOverlap,
} from "../../../lib/analysis/index.js";
import { seeded } from "../../../lib/random.js";

/** Tokens that choose two different experts of some. */
function choicesOf(experts: readonly number[], tokens: number, seed: number): number[][] {
  const random = seeded(seed);
  return Array.from({ length: tokens }, () => random.shuffle(experts).slice(0, 2));
}

const close = (got: number, want: number): void => {
  assert.ok(Math.abs(got - want) < 1e-12, `${got}, not ${want}`);
};

describe("experts' loads", () => {
  it("are shares of the choices, without those that were not made", () => {
    assert.deepEqual(
      [
        ...expertLoads(
          [
            [0, 2],
            [2, -1],
          ],
          4,
        ),
      ],
      [1 / 3, 0, 2 / 3, 0],
    );
    assert.throws(() => expertLoads([[4, 0]], 4), /expert 4/);
    assert.throws(() => expertLoads([[-1, -1]], 4), /No expert was chosen/);
  });

  it("give the most used ones, of equal ones the first, and no unused ones", () => {
    assert.deepEqual(mostUsed([0.2, 0.3, 0.2, 0.3, 0], 3), [0, 1, 3]);
    assert.deepEqual(mostUsed([0.5, 0, 0.5], 3), [0, 2]);
  });

  it("compare by Jaccard's index", () => {
    close(jaccard([1, 2, 3], [2, 3, 4]), 0.5);
    close(jaccard([1], [2]), 0);
    close(jaccard([], []), 1);
  });
});

describe("a router's entropy", () => {
  it("is 2 bits for four experts alike and 0 for one", () => {
    const [even, sure] = routerEntropy([
      [1, 1, 1, 1],
      [1000, 0, 0, 0],
    ]);
    close(even, 2);
    close(sure, 0);
  });
});

describe("routing overlap of two kinds of token", () => {
  it("is none where they never share an expert, far below shuffled kinds", () => {
    const found = routingOverlap(choicesOf([0, 1], 40, 1), choicesOf([8, 9], 40, 2), { experts: 16 });
    close(found.jaccard.value, 0);
    close(found.divergence.value, 1);
    assert.ok(found.jaccard.p === 0.001 && found.divergence.p === 0.001);
    assert.ok(found.jaccard.floor > 0.1 && found.divergence.floor < 0.2);
  });

  it("is no more than chance where both are routed at random, at unequal counts too", () => {
    const experts = [...Array(16).keys()];
    let significant = 0;
    for (let seed = 0; seed < 40; seed++) {
      const [a, b] = [choicesOf(experts, 60, 2 * seed), choicesOf(experts, 25, 2 * seed + 1)];
      const found = routingOverlap(a, b, { experts: 16, draws: 199, seed });
      assert.equal(found.tokens, 25);
      assert.ok(Math.abs(found.divergence.value - found.divergence.floor) < 0.08);
      if (found.divergence.p <= 0.05) significant++;
    }
    // Of 40 tests at 5% more than 6 come with a probability of 1.4%.
    assert.ok(significant <= 6, `${significant} of 40`);
  });

  it("equals the measures of the loads where there are as many tokens of both, whatever the seed", () => {
    const [a, b] = [choicesOf([0, 1, 2], 20, 3), choicesOf([1, 2, 3], 20, 4)];
    const want = jsDivergence(expertLoads(a, 4), expertLoads(b, 4));
    for (const seed of [0, 1]) {
      const found = routingOverlap(a, b, { experts: 4, most: 4, seed, draws: 20 });
      close(found.divergence.value, want);
      close(found.jaccard.value, 0.5);
    }
    const once = routingOverlap(a, b, { experts: 4, seed: 5, draws: 20 });
    assert.deepEqual(routingOverlap(a, b, { experts: 4, seed: 5, draws: 20 }), once);
  });

  it("is not biased by unequal counts: one kind's own tokens against few of them are at the floor", () => {
    const tokens = choicesOf([...Array(16).keys()], 210, 7);
    const found = routingOverlap(tokens.slice(0, 200), tokens.slice(200), { experts: 16, most: 8 });
    const biased = jsDivergence(expertLoads(tokens.slice(0, 200), 16), expertLoads(tokens.slice(200), 16));
    assert.ok(Math.abs(found.divergence.value - found.divergence.floor) < 0.1);
    assert.ok(found.divergence.floor > biased, `${found.divergence.floor} against ${biased}`);
  });

  it("is refused without tokens", () => {
    assert.throws(() => routingOverlap([], [[0, 1]], { experts: 4 }), /has no tokens/);
  });
});
