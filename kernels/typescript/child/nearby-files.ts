/** Files near a notebook, found as the checker finds them: by TypeScript's rules for bundlers. */
import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  attempt,
  parseJson,
  regExpExec,
  stringEndsWith,
  stringSlice,
  stringStartsWith,
} from "../intrinsics.js";

const isRelativeOrAbsolute = /^\.{0,2}\//;
const javascriptExtension = /\.([mc]?)jsx?$/;

/** File that a path or `file:` URL resolves to; undefined when there is none, or the specifier names a package. */
export function nearbyFile(folder: string, specifier: string): string | undefined {
  const path = stringStartsWith(specifier, "file:") ? fileURLToPath(specifier) : specifier;
  if (regExpExec(isRelativeOrAbsolute, path) === null) return undefined;
  const whole = resolve(folder, path);
  const javascript = regExpExec(javascriptExtension, whole);
  const stem = javascript === null ? whole : stringSlice(whole, 0, javascript.index);
  const kind = javascript?.[1] ?? "";
  const candidates = [
    whole,
    `${stem}.${kind}ts`,
    `${stem}.tsx`,
    `${whole}.ts`,
    `${whole}.tsx`,
    `${whole}.js`,
    join(whole, "index.ts"),
    join(whole, "index.tsx"),
    join(whole, "index.js"),
  ];
  for (let i = 0; i < candidates.length; i++) {
    if (statSync(candidates[i], { throwIfNoEntry: false })?.isFile()) return candidates[i];
  }
  return undefined;
}

export function isTypescript(path: string): boolean {
  return regExpExec(/\.[mc]?tsx?$/, path) !== null && regExpExec(/\.d\.[mc]?ts$/, path) === null;
}

export function isJson(path: string): boolean {
  return regExpExec(/\.json$/, path) !== null;
}

/** Whether Node may load a file as CommonJS: a `.js` file is what the nearest package.json says. */
export function isCommonJsFile(path: string | undefined): boolean {
  if (path === undefined || regExpExec(/\.c?js$/, path) === null) return false;
  return stringEndsWith(path, ".cjs") || packageType(dirname(path)) !== "module";
}

function packageType(folder: string): unknown {
  const path = join(folder, "package.json");
  if (statSync(path, { throwIfNoEntry: false })?.isFile())
    return attempt(() => (parseJson(readFileSync(path, "utf8")) as { type?: unknown }).type, undefined);
  return dirname(folder) === folder ? undefined : packageType(dirname(folder));
}

/** URL of the file's current version: a file that was edited is another module, and importing it again loads it. */
export function urlOfVersion(path: string): string {
  return `${pathToFileURL(path).href}?changed=${statSync(path).mtimeMs}`;
}
