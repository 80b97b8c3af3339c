/** The imports of a source tree, read from its syntax. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";

import ts = require("typescript");

export interface Import {
  /** The importing file, from the tree's root, with forward slashes. */
  readonly from: string;
  /** The imported file, from the tree's root, or a package's name. */
  readonly to: string;
  /** Whether `to` is a package. Node's own modules are left out. */
  readonly isPackage: boolean;
}

/** Imports of all TypeScript files in `folders` below `root`: of values and types, static and dynamic, and `require`. */
export function importsIn(root: string, folders: readonly string[]): Import[] {
  return folders
    .flatMap((folder) => typescriptFiles(join(root, folder)))
    .flatMap((path) => {
      const from = relative(root, path).split(sep).join("/");
      const specifiers = new Set(specifiersOf(path, readFileSync(path, "utf8")));
      return [...specifiers].filter((name) => !name.startsWith("node:")).map((name) => importOf(from, name));
    });
}

function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /(?<!\.d)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function importOf(from: string, specifier: string): Import {
  if (!specifier.startsWith(".")) {
    const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
    return { from, to: name, isPackage: true };
  }
  const to = posix.join(posix.dirname(from), specifier).replace(/\.js$/, ".ts");
  return { from, to, isPackage: false };
}

/** Module specifiers of a file. */
function specifiersOf(path: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const name = specifierOf(node);
    if (name && ts.isStringLiteralLike(name)) found.push(name.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest));
  return found;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal;
  if (!ts.isCallExpression(node)) return undefined;
  const called = node.expression;
  const isImport =
    called.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(called) && called.text === "require");
  return isImport ? node.arguments[0] : undefined;
}

/** Circles among files: each once, as the files along it. */
export function circlesAmong(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to, isPackage } of imports)
    if (!isPackage) next.set(from, [...(next.get(from) ?? []), to]);
  const circles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) circles.push(path.slice(at));
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of next.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of next.keys()) visit(file);
  return circles;
}
