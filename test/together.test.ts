import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "modalscope together "));
after(() => rmSync(folder, { recursive: true }));

it("of files in one process each is reported, whatever the others do", () => {
  const bodies: Record<string, string> = {
    "1-passes": 'test("passes", () => {});',
    "2-ends-its-process": 'test("ends", () => process.exit(0));',
    "3-does-not-load": 'await import("./nowhere.js");',
    "4-fails": 'test("fails", () => { throw new Error("no"); });',
    "5-waits-for-ever": 'test("waits", () => new Promise(() => {}));',
    "6-is-killed": 'test("is killed", () => process.kill(process.pid, "SIGKILL"));',
    "7-passes-too": 'test("passes too", () => {});',
  };
  const files = Object.entries(bodies).map(([name, body]) => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, `import { test } from "node:test";\n${body}\n`);
    return file;
  });
  const script = join(folder, "all.mjs");
  const module = new URL("./together.js", import.meta.url).href;
  writeFileSync(
    script,
    `import { runTogether } from "${module}";\nawait runTogether(${JSON.stringify(files)});`,
  );
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = ["--test", "--test-reporter=tap", script];
  const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
  assert.equal(status, 1);
  const results = [...stdout.matchAll(/^(ok|not ok) \d+ - .*?(\d)-/gm)].map(([, result, file]) => [
    file,
    result,
  ]);
  assert.deepEqual(results, [
    ["1", "ok"],
    ["2", "not ok"],
    ["3", "not ok"],
    ["4", "not ok"],
    ["5", "not ok"],
    ["6", "not ok"],
    ["7", "ok"],
  ]);
  assert.match(stdout, /ended before its tests: exit code 0\./);
  assert.match(stdout, /ended before its tests: SIGKILL\./);
  assert.match(stdout, /^# pass 2$/m);
});
