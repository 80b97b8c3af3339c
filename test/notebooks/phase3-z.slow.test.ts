import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Notebook } from "../../kernels/runner/index.js";
import { checkFigures, shown, shownCells } from "./executed.js";
import { run } from "./phase3-z.js";

describe("notebook 03-phase3-z", () => {
  it("finds damage and no content where English alone writes into Z, on every checkpoint", async () => {
    const done = await run("separate", { checkpoints: [], documentFits: true, otherConfigurations: true });
    assert.match(shown(done, "patch"), /1 answers changed by the Z-patch +26 +26\/26 = 100%/);
    assert.match(shown(done, "patch"), /2 answers changed by the Z⊥-patch +26 +0\/26 = 0%/);
    assert.match(shown(done, "claims"), /Patching Z alone moves[^\n]+(contradicted|undecided)/);
    assert.doesNotMatch(shown(done, "answer"), /supported[^\n]*Patching Z alone/);
  });

  describe("on a checkpoint whose Z holds content shared by both languages", () => {
    let done: Notebook;
    before(async () => {
      done = await run("shared");
    });

    it("finds that the Z-patch shifts answers as the full patch does, and calls one seed no headline", () => {
      const supported = /supported on 1 of 1 data seed; a headline takes 3 \((1|0\.9)\d*/;
      assert.ok(shownCells(done, "claims").some((text) => supported.test(text)));
      assert.match(shown(done, "answer"), /Of 19 claims/);
    });

    it("fills the document's table and its five metrics", () => {
      assert.match(shown(done, "patch"), /riddle-\d\d +answer \d+ +answer \d+ +答案 \d+ +答案 \d+/);
      assert.match(shown(done, "patch"), /1 answers changed by the Z-patch +26 +0\/26 = 0%/);
      assert.match(shown(done, "patch"), /4 language disrupted by the Z⊥-patch +26 +26\/26 = 100%/);
      assert.match(shown(done, "done"), /minimum +✓ +The patching table is filled in/);
      assert.match(shown(done, "done"), /strong +✗ +Double dissociation/);
    });

    it("checks its instruments", () => {
      const errors = [...shown(done, "instruments-run").matchAll(/-?\d\.\de[-+]\d+/g)].map(Number);
      assert.equal(errors.length, 4);
      for (const error of errors) assert.ok(Math.abs(error) < 1e-5, String(error));
    });

    it("draws its figures", () => {
      checkFigures(done, {
        weights: 1,
        separation: 1,
        shift: 1,
        patch: 1,
        updates: 1,
        ard: 1,
        bridge: 1,
        claims: 1,
      });
    });
  });
});
