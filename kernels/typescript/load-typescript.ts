import { createRequire } from "node:module";
import type ts from "typescript";

let loaded: typeof ts | undefined;

/** The TypeScript compiler, loaded when it is first asked for: that takes half a second. */
export function loadTypeScript(): typeof ts {
  loaded ??= createRequire(import.meta.url)("typescript") as typeof ts;
  return loaded;
}
