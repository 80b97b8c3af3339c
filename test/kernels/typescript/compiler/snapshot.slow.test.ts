import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, statSync, truncateSync } from "node:fs";
import { dirname } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type CompilerProcess,
  compilerFlags,
  startCompiler,
} from "../../../../kernels/typescript/compiler/process.js";
import { findSnapshot, snapshotPath } from "../../../../kernels/typescript/compiler/snapshot.js";
import { temporaryFolder } from "../../temporary.js";
import { within } from "../within.js";

const folder = temporaryFolder();
const maker = fileURLToPath(
  new URL("../../../../kernels/typescript/compiler/make-snapshot.js", import.meta.url),
);

/** Three cells, one of them wrong, that lean on Node's types and on this package's. */
async function cells(compiler: CompilerProcess): Promise<unknown[]> {
  const results: unknown[] = [];
  for (const code of [
    'import { seeded } from "modalscope";\nconst drawn: number = seeded(1).int(3);',
    'const bytes = Buffer.from("a"); drawn + bytes.length',
    "const text: string = drawn;",
  ]) {
    results.push(await within(compiler.compile(code, "In[1]"), code, 60_000));
    await compiler.commit("all");
  }
  return results;
}

async function fresh(): Promise<unknown[]> {
  const compiler = startCompiler(folder);
  try {
    return await cells(compiler);
  } finally {
    await compiler.close();
  }
}

before(() => {
  process.env.MODALSCOPE_CACHE = folder;
});

test("cells compile from a snapshot as without one, and without it when it is damaged", async () => {
  assert.equal(findSnapshot(compilerFlags), undefined);
  const without = await fresh();
  execFileSync(process.execPath, [maker, ...compilerFlags], { stdio: "pipe" });
  const path = findSnapshot(compilerFlags);
  assert.ok(path !== undefined && path === snapshotPath(compilerFlags) && path.startsWith(folder));
  assert.equal(statSync(dirname(path)).mode & 0o077, 0);
  assert.deepEqual(await fresh(), without);
  assert.ok(existsSync(path), "the snapshot was taken for damaged");
  truncateSync(path, 10_000_000);
  assert.deepEqual(await fresh(), without);
  assert.ok(!existsSync(path));
});

test("another Node's flags, and other options of Node's, have a snapshot of their own", () => {
  const paths = new Set([
    snapshotPath(compilerFlags),
    snapshotPath([...compilerFlags, "--expose-internals"]),
  ]);
  process.env.NODE_OPTIONS = "--max-old-space-size=4000";
  paths.add(snapshotPath(compilerFlags));
  delete process.env.NODE_OPTIONS;
  assert.equal(paths.size, 3);
});
