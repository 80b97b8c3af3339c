import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { command, errorName, load, textOf, writeNotebook } from "../runner/support.js";
import { temporaryFolder } from "../temporary.js";

/** Exit status of the command where its output is closed before it has printed anything. */
async function unread(cwd: string, args: readonly string[]): Promise<number | null> {
  const { code } = await command(args, {
    cwd,
    onStart({ stdout, stderr }) {
      stdout?.destroy();
      stderr?.destroy();
    },
  });
  return code;
}

describe("output that nobody reads", () => {
  it("does not fail the command", async () => {
    assert.equal(await unread(temporaryFolder(), ["run", "--help"]), 0);
  });

  it("leaves a run as it would have been, and its exit status", async () => {
    const folder = temporaryFolder();
    const input = writeNotebook(join(folder, "in.ipynb"), [
      'console.log("seen")',
      'throw new Error("at the end")',
    ]);
    const output = join(folder, "out.ipynb");
    assert.equal(await unread(folder, ["run", "--log-output", input, output]), 1);
    const [, first, , second] = load(output).cells;
    assert.equal(textOf(first), "seen\n");
    assert.equal(errorName(second.outputs?.[0]), "Error");
  });
});
