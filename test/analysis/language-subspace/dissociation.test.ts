import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type CrossPatch,
  dissociation,
  flipTest,
  type PatchEffect,
  type ShiftCase,
  shiftTest,
} from "../../../lib/analysis/language-subspace/dissociation.js";
import { seeded } from "../../../lib/random.js";

/** `n` cases of which the first `changed` change their answer and the first `lost` their language. */
const effects = (n: number, changed: number, lost: number): PatchEffect[] =>
  Array.from({ length: n }, (_, i) => ({ answerChanged: i < changed, languageKept: i >= lost }));

describe("dissociation", () => {
  it("goes all ways", () => {
    assert.equal(dissociation(effects(20, 16, 1), effects(20, 2, 15)).verdict, "double dissociation");
    assert.equal(dissociation(effects(20, 16, 1), effects(20, 2, 3)).verdict, "partial");
    assert.equal(dissociation(effects(20, 2, 1), effects(20, 16, 15)).verdict, "reversed");
    assert.equal(dissociation(effects(20, 5, 1), effects(20, 4, 15)).verdict, "null");
    assert.equal(dissociation(effects(20, 20, 20), effects(20, 20, 20)).verdict, "null");
  });

  it("calls no patch that destroys everything a double dissociation", () => {
    // Z loses most languages too; Z⊥ loses still more.
    assert.equal(dissociation(effects(20, 20, 12), effects(20, 2, 20)).verdict, "partial");
    // Z⊥ changes most answers too.
    assert.equal(dissociation(effects(20, 20, 0), effects(20, 11, 20)).verdict, "partial");
  });

  it("gives the exact McNemar p of both comparisons, and the four rates", () => {
    const { answers, language, rates } = dissociation(effects(20, 8, 0), effects(20, 2, 5));
    // 6 against 0 discordant cases: 2·2⁻⁶; 5 against 0: 2·2⁻⁵.
    assert.ok(Math.abs(answers.p - 2 ** -5) < 1e-12);
    assert.ok(Math.abs(language.p - 2 ** -4) < 1e-12);
    assert.deepEqual(
      [
        rates.zAnswerChange,
        rates.complementAnswerChange,
        rates.zLanguageKept,
        rates.complementLanguageDisrupted,
      ].map(({ estimate, n }) => [estimate, n]),
      [
        [0.4, 20],
        [0.1, 20],
        [1, 20],
        [0.25, 20],
      ],
    );
  });

  it("refuses cases that do not pair", () => {
    assert.throws(() => dissociation(effects(3, 0, 0), effects(4, 0, 0)), /cases/);
  });
});

describe("flipTest", () => {
  const cases = (answer: (i: number) => number | undefined, n = 20): CrossPatch[] =>
    Array.from({ length: n }, (_, i) => ({ clean: i, donor: (i + 7) % n, answer: answer(i) }));

  it("finds answers that become the donor's", () => {
    const { flips, changed, p, chance } = flipTest(cases((i) => (i + 7) % 20));
    assert.equal(flips.estimate, 1);
    assert.equal(changed.estimate, 1);
    assert.equal(p, 0.001);
    assert.ok(Math.abs(chance - 1 / 20) < 0.01);
  });

  it("takes damage for damage: other answers, none at all, or always the same", () => {
    for (const answer of [(i: number) => 100 + i, () => undefined, () => 3]) {
      const { flips, changed, p } = flipTest(cases(answer));
      assert.ok(flips.estimate <= 1 / 20);
      assert.ok(changed.estimate >= 19 / 20);
      assert.ok(p > 0.3, `p = ${p}`);
    }
  });

  it("never counts an answer that did not change, even where a shuffled donor has it", () => {
    const { flips, changed, null: nulls } = flipTest(cases((i) => i));
    assert.equal(flips.estimate, 0);
    assert.equal(changed.estimate, 0);
    assert.ok(nulls.every((value) => value === 0));
  });
});

describe("shiftTest", () => {
  const candidates = 8;
  const cases = (change: (i: number, donor: number) => number[]): ShiftCase[] =>
    Array.from({ length: 24 }, (_, i) => {
      const own = i % candidates;
      const donor = (i + 1 + (i % 3)) % candidates;
      return { own, donor, change: change(i, donor) };
    });

  it("is by hand what its formula says", () => {
    const { shift, statistic } = shiftTest([{ own: 0, donor: 1, change: [-9, 2, 1, -1] }]);
    assert.equal(shift.estimate, 2);
    assert.equal(statistic, 2);
  });

  it("finds a push towards the donor under noise and under damage to the own answer", () => {
    const random = seeded(1);
    const { shift, p } = shiftTest(
      cases((i, donor) =>
        Array.from(
          { length: candidates },
          (_, c) => random.normal() + (c === donor ? 1.5 : c === i % candidates ? -6 : 0),
        ),
      ),
    );
    assert.ok(shift.low > 0.8 && shift.high < 2.2, `${shift.low} … ${shift.high}`);
    assert.ok(p < 0.01);
  });

  it("finds none in damage that favours some answers whoever the donor is", () => {
    const random = seeded(2);
    const { p, shift } = shiftTest(
      cases(() =>
        Array.from({ length: candidates }, (_, c) => 0.5 * random.normal() + (c === 2 || c === 5 ? 4 : 0)),
      ),
    );
    assert.ok(p > 0.05, `p = ${p}`);
    assert.ok(Math.abs(shift.estimate) < 1.5);
  });

  it("refuses cases without a third candidate, and no cases", () => {
    assert.throws(() => shiftTest([{ own: 0, donor: 1, change: [1, 2] }]), /at least one other/);
    assert.throws(() => shiftTest([]), /no patched cases/);
  });
});
