import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge } from "../../../lib/studies/judge.js";
import { phase3Evidence } from "../../../lib/studies/phase3-z/evidence.js";
import { type MadeByHand, phase3MadeByHand } from "../../../lib/studies/phase3-z/made-by-hand.js";
import { loadClaims } from "../../../lib/studies/read.js";

const study = loadClaims("phase3-z");

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
});
