import { dirname, join } from "node:path";
import type ts from "typescript";
import { loadTypeScript } from "../../typescript/index.js";

/** A value to be checked. */
export interface TypeCheck {
  /** Source of its type; when undefined, the type of the default counts. */
  type: string | undefined;
  initialiser: string | undefined;
  /** Source of the value. */
  literal: string;
}

export interface TypeMistake {
  /** The type, for people. */
  type: string;
  why: string;
}

/**
 * Checks values against types as the compiler does, in the scope of a cell: its own types and imports count.
 * Unlike the kernel it is strict about null. Types that cannot be found are left for the run to report.
 * @returns for each check what is wrong, if anything is
 */
export function checkTypes(
  cell: string,
  checks: readonly TypeCheck[],
  folder: string,
): (TypeMistake | undefined)[] {
  const keys = checks.map((check) => JSON.stringify([folder, cell, check]));
  const open = [...checks.keys()].filter((i) => !answers.has(keys[i]));
  if (open.length > 0) {
    const mistakes = findMistakes(
      cell,
      open.map((i) => checks[i]),
      folder,
    );
    for (const [place, i] of open.entries()) answers.set(keys[i], mistakes.get(place));
  }
  return keys.map((key) => answers.get(key));
}

/** The runs of a grid ask the same again and again. */
const answers = new Map<string, TypeMistake | undefined>();

/** Mistakes by their check's index. */
function findMistakes(cell: string, checks: readonly TypeCheck[], folder: string): Map<number, TypeMistake> {
  const ts = loadTypeScript();
  const path = join(folder, "__parameters__.ts");
  const lines = checks.map(({ type, initialiser, literal }) =>
    type === undefined
      ? `{ let standard = ${initialiser}; const given: typeof standard = ${literal}; }`
      : `{ const given: ${type.replace(/\s+/g, " ")} = ${literal}; }`,
  );
  const head = `${cell}\nexport {};\n`;
  const text = head + lines.join("\n");
  const program = ts.createProgram([path], compilerOptions(), hostWith(path, text));
  const source = program.getSourceFile(path);
  if (source === undefined) throw new Error(`The compiler did not take ${path}.`);
  const firstLine = head.split("\n").length - 1;
  const mistakes = new Map<number, TypeMistake>();
  for (const { start = 0, messageText, code } of program.getSemanticDiagnostics(source)) {
    const index = source.getLineAndCharacterOfPosition(start).line - firstLine;
    if (index < 0 || mistakes.has(index) || unknownNames.has(code)) continue;
    const { type, initialiser } = checks[index];
    mistakes.set(index, {
      type: type ?? `of its default's type (${initialiser})`,
      why: ts.flattenDiagnosticMessageText(messageText, " "),
    });
  }
  return mistakes;
}

/** "Cannot find name", "cannot find namespace": the run says so, with the place in the cell. */
const unknownNames = new Set([2304, 2503, 2552]);

function compilerOptions(): ts.CompilerOptions {
  const { ScriptTarget, ModuleKind, ModuleResolutionKind } = loadTypeScript();
  return {
    strict: true,
    noImplicitAny: false,
    noEmit: true,
    target: ScriptTarget.ES2022,
    module: ModuleKind.ESNext,
    moduleResolution: ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    lib: ["lib.es2023.d.ts"],
    types: [],
    skipLibCheck: true,
  };
}

/** The language's own declarations: parsing them is most of a check. */
const libraries = new Map<string, ts.SourceFile | undefined>();

function hostWith(path: string, text: string): ts.CompilerHost {
  const { createCompilerHost, createSourceFile, ScriptTarget } = loadTypeScript();
  const host = createCompilerHost(compilerOptions());
  const { getSourceFile, fileExists, readFile } = host;
  const libraryFolder = host.getDefaultLibLocation?.();
  return {
    ...host,
    getSourceFile(name, ...rest) {
      if (name === path) return createSourceFile(name, text, ScriptTarget.ES2022, true);
      if (dirname(name) !== libraryFolder) return getSourceFile(name, ...rest);
      if (!libraries.has(name)) libraries.set(name, getSourceFile(name, ...rest));
      return libraries.get(name);
    },
    fileExists: (name) => name === path || fileExists(name),
    readFile: (name) => (name === path ? text : readFile(name)),
  };
}
