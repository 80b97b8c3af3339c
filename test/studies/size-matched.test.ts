import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkBasis } from "../../lib/analysis/linalg/subspace.js";
import { sizeMatchedSets, sizeMatchedSubspaces } from "../../lib/studies/size-matched.js";

/** Four experts in each of three layers; their loads are 1, 2, 4 and 8. */
const experts = [0, 1, 2].flatMap((layer) => [0, 1, 2, 3].map((expert) => ({ layer, load: 2 ** expert })));
const chosen = [experts[0], experts[3], experts[5]];

describe("size-matched sets", () => {
  it("are of the chosen one's size, differ from it and from each other, and come with their complements", () => {
    const found = sizeMatchedSets(experts, chosen, { count: 8 });
    assert.equal(found.random.length, 8);
    for (const { set, complement } of [found.chosen, ...found.random]) {
      assert.equal(set.length, 3);
      assert.deepEqual(new Set([...set, ...complement]), new Set(experts));
      assert.equal(set.length + complement.length, experts.length);
    }
    const keys = [found.chosen, ...found.random].map(({ set }) => set.map((e) => experts.indexOf(e)).join());
    assert.equal(new Set(keys).size, 9);
  });
  it("have as many items of each layer as the chosen one", () => {
    const { random } = sizeMatchedSets(experts, chosen, { stratum: ({ layer }) => layer });
    for (const { set } of random)
      assert.deepEqual(
        set.map(({ layer }) => layer),
        [0, 0, 1],
      );
  });
  it("share nothing with the chosen one where they are to be disjoint", () => {
    const { random } = sizeMatchedSets(experts, chosen, { disjoint: true });
    for (const { set } of random) assert.ok(set.every((own) => !chosen.includes(own)));
    const one = ({ count }: { count: number }) =>
      sizeMatchedSets([1, 2, 3, 4, 5, 6], [6], { count, disjoint: true });
    assert.equal(one({ count: 5 }).random.length, 5);
    assert.throws(() => one({ count: 6 }), /There are 5 other sets/);
  });
  it("carry about the chosen one's load", () => {
    const load = (set: readonly { load: number }[]): number => set.reduce((sum, own) => sum + own.load, 0);
    const { random } = sizeMatchedSets(experts, chosen, { weight: ({ load }) => load });
    // 8 + 2 + 1 = 11 can be had in many ways from three layers.
    for (const { set } of random) assert.equal(load(set), load(chosen));
  });
  it("are the same for the same seed and others for another", () => {
    const draw = (seed: number): string =>
      JSON.stringify(sizeMatchedSets([...Array(20).keys()], [1, 2, 3], { seed }).random);
    assert.equal(draw(1), draw(1));
    assert.notEqual(draw(1), draw(2));
  });
  it("draw each item equally often", () => {
    const counts = new Int32Array(10);
    const { random } = sizeMatchedSets([...counts.keys()], [0, 1, 2], { count: 100, seed: 3 });
    for (const { set } of random) for (const item of set) counts[item]++;
    // 100 of the 120 sets: expected 30 each, standard deviation below 2.
    assert.ok(
      counts.every((count) => Math.abs(count - 30) <= 6),
      counts.join(),
    );
  });
  it("are refused where there are too few, or where the chosen set is none", () => {
    assert.throws(() => sizeMatchedSets([1, 2, 3, 4], [1, 2], { count: 6 }), /There are 5 other sets/);
    assert.equal(sizeMatchedSets([1, 2, 3, 4], [1, 2], { count: 5 }).random.length, 5);
    assert.throws(() => sizeMatchedSets([1, 2, 3], [4]), /not among the items/);
    assert.throws(() => sizeMatchedSets([1, 2, 3], [1, 1]), /an item twice/);
    assert.throws(() => sizeMatchedSets([...Array(20).keys()], [1], { count: 4 }), /takes 5 or more/);
  });
});

describe("size-matched subspaces", () => {
  it("are orthonormal bases of the asked size, seeded and different", () => {
    const found = sizeMatchedSubspaces(3, 12, { count: 6, seed: 2 });
    assert.equal(found.length, 6);
    for (const basis of found) {
      assert.deepEqual(basis.shape, [3, 12]);
      checkBasis(basis);
    }
    assert.deepEqual(sizeMatchedSubspaces(3, 12, { count: 6, seed: 2 }), found);
    assert.equal(new Set(found.map(({ data }) => data.join())).size, 6);
    assert.throws(() => sizeMatchedSubspaces(12, 12), /12 dimensions of 12/);
    assert.throws(() => sizeMatchedSubspaces(2, 12, { count: 1 }), /takes 5 or more/);
  });
});
