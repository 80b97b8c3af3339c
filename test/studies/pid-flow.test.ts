/** Every claim of the study both ways, on sources whose atoms are known at every state. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { claimsMatrix, loadClaims, type Measured, modelCells } from "../../lib/studies/index.js";
import {
  decompose,
  type Measurements,
  madeByHand,
  pidEvidence,
  sameSpectrumOf,
} from "../../lib/studies/pid-flow/index.js";
import { assertBothWays } from "./assert-both-ways.js";

const study = loadClaims("pid-flow");

/** Sources that tell nothing: the checkpoints that hold nothing, without a model. */
function nothing(seed: number): Measurements {
  const [right, wrong] = ["likeDocument", "likeDocument"].map((name, i) =>
    madeByHand(name, 100 + seed + 7 * i),
  );
  // Predictions of other questions: no source knows them.
  const apart = <T extends { readonly prediction: unknown }>(run: T, other: T): T => ({
    ...run,
    prediction: other.prediction,
  });
  return {
    ...right,
    tasks: right.tasks.map((own, t) => ({
      ...own,
      clean: apart(own.clean, wrong.tasks[t].clean),
      cut: apart(own.cut!, wrong.tasks[t].cut!),
      control: apart(own.control!, wrong.tasks[t].control!),
    })),
    variant: right.variant!.map((own, t) => ({ ...own, clean: apart(own.clean, wrong.variant![t].clean) })),
  };
}

/** The study with a made checkpoint in the model's place. */
async function studied(model: (seed: number) => Measurements) {
  const measure = async (measurements: Measurements): Promise<Measured> => ({
    evidence: pidEvidence(study, await decompose(measurements, { flow: "none", draws: 24 })),
    gate: { rows: [], passed: new Set() },
  });
  let spectrum: Measurements | undefined;
  return claimsMatrix(
    study,
    async ({ id }, seed) => {
      if (id === "model") {
        spectrum ??= sameSpectrumOf((await decompose(model(0), { flow: "none" })).tasks, model(0).depths, 1);
        return measure(model(seed));
      }
      if (id === "sameSpectrum") return measure(spectrum!);
      if (id === "random" || id === "otherImage") return measure(nothing(seed));
      return measure(madeByHand(id, seed));
    },
    { otherSeeds: [0] },
  );
}

describe("the study of information decomposition", () => {
  it("comes out both ways, and as built, with the document's law in the model's place", async () => {
    const matrix = await studied((seed) => madeByHand("likeDocument", 10 + seed));
    assertBothWays(matrix);
    const verdicts = modelCells(matrix).map(
      ({ claim, verdict, because }) => `${claim}: ${verdict} ${because}`,
    );
    assert.deepEqual(
      verdicts.filter((own) => !own.includes(": supported")),
      [],
    );
  });
});
