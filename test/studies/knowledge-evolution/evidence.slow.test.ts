import { it } from "node:test";
import type { Model } from "../../../lib/model/index.js";
import { EvolutionStudy } from "../../../lib/studies/knowledge-evolution/measure.js";
import { claimsMatrix } from "../../../lib/studies/matrix.js";
import { loadClaims } from "../../../lib/studies/read.js";
import { assertBothWays } from "../assert-both-ways.js";

it("every claim of knowledge evolution goes both ways, on what is made by hand and on the planted captioners", async () => {
  const study = loadClaims("knowledge-evolution");
  const settings = {
    tasks: () => [],
    maxNewTokens: 8,
    rowsPerCall: 100,
    model: {} as Model,
  };
  const evolution = new EvolutionStudy(study, settings);
  const untestable = { untestable: "this test runs no trained model" };
  const matrix = await claimsMatrix(
    study,
    async ({ id }, seed) => {
      if (["random", "otherImage"].includes(id))
        return { evidence: Object.fromEntries(study.claims.map((own) => [own.id, untestable])) };
      return evolution.measure({ id: id === "model" ? "prior" : id }, seed);
    },
    { seeds: [1], otherSeeds: [0] },
  );
  assertBothWays(matrix);
});
