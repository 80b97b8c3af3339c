/**
 * Runs the tests by Node's own runner: all of them, or those of some folders.
 *
 *   npm test                      everything but the slow ones
 *   npm test -- model plot/marks  test/model and test/plot/marks
 *   npm run test:slow             the slow ones: fuzzers and kill tests with many rounds
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, sep } from "node:path";
import { compilerFlags } from "../kernels/typescript/compiler/process.js";

const root = import.meta.dirname;
const snapshotMaker = join(root, "../kernels/typescript/compiler/make-snapshot.js");
const slow = process.argv.includes("--slow");
const wanted = process.argv.slice(2).filter((argument) => argument !== "--slow");

const isSlow = (file: string): boolean => file.endsWith(".slow.test.js");
const inPart = (file: string, part: string): boolean => {
  const path = part
    .replaceAll("\\", "/")
    .replace(/^test\//, "")
    .replace(/\/$/, "");
  return file === `${path}.test.js` || file.startsWith(`${path}/`);
};

const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((file) => file.split(sep).join("/"))
  .filter((file) => file.endsWith(".test.js") && isSlow(file) === slow)
  .sort();
const unknown = wanted.filter((part) => !files.some((file) => inPart(file, part)));
const chosen =
  wanted.length === 0 ? files : files.filter((file) => wanted.some((part) => inPart(file, part)));

if (unknown.length > 0 || chosen.length === 0) {
  const parts = [...new Set(files.map((file) => file.split("/")[0].replace(/\.test\.js$/, "")))];
  process.stderr.write(`No tests in ${unknown.join(", ")}. The parts are ${parts.join(", ")}.\n`);
  process.exitCode = 2;
} else {
  // Each of many kernels would read TypeScript's declarations until one had made the snapshot, behind all other work.
  if (chosen.some((file) => /^(kernels|notebooks)\//.test(file)))
    spawnSync(process.execPath, [snapshotMaker, ...compilerFlags], { stdio: "inherit" });
  // One more than there are cores: files that start kernels wait much of their time.
  // A test that hangs says so, and does not hang CI.
  const limitMs = (slow ? 30 : 10) * 60_000;
  const flags = ["--test", `--test-concurrency=${availableParallelism() + 1}`, `--test-timeout=${limitMs}`];
  const { status, signal } = spawnSync(
    process.execPath,
    [...flags, ...chosen.map((file) => join(root, file))],
    {
      stdio: "inherit",
    },
  );
  process.exitCode = signal ? 1 : (status ?? 1);
}
