import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { embeddedModels } from "../../lib/model/index.js";
import { shown } from "./executed.js";
import { checkInstruments, run } from "./knowledge-evolution.js";

describe("notebook 05-knowledge-evolution", () => {
  const trained = "tiny-llava-1.5";
  it("finds entities, hallucinations and a planted mutation on the trained checkpoint", {
    skip: embeddedModels().includes(trained) ? false : `${trained} is not there`,
  }, async () => {
    const done = await run("trained", { model: trained, captionCount: 16, nullCount: 16 });
    checkInstruments(done);
    assert.doesNotMatch(shown(done, "verdict-table"), /nothing was hallucinated|no entities/);
    assert.match(shown(done, "verdict-text"), /planted as built; random weights as built/);
    assert.match(shown(done, "llm-run"), /language model before visual training/);
    assert.equal(shown(done, "skips-show").match(/^skip\.[123] {2,}/gm)?.length, 6);
  });
});
