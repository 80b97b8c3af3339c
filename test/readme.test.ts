import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

const root = join(import.meta.dirname, "../..");

describe("README", () => {
  it("its tour runs as it stands and prints what it says", () => {
    const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8"))![1];
    const folder = mkdtempSync(join(tmpdir(), "modalscope-readme-"));
    // Beside the compiled tests, so that "modalscope" is this package.
    const script = join(root, "dist", "readme-tour.mjs");
    writeFileSync(script, code);
    const printed = execFileSync(process.execPath, [script], { cwd: folder, encoding: "utf8" });
    rmSync(script);
    assert.match(printed, /The answer is 14\./);
    assert.match(printed, /答案是14。/);
    assert.ok(existsSync(join(folder, "patching.png")));
  });
});
