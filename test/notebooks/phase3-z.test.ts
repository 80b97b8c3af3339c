import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Notebook, readNotebook } from "../../kernels/runner/index.js";
import { loadStudy } from "../../lib/studies/index.js";
import { checkFigures, itIsTidy, shown } from "./executed.js";
import { path, run, small } from "./phase3-z.js";

describe("notebook 03-phase3-z", () => {
  const notebook = readNotebook(path);

  itIsTidy(notebook, ["model", "data", "problemCount", "seed", ...Object.keys(small)]);

  it("reads what the document reports from data/studies", () => {
    const study = loadStudy<{ findings: { says: string; where: string }[]; done: Record<string, string[]> }>(
      "phase3-z",
    );
    assert.equal(study.findings.length, 10);
    for (const { says, where } of study.findings) assert.ok(says !== "" && /What We Know/.test(where));
    assert.deepEqual(
      ["minimum", "strong", "gold"].map((list) => study.done[list].length),
      [3, 5, 5],
    );
  });

  describe("on a checkpoint whose Z holds content shared by both languages", () => {
    let done: Notebook;
    before(async () => {
      done = await run("shared");
    });

    it("finds the content in Z and the language outside, and no double dissociation of the document's kind", () => {
      const verdict = shown(done, "verdict-text");
      assert.match(verdict, /: null \(document's rule\); content in Z \(cross-problem patching\)/);
      assert.match(verdict, /Z carries the content across languages\*: supported, 16\/16 = 100%/);
      assert.match(verdict, /Z leaves the language alone, Z⊥ carries it\*: supported/);
      assert.match(verdict, /Z is causal for answers\* .*?\*\*not supported\*\*/);
      // The languages' codes are one, so the bridge is a near-rotation, left-out pairs included.
      assert.match(verdict, /linear images of each other in Z\* .*?: supported/);
    });

    it("fills the table, the metrics and the lists", () => {
      assert.match(
        shown(done, "table-show"),
        /find riddle p\d\d now please +\d+ +answer \d+ +answer \d+ +答案 \d+/,
      );
      // Two layers, two sizes, two alignments.
      assert.equal(shown(done, "metrics-run").match(/^ +[34] +(13|5) +(mean|transport)/gm)?.length, 8);
      const lists = shown(done, "verdict-lists");
      assert.match(lists, /Minimum +✓ +The patching table is filled in/);
      assert.match(lists, /Strong +✗ +Double dissociation/);
      // Random weights pass or fail a test at the 5% level, here with eight problems: theirs is a chance of its own.
      assert.match(
        shown(done, "verdict-text"),
        /planted, shared as built; planted, separate as built; planted, outside as built/,
      );
      assert.match(shown(done, "provenance"), /checkpoint, studied[^\n]+[0-9a-f]{64}/);
      assert.doesNotMatch(shown(done, "instruments-run"), /false/);
    });

    it("draws its figures", () => {
      checkFigures(done, {
        "phase12-figures": 3,
        "controls-table": 1,
        "depth-show": 1,
        "residual-run": 2,
        "ard-figures": 3,
        "bridge-run": 1,
      });
    });
  });
});
