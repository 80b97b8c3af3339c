import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../../lib/package-root.js";

const root = packageRoot();
const json = (path: string): unknown => JSON.parse(readFileSync(join(root, path), "utf8"));

/** Licences whose only condition is to keep their text, which every package brings in its folder. */
const PERMISSIVE = new Set([
  "MIT",
  "MIT-0",
  "ISC",
  "0BSD",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "PSF-2.0",
]);

/** Every licence of an expression such as "Apache-2.0 AND MIT" is permissive. */
const isPermissive = (licence: string): boolean =>
  licence
    .replace(/[()]/g, "")
    .split(" AND ")
    .every((one) => PERMISSIVE.has(one));

/** Rows of the notices' tables: a package, or a pattern of packages, and its licence. */
const notices = [
  ...readFileSync(join(root, "THIRD-PARTY-NOTICES.md"), "utf8").matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm),
].map(([, name, licence]) => ({
  name,
  licence,
  matches: new RegExp(`^${name.replaceAll(".", "\\.").replaceAll("*", ".*")}$`),
}));

interface Locked {
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

/** Packages that are installed with this one, for any platform: name, folder, and the lock file's licence. */
const locked = Object.entries((json("package-lock.json") as { packages: Record<string, Locked> }).packages)
  .filter(([path, { dev, link }]) => path !== "" && !dev && !link)
  .map(([path, { license }]) => ({
    path,
    name: path.slice(path.lastIndexOf("node_modules/") + 13),
    license,
  }));

describe("THIRD-PARTY-NOTICES.md", () => {
  it("names every package that this one imports, and no other", () => {
    const { dependencies, optionalDependencies, peerDependencies } = json("package.json") as Record<
      string,
      Record<string, string>
    >;
    const direct = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
    for (const name of direct)
      assert.ok(
        notices.some((notice) => notice.name === name),
        `${name} is not named`,
      );
    const known = [...direct, ...locked.map(({ name }) => name)];
    for (const { name, matches } of notices)
      assert.ok(
        known.some((one) => matches.test(one)),
        `${name} is gone`,
      );
  });

  it("gives each package's licence, and names every licence with conditions of its own", () => {
    for (const { name, license = "none" } of locked) {
      const notice = notices.find(({ matches }) => matches.test(name));
      if (notice) assert.equal(license, notice.licence, name);
      else assert.ok(isPermissive(license), `${name} is under ${license}`);
    }
  });

  it("rests on what the installed packages themselves declare", () => {
    const installed = locked.filter(({ path }) => existsSync(join(root, path, "package.json")));
    assert.ok(installed.length > 100, `${installed.length} installed packages`);
    for (const { path, license } of installed) {
      const declared = json(join(path, "package.json")) as { license?: string };
      assert.equal(declared.license, license, path);
    }
  });
});
