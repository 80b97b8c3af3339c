/** The study's rules on measurements whose truth is known: as the document describes its own, and the other way round. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gapEvidence, gapMadeByHand, partOf } from "../../../lib/studies/gap-phase1/index.js";
import { judge, loadClaims } from "../../../lib/studies/index.js";

const study = loadClaims("gap-phase1");

describe("the claims of gap-phase1, on measurements made by hand", () => {
  for (const kind of ["likeDocument", "opposite"] as const)
    it(`are judged as ${kind} was made, with two seeds`, () => {
      for (const seed of [0, 1]) {
        const evidence = gapEvidence(study, gapMadeByHand(kind, seed));
        for (const claim of study.claims) {
          const expected = claim.planted.get(kind) ?? "not testable";
          const { verdict, because } = judge(claim, evidence[claim.id]);
          // Measured as well, though it was not made for the claim.
          if (!claim.planted.has(kind) && verdict !== "not testable") continue;
          assert.equal(verdict, expected, `${claim.id}, seed ${seed}: ${because}`);
        }
      }
    });

  it("each rest on a part that is measured", () => {
    for (const { id } of study.claims) assert.ok(partOf(id));
    assert.throws(() => partOf("constructor"), /Nothing is measured/);
  });
});
