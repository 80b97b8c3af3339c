import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { embeddedModels } from "../../lib/model/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { checkFigures, executed, shipped, shown } from "./executed.js";

const path = shipped("04-pid-flow");
const folder = temporaryFolder();
const trained = "tiny-llava-1.5";

describe("notebook 04-pid-flow", () => {
  it("judges every claim in quick mode, on a single model", {
    skip: embeddedModels().includes(trained) ? false : `${trained} is not there`,
  }, async () => {
    const done = await executed(path, join(folder, "quick.ipynb"), { quick: true, perTask: 24, model2: "" });
    // Without its nulls no claim is supported, and a single model has no variants.
    assert.match(shown(done, "matrix"), /On the model: \*\*0 supported/);
    assert.match(shown(done, "claims"), /no second variant of the model was run/);
    assert.match(shown(done, "open"), /prompts at \d+ ms: about/);
    const known = shown(done, "validation");
    // ~G and MMI of the Gaussian source; the exclusive-or that only the joint test sees.
    assert.match(known, /Gaussian \(E0\) +1\.00\s+\.29\s+\.29\s+\.42/);
    assert.match(known, /exclusive or [^\n]+ refuses, p < \.001/);
    assert.match(shown(done, "provenance"), /checkpoint, studied[^\n]+[0-9a-f]{64}/);
    checkFigures(done, {
      "atoms-figure": 1,
      "variants-figure": 1,
      "fingerprints-figure": 1,
      "windows-figure": 1,
      claims: 1,
    });
  });
});
