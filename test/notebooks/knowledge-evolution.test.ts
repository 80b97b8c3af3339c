import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Notebook, readNotebook } from "../../kernels/runner/index.js";
import { joined } from "../../lib/notebook/index.js";
import { loadStudy } from "../../lib/studies/index.js";
import { checkFigures, itIsTidy, shown } from "./executed.js";
import { checkInstruments, path, run, small, untrained } from "./knowledge-evolution.js";

describe("notebook 05-knowledge-evolution", () => {
  const notebook = readNotebook(path);

  itIsTidy(notebook, ["model", "data", "languageModel", "seed", ...Object.keys(small)]);

  it("answers every claim that data/studies has of the document", () => {
    const study = loadStudy<{ claims: { id: string; says: string; where: string }[] }>("knowledge-evolution");
    const verdict = joined(notebook.cells.find((c) => c.id === "verdict-table")!.source);
    const answered = new Set([...verdict.matchAll(/\bid: "(\w+)"/g)].map(([, id]) => id));
    assert.deepEqual([...answered], [...study.claims.map(({ id }) => id)]);
    for (const { says, where } of study.claims) assert.ok(says !== "" && where !== "");
  });

  describe("on random weights", () => {
    let done: Notebook;
    before(async () => {
      done = await run("untrained", { model: untrained() });
    });

    it("says what cannot be tested, and supports nothing about what was said of the images", () => {
      checkInstruments(done);
      const table = shown(done, "verdict-table");
      assert.match(table, /not testable +nothing was hallucinated/);
      assert.match(table, /not testable +no language model from before the visual training/);
      assert.match(
        shown(done, "verdict-text"),
        /\d+ of 18 supported, \d+ not supported, [1-9]\d* not testable/,
      );
      assert.match(shown(done, "verdict-text"), /language prior\?\* \*\*not testable\*\*/);
      assert.match(shown(done, "provenance"), /checkpoint, studied[^\n]+[0-9a-f]{64}/);
    });

    it("draws its figures", () => {
      checkFigures(done, {
        "exit-tokens": 2,
        "exit-kinds": 2,
        "norm-run": 1,
        "stages-show": 3,
        "tsne-show": 2,
        "paths-run": 1,
      });
    });
  });
});
