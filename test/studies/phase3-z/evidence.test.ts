import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge } from "../../../lib/studies/judge.js";
import { evidenceFor, phase3Evidence } from "../../../lib/studies/phase3-z/evidence.js";
import { type MadeByHand, phase3MadeByHand } from "../../../lib/studies/phase3-z/made-by-hand.js";
import { type Measurements, PART_NAMES } from "../../../lib/studies/phase3-z/parts.js";
import { loadClaims } from "../../../lib/studies/read.js";

const study = loadClaims("phase3-z");
const untested = { untestable: "this test does not measure it" };
const NOTHING = Object.fromEntries(PART_NAMES.map((name) => [name, untested])) as unknown as Measurements;

describe("the evidence of Phase 3", () => {
  for (const kind of ["likeDocument", "opposite", "persists"] satisfies MadeByHand[])
    it(`comes out as built on what is made by hand: ${kind}`, async () => {
      const evidence = phase3Evidence(study, await phase3MadeByHand(kind, 0));
      const planted = study.claims.filter((claim) => claim.planted.has(kind));
      assert.ok(planted.length > 0);
      assert.deepEqual(
        planted.map((claim) => `${claim.id}: ${judge(claim, evidence[claim.id]).verdict}`),
        planted.map((claim) => `${claim.id}: ${claim.planted.get(kind)}`),
      );
    });

  it("a block that writes as much into the other layers' Z does not compute in this one", async () => {
    const { updates } = await phase3MadeByHand("likeDocument", 0);
    assert.ok("z" in updates);
    const claim = study.claims.find(({ id }) => id === "computesInZ");
    assert.ok(claim);
    const verdictOf = (part: typeof updates): string =>
      judge(claim, evidenceFor(claim, { ...NOTHING, updates: part })).verdict;
    assert.equal(verdictOf(updates), "supported");
    const alike = updates.others.map((_, i) =>
      updates.z.map((row) => row.map((ratio) => ratio * (1 + 0.02 * (i - updates.others.length / 2)))),
    );
    assert.notEqual(verdictOf({ ...updates, others: alike }), "supported");
    assert.equal(verdictOf({ ...updates, others: alike.slice(0, 4) }), "not testable");
  });
});
