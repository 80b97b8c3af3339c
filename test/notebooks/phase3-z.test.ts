import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readNotebook } from "../../kernels/runner/index.js";
import { loadStudy } from "../../lib/studies/index.js";
import { itIsTidy } from "./executed.js";
import { path, small } from "./phase3-z.js";

describe("notebook 03-phase3-z", () => {
  const notebook = readNotebook(path);

  itIsTidy(notebook, ["model", "data", "quick", ...Object.keys(small)]);

  it("judges every finding of the document, and keeps its lists", () => {
    const study = loadStudy<{
      findings: { where: string }[];
      claims: { where: string }[];
      done: Record<string, string[]>;
    }>("phase3-z");
    assert.equal(study.findings.length, 10);
    const rows = study.claims.flatMap(({ where }) => where.match(/What We Know, row \d+/)?.[0] ?? []);
    assert.deepEqual(
      rows.sort(),
      study.findings.map(({ where }) => where.match(/What We Know, row \d+/)?.[0]).sort(),
    );
    assert.deepEqual(
      ["minimum", "strong", "gold"].map((list) => study.done[list].length),
      [3, 5, 5],
    );
  });
});
