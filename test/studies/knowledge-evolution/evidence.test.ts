import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Model } from "../../../lib/model/index.js";
import { judge } from "../../../lib/studies/judge.js";
import { evolutionEvidence } from "../../../lib/studies/knowledge-evolution/evidence.js";
import { madeEvolution } from "../../../lib/studies/knowledge-evolution/made.js";
import { EvolutionStudy } from "../../../lib/studies/knowledge-evolution/measure.js";
import { evolutionRules } from "../../../lib/studies/knowledge-evolution/rules.js";
import { rivalLeads } from "../../../lib/studies/knowledge-evolution/summaries.js";
import { loadClaims } from "../../../lib/studies/read.js";

const study = loadClaims("knowledge-evolution");
const rules = evolutionRules();
const noModel = { tasks: () => [], maxNewTokens: 8, rowsPerCall: 60, model: {} as Model };

describe("the evidence of knowledge evolution", () => {
  const verdictsOn = (id: "likeDocument" | "opposite") => {
    const evidence = evolutionEvidence(study, madeEvolution(id, rules), { rules });
    return study.claims.map((claim) => `${claim.id}: ${judge(claim, evidence[claim.id]).verdict}`);
  };
  it("goes both ways on curves, states and captions made by hand", () => {
    for (const id of ["likeDocument", "opposite"] as const)
      assert.deepEqual(
        verdictsOn(id),
        study.claims.map((claim) => `${claim.id}: ${claim.planted.get(id)}`),
      );
  });

  it("finds the planted prior: its block, its tokens, and what skipping it corrects", async () => {
    const settings = { ...noModel, plantedCount: 24 };
    const { data, gate } = await new EvolutionStudy(study, settings).measure({ id: "prior" }, 0);
    assert.deepEqual(data.mutations.layers, [12]);
    assert.ok(gate?.passed.has("objects"));
    data.tokens.kind.forEach((kind, t) => {
      if (kind === "hallucinated") assert.ok(data.mutations.tokens[t] && rivalLeads(data, t));
      if (kind === "true") assert.ok(!data.mutations.tokens[t]);
    });
    const skip = data.skips.find(({ own }) => own.plan.name === "skip.2");
    assert.deepEqual([Math.max(...data.wrong), Math.max(...(skip?.own.wrong ?? [1]))], [1, 0]);
  });

  it("supports nothing of what is said of the image where labels are dealt among the tokens", () => {
    const data = madeEvolution("likeDocument", rules, 3);
    const { kind, mention, rivals } = data.tokens;
    const step = 5;
    const dealt = <T>(values: readonly T[]) =>
      values.map((_, t) => values[(t * 7 + step * Math.floor(t / 10)) % values.length]);
    const tokens = { ...data.tokens, kind: dealt(kind), mention: dealt(mention), rivals };
    const evidence = evolutionEvidence(study, { ...data, tokens }, { rules });
    for (const id of ["easyStable", "candidates", "hallucinatedMutate", "entitiesMutate"]) {
      const claim = study.claims.find((own) => own.id === id);
      assert.ok(claim);
      assert.notEqual(judge(claim, evidence[id]).verdict, "supported", id);
    }
  });
});
