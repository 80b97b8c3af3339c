import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { packageImports } from "./package-imports.js";

type TypeScript = typeof import("typescript");

let typescript: TypeScript | undefined;

/** A TypeScript file as JavaScript, with its types dropped unchecked: the cell that imports it checks them. */
export function transpile(path: string, module: "esm" | "commonjs"): string {
  // Loaded only here: it takes a while.
  typescript ??= createRequire(import.meta.url)("typescript") as TypeScript;
  const { ModuleKind, ScriptTarget, JsxEmit, transpileModule } = typescript;
  const { outputText } = transpileModule(readFileSync(path, "utf8"), {
    fileName: path,
    compilerOptions: {
      module: module === "esm" ? ModuleKind.ESNext : ModuleKind.CommonJS,
      target: ScriptTarget.ES2022,
      experimentalDecorators: true,
      esModuleInterop: true,
      jsx: JsxEmit.React,
      inlineSourceMap: true,
    },
    transformers: module === "esm" ? { after: [packageImports(typescript)] } : {},
  });
  return outputText;
}
