/** Runs the tests by Node's own runner: all of them, or those of some folders. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, sep } from "node:path";
import { run } from "node:test";
import { spec, tap } from "node:test/reporters";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { compilerFlags } from "../kernels/typescript/compiler/process.js";

const root = import.meta.dirname;
const snapshotMaker = join(root, "../kernels/typescript/compiler/make-snapshot.js");

const program = new Command("npm test --")
  .description("Runs the tests; files or folders under test/ may be named.")
  .argument("[parts...]", "only these, such as: model plot/marks")
  .option("--slow", "the slow tests instead: fuzzers and kill tests with many rounds", false)
  .parse();
const wanted = program.args;
const { slow } = program.opts<{ slow: boolean }>();

const isSlow = (file: string): boolean => file.endsWith(".slow.test.js");
const inPart = (file: string, part: string): boolean => {
  const path = part
    .replaceAll("\\", "/")
    .replace(/^test\//, "")
    .replace(/\/$/, "");
  return file === `${path}.test.js` || file.startsWith(`${path}/`);
};

const startsKernels = (file: string): boolean => /^(kernels|notebooks)\//.test(file);

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
  if (chosen.some(startsKernels))
    spawnSync(process.execPath, [snapshotMaker, ...compilerFlags], { stdio: "inherit" });
  const folder = mkdtempSync(join(tmpdir(), "modalscope tests "));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  // One more than there are cores: files that start kernels wait much of their time.
  // A test that hangs says so, and does not hang CI.
  const concurrency = availableParallelism() + 1;
  const timeout = (slow ? 30 : 10) * 60_000;
  run({ files: processes(chosen, folder), concurrency, timeout })
    .on("test:fail", ({ todo }) => {
      if (todo === undefined || todo === false) process.exitCode = 1;
    })
    .compose(process.stdout.isTTY ? new spec() : tap)
    .pipe(process.stdout);
}

/** What runs in a process each, the longest first: a test, or a script in `folder` that runs those of one part together. */
function processes(chosen: readonly string[], folder: string): string[] {
  const parts = new Map<string, string[]>();
  for (const file of chosen) {
    const part = slow || needsOwnProcess(file) ? file : partOf(file);
    parts.set(part, [...(parts.get(part) ?? []), join(root, file)]);
  }
  const rank = ([part, files]: [string, string[]]): number =>
    files.length > 1 ? 0 : startsKernels(part) ? 1 : 2;
  const longestFirst = [...parts].sort((a, b) => rank(a) - rank(b));
  return longestFirst.map(([part, files]) => {
    if (files.length === 1) return files[0];
    const script = join(folder, `${part.replaceAll("/", "-")}-tests.mjs`);
    const module = JSON.stringify(pathToFileURL(join(root, "together.js")).href);
    writeFileSync(
      script,
      `import { runTogether } from ${module};\nawait runTogether(${JSON.stringify(files)});\n`,
    );
    return script;
  });
}

/** The folder whose tests run in one process: `analysis`, but `model/methods`. */
function partOf(file: string): string {
  const folders = file.split("/").slice(0, -1);
  return folders.slice(0, folders[0] === "model" ? 2 : 1).join("/");
}

/**
 * Whether a test starts processes, touches what its own has once, or holds so much (the sources' syntax trees) that others beside
 * it would be slower.
 */
function needsOwnProcess(file: string): boolean {
  return (
    startsKernels(file) ||
    /^(architecture|package)\//.test(file) ||
    /\bprocess\.(chdir|env|exit|memoryUsage|on)\b|\bglobalThis\b|node:child_process/.test(
      readFileSync(join(root, file), "utf8"),
    )
  );
}
