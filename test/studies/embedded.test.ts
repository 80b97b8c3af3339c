import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Checkpoint, Claim, Study } from "../../lib/studies/claims.js";
import { gate } from "../../lib/studies/gate.js";
import { type ClaimsMatrix, claimsMatrix, modelCells } from "../../lib/studies/matrix.js";
import { loadClaims } from "../../lib/studies/read.js";
import { assertBothWays } from "./assert-both-ways.js";
import { madeEvidence, type Truth } from "./made-evidence.js";

const STUDIES = ["gap-phase1", "circuit-tracing", "knowledge-evolution", "pid-flow"];

/** The truth for a claim that was put into a checkpoint. */
function truthOf(claim: Claim, { id, role }: Checkpoint, model: Truth): Truth {
  if (role === "model") return model;
  const expected = claim.planted.get(id);
  if (expected === "supported") return "inside";
  return expected === "contradicted" ? "outside" : "nothing";
}

function tried(study: Study, model: Truth): Promise<ClaimsMatrix> {
  const right = Array<boolean>(100).fill(true);
  const kinds = [
    ...new Set(study.claims.flatMap((own) => (typeof own.gate === "string" ? ["any"] : own.gate))),
  ];
  const passed = gate(kinds.map((kind) => ({ kind, correct: right, blind: 0.2 })));
  return claimsMatrix(study, (checkpoint) => ({
    gate: passed,
    evidence: Object.fromEntries(
      study.claims.map((claim) => {
        const truth = truthOf(claim, checkpoint, model);
        return [
          claim.id,
          Object.fromEntries(
            [...claim.tests].map(([name, test]) => [
              name,
              madeEvidence(test, test.precondition && truth === "outside" ? "inside" : truth),
            ]),
          ),
        ];
      }),
    ),
  }));
}

for (const name of STUDIES)
  describe(`the claims of ${name}`, () => {
    const study = loadClaims(name);
    const verdicts = async (model: Truth): Promise<string[]> => {
      const matrix = await tried(study, model);
      assertBothWays(matrix);
      return modelCells(matrix).map(({ claim, verdict }) => `${claim}: ${verdict}`);
    };
    const all = (verdict: string): string[] => study.claims.map(({ id }) => `${id}: ${verdict}`);

    it("are supported by 200 samples of what they say", async () => {
      assert.deepEqual(await verdicts("inside"), all("supported"));
    });
    it("are contradicted by 200 samples of the opposite", async () => {
      assert.deepEqual(await verdicts("outside"), all("contradicted"));
    });
    it("are supported by nothing in no case", async () => {
      const found = await verdicts("nothing");
      assert.deepEqual(
        found.filter((own) => own.endsWith(": supported")),
        [],
      );
    });
    it("have headlines, and quote the document with where it says so", () => {
      assert.ok(study.claims.some(({ headline }) => headline));
      for (const { quote, where } of study.claims) assert.ok(quote.length >= 5 && where.length > 0);
    });
  });
