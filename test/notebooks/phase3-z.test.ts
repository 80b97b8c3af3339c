import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { type Notebook, readNotebook } from "../../kernels/runner/index.js";
import { initialWeights, saveCheckpoint, type Weights } from "../../lib/model/index.js";
import { loadStudy } from "../../lib/studies/index.js";
import { type PlantedMechanism, plantedMaths } from "../../lib/tasks/planted/maths.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { checkFigures, executed, itIsTidy, shipped, shown } from "./executed.js";

const path = shipped("03-phase3-z");
const folder = temporaryFolder();

/** Sizes at which every part of the study runs, in seconds. */
const small = {
  problemCount: 16,
  pairCount: 26,
  maxNewTokens: 4,
  layers: [3, 4],
  ks: [13, 5],
  ardSteps: 30,
  ardComparisons: 12,
  nullCount: 8,
  draws: 199,
  frame: "bare",
};

/** Writes a planted checkpoint, or its like with random weights, and the riddles; gives the notebook's parameters. */
function write(mechanism: PlantedMechanism, random = false): { model: string; data: string } {
  const made = plantedMaths(mechanism);
  const model = join(folder, random ? "random" : mechanism);
  mkdirSync(model, { recursive: true });
  const weights: Weights = random
    ? initialWeights({ ...made.config, initializer_range: 0.2 }, 3)
    : made.weights;
  saveCheckpoint(model, made.config, weights);
  writeFileSync(join(model, "tokenizer.json"), JSON.stringify(made.tokenizer));
  writeFileSync(join(model, "tokenizer_config.json"), JSON.stringify(made.tokenizerConfig));
  const data = join(folder, "riddles.json");
  writeFileSync(data, JSON.stringify({ problems: made.problems }));
  return { model, data };
}

function run(mechanism: PlantedMechanism, random = false): Promise<Notebook> {
  const output = join(folder, `${random ? "random" : mechanism}.ipynb`);
  return executed(path, output, { ...small, ...write(mechanism, random) });
}

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

  it("finds the document's double dissociation, and no content, where Z is only damaged", async () => {
    const done = await run("separate");
    const verdict = shown(done, "verdict-text");
    assert.match(verdict, /: double dissociation \(document's rule\); no content moved/);
    assert.match(verdict, /Z carries the content across languages\*: \*\*not supported\*\*/);
    assert.match(shown(done, "verdict-lists"), /Strong +✓ +Double dissociation/);
  });

  it("finds nothing in random weights", async () => {
    const done = await run("shared", true);
    const verdict = shown(done, "verdict-text");
    assert.match(verdict, /: (null|reversed) \(document's rule\); no content moved/);
    assert.match(shown(done, "depth-show"), /Not measured/);
  });
});
