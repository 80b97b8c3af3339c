import assert from "node:assert/strict";
import { test } from "node:test";
import { startCompiler } from "../../../../kernels/typescript/compiler/process.js";
import { temporaryFolder } from "../../temporary.js";
import { within } from "../within.js";

const folder = temporaryFolder();

test("a compiler that runs out of memory says so, and is there again with the earlier cells", async () => {
  const compiler = startCompiler(folder, { flags: ["--max-old-space-size=320"] });
  try {
    const first = await within(
      compiler.compile("const earlier: number = 1; interface Point { x: number }", "In[1]"),
      "the first cell",
    );
    assert.ok(first.ok);
    await compiler.commit("all");
    const huge = `const table = [${Array.from({ length: 400_000 }, (_, i) => `{ a: ${i}, b: [${i}] }`).join(",")}];`;
    await assert.rejects(
      within(compiler.compile(huge, "In[2]"), "the huge cell", 120_000),
      /ran out of memory.*started again/,
    );
    const next = await within(compiler.compile("const p: Point = { x: earlier };", "In[3]"), "the next cell");
    assert.ok(next.ok, JSON.stringify(next));
    const wrong = await within(compiler.compile("const text: string = earlier;", "In[4]"), "a type error");
    assert.ok(!wrong.ok);
  } finally {
    await compiler.close();
  }
});
