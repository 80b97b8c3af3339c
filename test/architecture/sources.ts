/** The sources as one TypeScript program, shared by the tests that ask for types: to make it takes seconds. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { packageRoot } from "../../lib/package-root.js";

import ts = require("typescript");

const root = packageRoot();

/** A file whose calls break the rule of options, in ways that the compiler accepts. */
export const WIDE_CALLS = "test/architecture/wide-calls.ts";

/** Each notebook's cells as one module beside it. */
const modules: ReadonlyMap<string, string> = new Map(
  readdirSync(join(root, "notebooks"))
    .filter((name) => name.endsWith(".ipynb"))
    .map((name) => [
      join(root, "notebooks", name.replace(/ipynb$/, "ts")),
      cellsOf(readFileSync(join(root, "notebooks", name), "utf8")),
    ]),
);

function cellsOf(notebook: string): string {
  const { cells } = JSON.parse(notebook) as {
    cells: readonly { readonly cell_type: string; readonly source: string | readonly string[] }[];
  };
  return cells
    .filter(({ cell_type }) => cell_type === "code")
    .map(({ source }) => (typeof source === "string" ? source : source.join("")))
    .join("\n");
}

/** Sources of the library, the kernels, the embedded data and the examples, and the notebooks. */
const program: ts.Program = programOfAll();
export const checker: ts.TypeChecker = program.getTypeChecker();

function programOfAll(): ts.Program {
  const config = ts.getParsedCommandLineOfConfigFile(join(root, "tsconfig.json"), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n"));
    },
  })!;
  const host = ts.createCompilerHost(config.options);
  const { readFile, fileExists } = host;
  host.readFile = (path) => modules.get(path) ?? readFile(path);
  host.fileExists = (path) => modules.has(path) || fileExists(path);
  const sources = config.fileNames.filter((path) =>
    /^(lib|kernels|data|examples)\//.test(relative(root, path)),
  );
  assert.ok(sources.length > 300, `${sources.length} sources are found`);
  return ts.createProgram([...sources, ...modules.keys(), join(root, WIDE_CALLS)], config.options, host);
}

/** The source files in the given folders, by their paths from the project's root. */
export function sourcesIn(...folders: readonly string[]): ReadonlyMap<string, ts.SourceFile> {
  return new Map(
    program
      .getSourceFiles()
      .map((file): [string, ts.SourceFile] => [relative(root, file.fileName), file])
      .filter(([path]) => folders.includes(path.split("/")[0])),
  );
}

/** Where a node stands, as `path:line`. */
export function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  const { line } = file.getLineAndCharacterOfPosition(node.getStart());
  return `${relative(root, file.fileName)}:${line + 1}`;
}
