import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { shown } from "./executed.js";
import { run } from "./phase3-z.js";

describe("notebook 03-phase3-z", () => {
  it("finds damage and no content where English alone writes into Z, on every checkpoint", async () => {
    const done = await run("separate", { checkpoints: [], documentFits: true, otherConfigurations: true });
    assert.match(shown(done, "patch"), /1 answers changed by the Z-patch +26 +26\/26 = 100%/);
    assert.match(shown(done, "patch"), /2 answers changed by the Z⊥-patch +26 +0\/26 = 0%/);
    assert.match(shown(done, "claims"), /Patching Z alone moves[^\n]+(contradicted|undecided)/);
    assert.doesNotMatch(shown(done, "answer"), /supported[^\n]*Patching Z alone/);
  });
});
