import { readFileSync } from "node:fs";
import { loadTypeScript } from "../load-typescript.js";
import { packageImports } from "./package-imports.js";

/** A TypeScript file as JavaScript, with its types dropped unchecked: the cell that imports it checks them. */
export function transpile(path: string, module: "esm" | "commonjs"): string {
  const typescript = loadTypeScript();
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
