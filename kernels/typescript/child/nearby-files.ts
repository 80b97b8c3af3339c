/** Files near a notebook, found as the checker finds them: by TypeScript's rules for bundlers. */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { regExpExec, stringSlice, stringStartsWith } from "../intrinsics.js";

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

/** URL of the file's current version: a file that was edited is another module, and importing it again loads it. */
export function urlOfVersion(path: string): string {
  return `${pathToFileURL(path).href}?changed=${statSync(path).mtimeMs}`;
}
