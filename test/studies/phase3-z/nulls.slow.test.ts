import assert from "node:assert/strict";
import { it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import { judge } from "../../../lib/studies/judge.js";
import { problemSource } from "../../../lib/studies/phase3-z/problems.js";
import { Phase3Study } from "../../../lib/studies/phase3-z/study.js";
import { loadClaims } from "../../../lib/studies/read.js";

/** What a null may support: a fit that chooses among 128 dimensions finds some in which any two samples are alike. */
const OF_NOTHING = ["ardShared"];

it("every claim of Phase 3 is measured on each of its nulls, and they support none but the one that is taken back", async () => {
  const study = loadClaims("phase3-z");
  const model = await loadModel("maths-zh-en");
  const settings = { shiftCount: 12, ardCount: 40, maxNewTokens: 10, format: "bare" as const };
  const runs = new Phase3Study({ study, model, problems: problemSource({ each: 6 }), ...settings });
  const supported: string[] = [];
  for (const id of ["random", "shuffled"]) {
    const { evidence } = await runs.measure({ id }, 0);
    for (const claim of study.claims) {
      const { done, verdict, because } = judge(claim, evidence[claim.id]);
      if (claim.nulls.includes(id)) assert.ok(done, `${claim.id} on ${id}: ${because}`);
      if (verdict === "supported") supported.push(claim.id);
    }
  }
  assert.deepEqual(
    supported.filter((id) => !OF_NOTHING.includes(id)),
    [],
  );
  await model.close();
});
