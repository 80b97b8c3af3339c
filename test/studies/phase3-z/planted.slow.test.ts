import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadModel } from "../../../lib/model/index.js";
import { judge } from "../../../lib/studies/judge.js";
import { problemSource } from "../../../lib/studies/phase3-z/problems.js";
import { Phase3Study } from "../../../lib/studies/phase3-z/study.js";
import { loadClaims } from "../../../lib/studies/read.js";

const study = loadClaims("phase3-z");

describe("the study of Phase 3", () => {
  it("gives every planted checkpoint the verdict that it was built for", async () => {
    const model = await loadModel("maths-zh-en");
    const settings = { shiftCount: 20, ardCount: 12, maxNewTokens: 4, format: "bare" as const };
    const runs = new Phase3Study({ study, model, problems: problemSource({ each: 1 }), ...settings });
    for (const id of ["shared", "separate", "outside"]) {
      const { evidence, gate } = await runs.measure({ id }, 0);
      const planted = study.claims.filter((claim) => claim.planted.has(id));
      assert.ok(planted.length > 0);
      assert.deepEqual(
        planted.map((claim) => `${claim.id}: ${judge(claim, evidence[claim.id], { gate }).verdict}`),
        planted.map((claim) => `${claim.id}: ${claim.planted.get(id)}`),
      );
    }
    await model.close();
  });
});
