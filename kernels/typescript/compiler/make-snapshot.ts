/** Makes the snapshot that the compiler's process starts from: `node make-snapshot.js FLAGS…`, the flags of that process. */
import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { constants, setPriority } from "node:os";
import { dirname, join } from "node:path";
import { packageRoot } from "../../../lib/package-root.js";
import { joinedDeclarations } from "./joined-declarations.js";
import { compilerOptions, nodeDeclarations } from "./program.js";
import { snapshotContents, snapshotPath } from "./snapshot.js";
import { preparedImports } from "./warm-up.js";

const day = 86_400_000;

/** So long a maker that failed or was killed keeps others from trying. */
const lockMs = day;

const flags = process.argv.slice(2);
const path = snapshotPath(flags);
const folder = dirname(path);
const lock = `${path}.lock`;
mkdirSync(folder, { recursive: true, mode: 0o700 });
if (statSync(path, { throwIfNoEntry: false }) === undefined && locked()) {
  setPriority(constants.priority.PRIORITY_LOW);
  make();
  removeOld();
  rmSync(lock);
}

function locked(): boolean {
  const before = statSync(lock, { throwIfNoEntry: false });
  if (before !== undefined && Date.now() - before.mtimeMs > lockMs) rmSync(lock, { force: true });
  try {
    openSync(lock, "wx");
    return true;
  } catch {
    return false;
  }
}

function make(): void {
  const root = packageRoot();
  const options = compilerOptions(root);
  const joined = joinedDeclarations(options.lib ?? [], nodeDeclarations(root, options));
  const input = {
    typescript: createRequire(join(root, "package.json")).resolve("typescript"),
    options,
    folder: root,
    text: preparedImports,
    joined: [...joined],
  };
  const temporary = `${path}.${process.pid}.tmp`;
  // Node runs it without the variables that modules have.
  const script = `${temporary}.cjs`;
  const inputFile = `${temporary}.json`;
  writeFileSync(inputFile, JSON.stringify(input));
  writeFileSync(script, `const exports = {};\n${readFileSync(snapshotContents, "utf8")}`);
  const { status, stderr } = spawnSync(
    process.execPath,
    [...flags, "--snapshot-blob", temporary, "--build-snapshot", script, inputFile],
    { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" },
  );
  rmSync(script);
  rmSync(inputFile);
  if (status !== 0) {
    rmSync(temporary, { force: true });
    throw new Error(`The compiler's snapshot cannot be made. ${stderr}`);
  }
  renameSync(temporary, path);
}

/** Snapshots of Nodes and installations that nobody has made anew for a month. */
function removeOld(): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (file !== path && Date.now() - statSync(file).mtimeMs > 30 * day) rmSync(file, { force: true });
  }
}
