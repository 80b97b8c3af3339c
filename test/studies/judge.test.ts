import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seeded } from "../../lib/random.js";
import type { Verdict } from "../../lib/studies/claims.js";
import { evidenceFrom, evidenceOf } from "../../lib/studies/evidence.js";
import { gate } from "../../lib/studies/gate.js";
import { type Judgement, judge } from "../../lib/studies/judge.js";
import { rangeOf } from "../../lib/studies/rules.js";
import { claimOf, type Json, testJson, testOf } from "./studies.js";
import { type World, worlds } from "./worlds.js";

/** Runs in a simulation: the standard error of a share is at most 0.02. */
const RUNS = 600;

/** Judgements of a world's claim on new samples of it. */
function judged({ test, draw }: World, n: number, truth: number, runs: number): Judgement[] {
  const claim = claimOf({ tests: { effect: testJson(test) } });
  const own = claim.tests.get("effect")!;
  const random = seeded(7);
  return Array.from({ length: runs }, () =>
    judge(claim, { effect: evidenceOf(own, draw(random, n, truth)) }),
  );
}

const share = (runs: readonly Judgement[], verdict: Verdict): number =>
  runs.filter((run) => run.verdict === verdict).length / runs.length;

describe("the judge on simulated samples:", () => {
  for (const world of worlds)
    describe(world.name, () => {
      const atLimit = judged(world, world.n, world.limit, RUNS);
      it("supports what lies inside, contradicts what lies outside", () => {
        assert.ok(share(judged(world, world.n, world.inside, 60), "supported") >= 0.7);
        assert.ok(share(judged(world, world.n, world.outside, 60), "contradicted") >= 0.7);
        assert.equal(share(judged(world, world.n, world.inside, 60), "contradicted"), 0);
        assert.equal(share(judged(world, world.n, world.outside, 60), "supported"), 0);
      });
      it("at the limit is wrong in at most 5% of samples, either way", () => {
        assert.ok(share(atLimit, "supported") <= 0.05, `supported in ${share(atLimit, "supported")}`);
        assert.ok(
          share(atLimit, "contradicted") <= 0.05,
          `contradicted in ${share(atLimit, "contradicted")}`,
        );
      });
      it("shows the smallest detectable effect in about 80% of samples", () => {
        if (!world.unit) return;
        const detectable = atLimit.reduce((sum, run) => sum + run.tests[0].detectable!, 0) / RUNS;
        const { from, to } = rangeOf(testOf(world.test).rule);
        const twoSided = Number.isFinite(from) && Number.isFinite(to);
        // Of a range with two limits it is the distance outside one that is told from inside.
        const direction = Math.sign(world.inside - world.limit) * (twoSided ? -1 : 1);
        const runs = judged(world, world.n, world.limit + direction * detectable, RUNS);
        const power = share(runs, twoSided ? "contradicted" : "supported");
        assert.ok(Math.abs(power - 0.8) < 0.09, `power ${power} at ${detectable}`);
      });
      it("of few samples says undecided, with an effect that is too large for them to miss", () => {
        const few = judged(world, 8, (world.limit + world.inside) / 2, 60);
        assert.ok(share(few, "contradicted") <= 0.05);
        const open = few.filter(({ verdict }) => verdict === "undecided");
        assert.ok(open.length > 0);
        for (const { because, tests } of open) {
          assert.match(because, /the minimum detectable effect is \S+ beyond the limit$|full edit itself/);
          assert.ok(tests[0].detectable! > 0);
        }
      });
    });
});

const estimate = (value: number, half: number, n = 100) => ({
  estimate: value,
  low: value - half,
  high: value + half,
  n,
  level: 0.95,
});

describe("a verdict", () => {
  const claim = claimOf();
  const test = testOf();
  const verdictOf = (value: number, half: number): Verdict =>
    judge(claim, { effect: evidenceFrom(test, { measured: estimate(value, half) }) }).verdict;

  it("is no contradiction where nothing is significant", () => {
    // p well above .05, on both sides of 0.
    assert.deepEqual(
      [verdictOf(0.01, 1), verdictOf(-0.01, 1), verdictOf(-0.5, 1)],
      Array(3).fill("undecided"),
    );
    assert.deepEqual([verdictOf(-1.1, 1), verdictOf(1.1, 1)], ["contradicted", "supported"]);
  });
  it("of several tests is that of the worst", () => {
    const both = claimOf({ tests: { one: testJson(), two: testJson() } });
    const on = (one: number, two: number): Verdict => {
      const part = (value: number) => evidenceFrom(test, { measured: estimate(value, 1) });
      return judge(both, { one: part(one), two: part(two) }).verdict;
    };
    assert.deepEqual(
      [on(2, 2), on(2, 0), on(2, -2), on(0, -2)],
      ["supported", "undecided", "contradicted", "contradicted"],
    );
    const half = judge(both, {
      one: evidenceFrom(test, { measured: estimate(2, 1) }),
      two: { untestable: "no experts" },
    });
    assert.deepEqual([half.verdict, half.because, half.done], ["not testable", "two: no experts", false]);
  });
  it("is not testable where a precondition does not hold, and open where that is open", () => {
    const asked = claimOf({ tests: { matters: testJson({ precondition: true }), effect: testJson() } });
    const on = (matters: number, effect: number): string => {
      const part = (value: number) => evidenceFrom(test, { measured: estimate(value, 1) });
      const { verdict, because } = judge(asked, { matters: part(matters), effect: part(effect) });
      return `${verdict}, ${because.split(":")[0]}`;
    };
    assert.deepEqual(
      [on(2, 2), on(2, -2), on(-2, 2), on(-2, -2), on(0, 2), on(0, -2)],
      [
        "supported, matters",
        "contradicted, effect",
        "not testable, matters",
        "not testable, matters",
        "undecided, matters",
        "undecided, matters",
      ],
    );
  });
  it("is that it cannot be tested, with the reason, where nothing was measured", () => {
    const found = judge(claim, { untestable: "this model has no experts" });
    assert.deepEqual(
      [found.verdict, found.because, found.done],
      ["not testable", "this model has no experts", false],
    );
  });
  it("is done, whatever it is, when all was measured", () => {
    const found = judge(claim, { effect: evidenceFrom(test, { measured: estimate(0, 1) }) });
    assert.deepEqual([found.verdict, found.done], ["undecided", true]);
  });
  it("behind a gate that was not passed is that it cannot be tested", () => {
    const flags = (right: number): boolean[] => Array.from({ length: 100 }, (_, i) => i < right);
    const found = gate([
      { kind: "easy", correct: flags(80), blind: flags(30) },
      { kind: "hard", correct: flags(32), blind: flags(30) },
    ]);
    const on = (rule: unknown): string => {
      const gated = claimOf({ gate: rule });
      const { verdict, because } = judge(
        gated,
        { effect: evidenceFrom(test, { measured: estimate(2, 1) }) },
        { gate: found },
      );
      return `${verdict}: ${because}`;
    };
    assert.match(on("any"), /^supported/);
    assert.match(on("none"), /^supported/);
    assert.match(on(["easy"]), /^supported/);
    assert.match(
      on(["easy", "hard"]),
      /^not testable: the model does not do the task: hard 32% \[\d+%, \d+%\], not above without images, 30%$/,
    );
    assert.throws(() => on(["middling"]), /no kind "middling".*easy, hard/);
  });
});

describe("rates", () => {
  const compared = { quantity: "rate", rule: { kind: "above", threshold: 0, against: "control" } };
  const flags = (n: number, right: number): number[] =>
    Array.from({ length: n }, (_, i) => Number(i < right));
  const on = (n: number, measured: number, control: number): Judgement => {
    const claim = claimOf({ tests: { effect: testJson(compared) } });
    const arms = { measured: flags(n, measured), control: flags(n, control) };
    return judge(claim, { effect: evidenceOf(testOf(compared), arms) });
  };
  it("of fewer than 100 samples are undecided, however large the difference", () => {
    assert.equal(on(100, 90, 5).verdict, "supported");
    const { verdict, because } = on(99, 90, 5);
    assert.equal(verdict, "undecided");
    assert.match(
      because,
      /99 of at least 100 samples; the minimum detectable effect is 0\.\d+ beyond the limit/,
    );
  });
  it("of two groups without events are not known to be alike", () => {
    const grouped = { quantity: "rate", rule: { kind: "equivalent", margin: 0.01, against: "group" } };
    const none = { measured: flags(120, 0), group: { values: flags(120, 0) } };
    const { contrast } = evidenceOf(testOf(grouped), none);
    assert.ok(contrast.low < -0.01 && contrast.high > 0.01, `${contrast.low}, ${contrast.high}`);
  });
  it("of fewer than 30 events of the rarer outcome are undecided", () => {
    assert.equal(on(200, 30, 0).verdict, "supported");
    assert.match(on(200, 29, 0).because, /29 of at least 30 events/);
    assert.match(on(200, 200, 175).because, /25 of at least 30 events/);
  });
});

describe("the ceiling rule", () => {
  const shares = { rule: { kind: "above", threshold: 0.5, shareOf: "the full patch" } };
  const on = (ceiling: number, part: number): Judgement => {
    const random = seeded(3);
    const full = Array.from({ length: 60 }, () => ceiling + random.normal());
    const arms = { measured: full.map((value) => part * value + 0.3 * random.normal()), ceiling: full };
    const claim = claimOf({ tests: { effect: testJson(shares) } });
    return judge(claim, { effect: evidenceOf(testOf(shares), arms) });
  };
  it("gives the effect as a share of the full edit's, of either sign", () => {
    assert.deepEqual([on(3, 0.9).verdict, on(-3, 0.9).verdict], ["supported", "supported"]);
    assert.deepEqual([on(3, 0.1).verdict, on(-3, 0.1).verdict], ["contradicted", "contradicted"]);
  });
  it("is undecided where the full edit does no more than what could be detected", () => {
    const { verdict, because } = on(0.02, 0.9);
    assert.equal(verdict, "undecided");
    assert.match(because, /the full edit itself does .* not more than the detectable effect of 0\.\d/);
  });
  it("is undecided where the full edit does nothing at all", () => {
    const claim = claimOf({ tests: { effect: testJson(shares) } });
    const nothing = { measured: [0.1, -0.1, 0.2], ceiling: [0, 0, 0] };
    assert.match(
      judge(claim, { effect: evidenceOf(testOf(shares), nothing) }).because,
      /full edit itself does 0/,
    );
  });
});

describe("evidence that a rule cannot be asked of is refused:", () => {
  const matched: Json = { rule: { kind: "above", threshold: 0, against: "random sets" } };
  const sides = { set: [1, 2, 3], complement: [0, 1, 0] };
  const five = Array(5).fill(sides);
  const refusals: readonly [string, () => unknown, RegExp][] = [
    ["no arm", () => evidenceOf(testOf(matched), { chosen: sides }), /has no "random".*random sets/],
    [
      "four random sets",
      () => evidenceOf(testOf(matched), { chosen: sides, random: five.slice(1) }),
      /has 4 nulls/,
    ],
    [
      "a random set without its complement",
      () =>
        evidenceOf(testOf(matched), { chosen: sides, random: [...five, { set: [1, 2, 3], complement: [] }] }),
      /0 values in "random\[5\]\.complement" and 3/,
    ],
    [
      "a rate of ½",
      () => evidenceOf(testOf({ quantity: "rate" }), { measured: [0, 0.5] }),
      /has 0\.5 at sample 1/,
    ],
    ["a mean of NaN", () => evidenceOf(testOf(), { measured: [1, Number.NaN] }), /has NaN at sample 1/],
    [
      "a rate from an estimate",
      () => evidenceFrom(testOf({ quantity: "rate" }), { measured: estimate(0.5, 0.1) }),
      /Use evidenceOf/,
    ],
    [
      "a value that was compared with nothing",
      () =>
        judge(claimOf({ tests: { effect: testJson(matched) } }), {
          effect: evidenceFrom(testOf(), { measured: estimate(1, 0.5) }),
        }),
      /compared with nothing.*compared with random sets/,
    ],
    [
      "an interval the wrong way round",
      () => judge(claimOf(), { effect: { contrast: estimate(1, -1), measured: estimate(1, 1) } }),
      /has the interval 1 \[2, 0\]/,
    ],
    [
      "an interval of lower level",
      () =>
        judge(claimOf(), {
          effect: { contrast: { ...estimate(1, 0.1), level: 0.8 }, measured: estimate(1, 1) },
        }),
      /level 0\.8/,
    ],
    ["no evidence for a test", () => judge(claimOf(), {}), /no evidence for its test "effect"/],
    [
      "evidence for a test that is not there",
      () => judge(claimOf(), { effect: { untestable: "x" }, efect: { untestable: "x" } }),
      /no test "efect".*Did you mean "effect"/,
    ],
  ];
  for (const [name, act, message] of refusals)
    it(name, () => assert.throws(act, { name: "ModalscopeError", message }));
});

describe("evidence from a study's own estimates", () => {
  it("against shuffles is as wide as one more of them may lie", () => {
    const test = testOf({ quantity: "statistic", rule: { kind: "above", threshold: 0, against: "null" } });
    const nulls = [0.1, 0.2, 0.3, 0.2, 0.2];
    const { contrast, reference } = evidenceFrom(test, { measured: estimate(0.5, 0.01), nulls });
    // Mean .2, standard deviation √.005, t of 4 degrees of freedom, √(1 + 1/5).
    const half = 2.7764451051977934 * Math.sqrt(0.005 * 1.2);
    assert.ok(Math.abs(reference! - 0.2) < 1e-12 && Math.abs(contrast.estimate - 0.3) < 1e-12);
    assert.ok(Math.abs(contrast.high - 0.3 - half) < 1e-12, String(contrast.high));
  });
});
