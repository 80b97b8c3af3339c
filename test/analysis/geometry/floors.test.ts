/** Measures of geometry beside their floors, on data whose answer is known. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ckaAgainstShuffles,
  crossModalGeometry,
  effectiveRank,
  iccAgainstShuffles,
  imageIcc,
  intraclassCorrelation,
  linearCka,
  meanTokens,
  rankAgainstShuffles,
  sampleSizeCurve,
  tokensAt,
} from "../../../lib/analysis/index.js";
import { seeded } from "../../../lib/random.js";

const normals = (n: number, d: number, seed: number): number[][] => {
  const random = seeded(seed);
  return Array.from({ length: n }, () => Array.from({ length: d }, () => random.normal()));
};

/** Tokens (images × tokens, d) of which each image shares so much of the variance. */
function images(count: number, { tokens = 8, width = 12, shared = 0.5, seed = 1 } = {}): number[][][] {
  const own = normals(count, width, seed);
  const noise = normals(count * tokens, width, seed + 1);
  return own.map((image, i) =>
    Array.from({ length: tokens }, (_, t) =>
      image.map((x, j) => Math.sqrt(shared) * x + Math.sqrt(1 - shared) * noise[i * tokens + t][j]),
    ),
  );
}

const close = (got: number, want: number, tolerance: number): void => {
  assert.ok(Math.abs(got - want) <= tolerance, `${got}, not ${want}`);
};

describe("ICC(1) against shuffles", () => {
  it("is the share that images have in common, and 0 where tokens have changed images", () => {
    for (const shared of [0.2, 0.6]) {
      const { value, floor, p } = imageIcc(images(150, { shared }));
      close(value, shared, 0.04);
      close(floor, 0, 0.01);
      assert.equal(p, 1 / 200);
    }
    const nothing = imageIcc(images(60, { shared: 0, seed: 5 }));
    assert.ok(nothing.p > 0.05 && Math.abs(nothing.value) < 0.03, `${nothing.value}, p = ${nothing.p}`);
  });

  it("has shuffles that are ICCs of shuffled members, with groups of other sizes too", () => {
    const x = [...normals(9, 4, 3).map((row) => [...row, 0.1])];
    const groups = [5, 5, 5, 2, 2, 9, 9, 9, 9];
    const random = seeded(4);
    const { value, null: shuffled } = iccAgainstShuffles(x, groups, { draws: 3, seed: 4 });
    close(value, intraclassCorrelation(x, groups).mean, 1e-12);
    for (const got of shuffled) close(got, intraclassCorrelation(x, random.shuffle(groups)).mean, 1e-9);
  });
});

describe("CKA against shuffles", () => {
  it("is the debiased CKA, and its shuffles that of shuffled rows", () => {
    const [x, y] = [normals(12, 5, 1), normals(12, 7, 2)];
    const { value, null: shuffled } = ckaAgainstShuffles(x, y, { draws: 4, seed: 9 });
    close(value, linearCka(x, y), 1e-12);
    const random = seeded(9);
    const order = x.map((_, i) => i);
    for (const got of shuffled)
      close(
        got,
        linearCka(
          x,
          random.shuffle(order).map((i) => y[i]),
        ),
        1e-12,
      );
  });

  it("finds a weak relation with many samples that it misses with ten", () => {
    const x = normals(120, 30, 1);
    const y = normals(120, 30, 2).map((row, i) => row.map((v, j) => v + 0.45 * x[i][j]));
    const of = (some: readonly number[]) =>
      ckaAgainstShuffles(
        some.map((i) => x[i]),
        some.map((i) => y[i]),
        { draws: 99 },
      );
    const { power, values, floors } = sampleSizeCurve(120, of, { sizes: [10, 110], repeats: 20 });
    assert.ok(power[0] < 0.5 && power[1] === 1, [...power].join(", "));
    const spread = (from: number): number =>
      Math.max(...values.data.slice(from, from + 20)) - Math.min(...values.data.slice(from, from + 20));
    assert.ok(spread(0) > 5 * spread(20), `${spread(0)}, ${spread(20)}`);
    assert.ok(floors.data.slice(20).every((floor) => Math.abs(floor) < 0.02));
    const unrelated = normals(120, 30, 7);
    const none = sampleSizeCurve(
      120,
      (some) =>
        ckaAgainstShuffles(
          some.map((i) => x[i]),
          some.map((i) => unrelated[i]),
          { draws: 99 },
        ),
      { sizes: [40], repeats: 60 },
    );
    assert.ok(none.power[0] <= 0.2, `${none.power[0]} of unrelated draws`);
    assert.throws(() => sampleSizeCurve(9, of, { sizes: [10] }), /10 samples cannot be drawn from 9/);
  });
});

describe("effective rank against shuffles", () => {
  it("is below that of independent dimensions where they share, and equal where they do not", () => {
    const free = normals(60, 10, 1);
    const alone = rankAgainstShuffles(free, { centre: true, draws: 99 });
    close(alone.value, effectiveRank(free, { centre: true }), 1e-12);
    close(alone.value, alone.floor, 0.1);
    assert.ok(alone.p > 0.05);
    const few = normals(60, 2, 2);
    const mixed = free.map((row, i) => row.map((v, j) => 0.1 * v + few[i][j % 2]));
    const shared = rankAgainstShuffles(mixed, { centre: true });
    assert.ok(shared.value < 0.6 * shared.floor && shared.p === 1 / 20, `${shared.value}, ${shared.floor}`);
    assert.throws(() => rankAgainstShuffles([[1, 2]], { centre: true }), /two or more/);
  });
});

describe("cross-modal geometry", () => {
  it("is each measure of the tokens of captures, by layer", () => {
    const random = seeded(3);
    const [rows, time, width] = [6, 9, 5];
    const captures = [0, 1].map(() => ({
      data: Float32Array.from({ length: rows * time * width }, () => random.normal()),
      shape: [rows, time, width],
    }));
    const columns = (from: number, to: number): number[][] =>
      Array.from({ length: rows }, (_, b) => Array.from({ length: to - from + (b % 2) }, (_, i) => from + i));
    const visual = captures.map((x) => tokensAt(x, columns(1, 5)));
    const text = captures.map((x) => tokensAt(x, columns(5, 8)));
    assert.deepEqual(
      visual[0].map(({ shape }) => shape[0]),
      [4, 5, 4, 5, 4, 5],
    );
    assert.equal(visual[1][2].data[width], captures[1].data[(2 * time + 2) * width]);
    const { visualIcc, visualRank, textRank, cka } = crossModalGeometry({ visual, text }, { draws: 9 });
    close(cka[1].value, linearCka(meanTokens(visual[1]), meanTokens(text[1])), 1e-12);
    close(visualIcc[1].value, imageIcc(visual[1]).value, 1e-12);
    close(visualRank.values.data[rows + 2], effectiveRank(visual[1][2], { centre: true }), 1e-12);
    close(
      textRank.mean[0],
      text[0].reduce((sum, x) => sum + effectiveRank(x, { centre: true }) / rows, 0),
      1e-12,
    );
    assert.ok(textRank.ceiling.every((ceiling, l) => ceiling >= 0.8 * textRank.mean[l] && ceiling <= 3));
    assert.throws(() => crossModalGeometry({ visual, text: text.slice(1) }), /6, 6 samples/);
    assert.throws(() => tokensAt(captures[0], columns(5, 9)), /no column 9/);
  });
});
