import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { packageRoot } from "../../lib/package-root.js";

it("the guide's study runs as it stands and comes to the verdicts that it says", () => {
  const guide = readFileSync(join(packageRoot(), "lib/studies/STUDIES.md"), "utf8");
  const [, code] = /```ts\n([\s\S]*?)```/.exec(guide)!;
  const [, verdicts] = /It prints `([^`]+)`/.exec(guide)!;
  // Inside the package, so that "modalscope" is this package.
  const script = join(packageRoot(), "dist", "studies-guide.mjs");
  writeFileSync(script, code);
  const printed = execFileSync(process.execPath, [script], { encoding: "utf8" });
  rmSync(script);
  assert.equal(printed.split("\n")[0], verdicts);
  assert.match(printed, /Table: Does the patch move the answer\?: 1 supported/);
});
