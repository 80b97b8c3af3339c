import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { packageRoot } from "../../lib/package-root.js";

/** What `npm install modalscope` may take of disk, in bytes. */
const MOST = 600e6;

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = packageRoot();
const json = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));
const { packages } = json("package-lock.json") as { packages: Readonly<Record<string, Locked>> };

/** The folder of a package as the one in `folder` finds it, if it is installed on this platform. */
function resolve(name: string, folder: string): string | undefined {
  for (let at = folder; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const path = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (packages[path] !== undefined) return existsSync(join(root, path)) ? path : undefined;
    if (at === "") return undefined;
  }
}

/** Folders of all packages that this one brings with it, without those for development. */
function installed(): Set<string> {
  const found = new Set<string>();
  const visit = (folder: string): void => {
    const { dependencies, optionalDependencies } = packages[folder];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const path = resolve(name, folder);
      if (path === undefined || found.has(path)) continue;
      found.add(path);
      visit(path);
    }
  };
  visit("");
  return found;
}

/** Bytes of the files in a folder, without packages nested in it that are listed on their own. */
function bytesOf(folder: string, listed: ReadonlySet<string>): number {
  let sum = 0;
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isFile()) sum += statSync(join(root, path)).size;
    else if (entry.isDirectory() && !listed.has(path)) sum += bytesOf(path, listed);
  }
  return sum;
}

/** What npm packs of this package, unpacked. */
function packed(): { readonly folder: string; readonly bytes: number } {
  const command = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const [pack] = JSON.parse(execFileSync("npm", command, { cwd: root, encoding: "utf8" })) as {
    unpackedSize: number;
  }[];
  return { folder: "the package", bytes: pack.unpackedSize };
}

it("installed, the package and what it brings take at most 600 MB", () => {
  const found = installed();
  assert.ok(found.size > 100, `${found.size} packages`);
  const sizes = [...[...found].map((folder) => ({ folder, bytes: bytesOf(folder, found) })), packed()].sort(
    (a, b) => b.bytes - a.bytes,
  );
  const total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const largest = sizes.slice(0, 12).map(({ folder, bytes }) => `${folder} ${(bytes / 1e6).toFixed(1)}`);
  assert.ok(total > 300e6 && total <= MOST, `${(total / 1e6).toFixed(1)} MB: ${largest.join(", ")}`);
});
