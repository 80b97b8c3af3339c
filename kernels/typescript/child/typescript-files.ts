/** Module hooks: TypeScript files near a notebook, and what they import of each other, run as they are. */
import { readFileSync, statSync } from "node:fs";
import type { LoadHook, ResolveHook } from "node:module";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const resolve: ResolveHook = async (specifier, context, next) => {
  if (!/^\.{1,2}\//.test(specifier) || !context.parentURL?.startsWith("file:"))
    return next(specifier, context);
  for (const candidate of [
    specifier,
    specifier.replace(/\.(m?)js$/, ".$1ts"),
    `${specifier}.ts`,
    `${specifier}/index.ts`,
  ]) {
    const url = new URL(candidate, context.parentURL);
    if (!isTypescript(url)) continue;
    const found = statSync(url, { throwIfNoEntry: false });
    if (found?.isFile())
      return { url: `${url.href}?changed=${found.mtimeMs}`, format: "module", shortCircuit: true };
  }
  return next(specifier, context);
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
