import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { type Notebook, readNotebook } from "../../kernels/runner/index.js";
import { loadClaims } from "../../lib/studies/index.js";
import { shipped } from "./executed.js";
import { breaches } from "./standard.js";

const names = readdirSync(dirname(shipped("any")))
  .filter((file) => file.endsWith(".ipynb"))
  .map((file) => file.replace(/\.ipynb$/, ""));

for (const name of names) {
  const study = name.replace(/^\d+-/, "");
  describe(`notebook ${name}`, () => {
    it("keeps the standard, and judges the claims of its document once", () => {
      assert.deepEqual(breaches(readNotebook(shipped(name)), study), []);
      assert.ok(loadClaims(study).claims.length > 0);
    });
  });
}

describe("the checker of the standard", () => {
  const text = (id: string, source: string) => ({ id, cell_type: "markdown", metadata: {}, source });
  const code = (id: string, source: string, tags: string[] = []) => ({
    id,
    cell_type: "code",
    metadata: { tags },
    source,
    outputs: [],
    execution_count: null,
  });
  const good = [
    text("title", "# A study\n## The answer"),
    code("parameters", "// Smaller.\nconst quick = false;\nconst share = 0.5;", ["parameters"]),
    code("run", 'const matrix = await claimsMatrix(loadClaims("made-up"), measure);'),
    text("document", "## What the document says\n## Instruments, checked\n## Nulls and planted"),
    code("matrix", "show(claimTable(matrix), matrixFigure(matrix));"),
    text("end", "## Exercises\n## Glossary"),
  ];
  const found = (cells: readonly unknown[]): string[] => {
    const notebook = { cells, metadata: {}, nbformat: 4, nbformat_minor: 5 } as unknown as Notebook;
    return breaches(notebook, "made-up");
  };
  const withCode = (source: string): string[] => found([...good, code("more", source)]);

  it("finds nothing in a notebook that keeps it", () => {
    assert.deepEqual(found(good), []);
  });
  it("finds cells that are too long, too wide or too many", () => {
    assert.deepEqual(withCode(Array(26).fill("a();").join("\n")), ["more: 26 lines"]);
    assert.deepEqual(withCode(`a("${"x".repeat(110)}");`), ["more: 1 lines over 110 columns"]);
    const many = Array.from({ length: 18 }, (_, i) => code(`c${i}`, "a();"));
    assert.deepEqual(found([...good, ...many]), ["21 code cells"]);
  });
  it("finds thresholds in cells, and lets sizes of figures be", () => {
    assert.deepEqual(withCode("const ok = p < 0.05;"), [
      "more: the threshold p < 0.05",
      "more: the number 0.05",
    ]);
    assert.deepEqual(withCode("if (n >= 15) a();"), ["more: the threshold n >= 15"]);
    assert.deepEqual(withCode("draw({ height: 300 }); if (n > 0) a();"), []);
  });
  it("finds a default that would not follow a given parameter", () => {
    const dependent = "const quick = false;\nconst count = quick ? 8 : 100;";
    const cells = good.map((cell) => (cell.id === "parameters" ? { ...cell, source: dependent } : cell));
    assert.deepEqual(found(cells), ['a parameter\'s default depends on "quick"']);
  });
  it("finds long prose, missing sections and claims that are not judged once", () => {
    assert.deepEqual(found([...good, text("long", "word ".repeat(81))]), [
      "long: 81 words since the last cell of code",
    ]);
    assert.deepEqual(found(good.slice(0, -1)), [
      'no section "exercises" in its place',
      'no section "glossary" in its place',
    ]);
    assert.deepEqual(withCode("claimTable(matrix);"), ["claimTable is called 2 times"]);
  });
});
