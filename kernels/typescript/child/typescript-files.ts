/** Module hooks: TypeScript files near a notebook, and what they import of each other, run as they are. */
import { existsSync, readFileSync, statSync } from "node:fs";
import type { LoadHook, ResolveHook } from "node:module";
import { fileURLToPath } from "node:url";

import ts = require("typescript");

export const resolve: ResolveHook = async (specifier, context, next) => {
  const { parentURL } = context;
  if (!/^\.{1,2}\//.test(specifier) || parentURL === undefined || !isTypescript(new URL(parentURL))) {
    return next(specifier, context);
  }
  const candidates = [
    specifier,
    specifier.replace(/\.(m?)js$/, ".$1ts"),
    `${specifier}.ts`,
    `${specifier}/index.ts`,
  ];
  const file = candidates
    .map((name) => new URL(name, parentURL))
    .find((url) => isTypescript(url) && existsSync(url));
  if (file === undefined) return next(specifier, context);
  // As in modules.ts: a file that was edited since is another module.
  return { url: `${file.href}?changed=${statSync(file).mtimeMs}`, format: "module", shortCircuit: true };
};

export const load: LoadHook = async (url, context, next) => {
  const parsed = new URL(url);
  if (parsed.protocol !== "file:" || !isTypescript(parsed)) return next(url, context);
  const path = fileURLToPath(parsed);
  const output = ts.transpileModule(readFileSync(path, "utf8"), {
    fileName: path,
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      experimentalDecorators: true,
      inlineSourceMap: true,
    },
  });
  return { format: "module", source: output.outputText, shortCircuit: true };
};

function isTypescript(url: URL): boolean {
  return /\.m?tsx?$/.test(url.pathname) && !url.pathname.endsWith(".d.ts");
}
