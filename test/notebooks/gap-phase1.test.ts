import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readNotebook, runNotebook } from "../../kernels/runner/index.js";
import { joined } from "../../lib/notebook/index.js";
import { loadClaims } from "../../lib/studies/index.js";
import { temporaryFolder } from "../kernels/temporary.js";
import { itIsTidy, shipped } from "./executed.js";

const path = shipped("01-gap-phase1");
const folder = temporaryFolder();

describe("notebook 01-gap-phase1", () => {
  const notebook = readNotebook(path);

  itIsTidy(notebook, ["model", "data", "samples", "seeds", "layers", "imageTokens", "part", "quick"]);

  it("shows every claim beside its experiment", () => {
    const code = notebook.cells.map(({ source }) => joined(source)).join("\n");
    for (const { id } of loadClaims("gap-phase1").claims) assert.ok(code.includes(`"${id}"`), id);
  });

  it("says at once that a text-only model has no visual tokens", async () => {
    const output = join(folder, "text.ipynb");
    const { status, error } = await runNotebook({
      input: path,
      output,
      parameters: { model: "maths-zh-en" },
    });
    assert.equal(status, "failed");
    assert.match(`${error?.evalue}`, /cannot be asked about images/);
  });
});
