/**
 * The compiler's process starts from a snapshot of V8's heap in which TypeScript and the libraries' declarations are read:
 * without one, reading them is most of a notebook's first cell. One snapshot is made for each Node and installation, in
 * the background, by the first kernel that has nothing else to do.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../../lib/cache-folder.js";
import { packageRoot, packageVersion } from "../../../lib/package-root.js";
import { preparedImports } from "./warm-up.js";

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** The script that makes a snapshot's contents. */
export const snapshotContents: string = here("./snapshot-contents.cjs");

/** Path of the snapshot for this Node, these flags, and what is installed. */
export function snapshotPath(flags: readonly string[]): string {
  const require = createRequire(join(packageRoot(), "package.json"));
  const hash = createHash("sha256");
  hash.update(
    [
      process.version,
      process.arch,
      process.platform,
      process.env.NODE_OPTIONS ?? "",
      // Files that npm unpacks have one date, whatever the version.
      packageVersion(),
      preparedImports,
      ...flags,
    ].join("\n"),
  );
  const parts = ["typescript", "typescript/package.json", "@types/node/package.json"].map((name) =>
    require.resolve(name),
  );
  const own = [snapshotContents, here("./joined-declarations.js"), join(packageRoot(), "package.json")];
  for (const file of [process.execPath, ...parts, ...own]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`\n${file} ${size} ${mtimeMs}`);
  }
  return join(cacheFolder(), "kernel", `${hash.digest("hex").slice(0, 32)}.snapshot`);
}

/** The snapshot to start from, when it has been made. */
export function findSnapshot(flags: readonly string[]): string | undefined {
  try {
    const path = snapshotPath(flags);
    return existsSync(path) && isPrivate(dirname(path)) ? path : undefined;
  } catch {
    // What it would be made of cannot be read; the compiler says so when it starts.
    return undefined;
  }
}

/** True where nobody else can change what is run from the folder. Windows has neither owners nor modes of this kind. */
function isPrivate(folder: string): boolean {
  const { uid, mode } = statSync(folder);
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
}

/** Makes the snapshot in the background, behind all other work, unless it is there or being made. */
export function makeSnapshotLater(flags: readonly string[]): void {
  if (findSnapshot(flags) !== undefined) return;
  const maker = spawn(process.execPath, [here("./make-snapshot.js"), ...flags], {
    stdio: "ignore",
    // It outlives this kernel.
    detached: true,
  });
  maker.on("error", () => {});
  maker.unref();
}
