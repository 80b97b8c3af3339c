import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { acrossConfigurations, acrossSeeds } from "../../lib/studies/agreement.js";
import type { Verdict } from "../../lib/studies/claims.js";
import type { Judgement } from "../../lib/studies/judge.js";
import { claimOf } from "./studies.js";

const run = (verdict: Verdict): Judgement => ({
  claim: "moves",
  verdict,
  because: `it is ${verdict}`,
  done: true,
  tests: [],
});
const headline = claimOf({ headline: true });
const over = (...verdicts: Verdict[]): Judgement => acrossSeeds(headline, verdicts.map(run));

describe("a verdict over data seeds", () => {
  it("is the one that most gave, and says on how many they agree", () => {
    const found = over("supported", "undecided", "supported");
    assert.deepEqual([found.verdict, found.seeds], ["supported", { agree: 2, of: 3 }]);
    assert.equal(found.because, "it is supported");
    assert.equal(over("contradicted", "contradicted", "contradicted").verdict, "contradicted");
    assert.equal(over("not testable", "not testable", "supported").verdict, "not testable");
  });
  it("is undecided where seeds contradict each other, or none has the most", () => {
    const found = over("supported", "supported", "contradicted");
    assert.equal(found.verdict, "undecided");
    assert.equal(found.because, "the data seeds disagree: supported on 2, contradicted on 1 of 3");
    assert.equal(over("supported", "undecided", "not testable").verdict, "undecided");
    assert.equal(over("supported", "supported", "undecided", "undecided").verdict, "undecided");
  });
  it("of a headline takes three", () => {
    assert.match(
      over("supported", "supported").because,
      /^supported on 2 of 2 data seeds; a headline takes 3/,
    );
    assert.equal(over("contradicted").verdict, "undecided");
    assert.equal(acrossSeeds(claimOf(), [run("supported")]).verdict, "supported");
    assert.throws(() => over(), /on no data seed/);
    assert.throws(
      () => acrossSeeds(claimOf(), [{ ...run("supported"), claim: "other" }]),
      /"other" stands among/,
    );
  });
});

it("other configurations are counted and change nothing", () => {
  const found = acrossConfigurations(run("supported"), [
    run("supported"),
    run("contradicted"),
    run("supported"),
  ]);
  assert.deepEqual([found.verdict, found.configurations], ["supported", { agree: 2, of: 3 }]);
  assert.deepEqual(acrossConfigurations(run("supported"), []), run("supported"));
});
