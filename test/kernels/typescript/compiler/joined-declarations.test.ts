/** The libraries' declarations in two files declare what they declare in their own, overloads in the same order. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import ts = require("typescript");

import { joinedDeclarations } from "../../../../kernels/typescript/compiler/joined-declarations.js";
import { compilerOptions, nodeDeclarations } from "../../../../kernels/typescript/compiler/program.js";
import { packageRoot } from "../../../../lib/package-root.js";
import { rounds } from "../../../rounds.js";

const root = packageRoot();
const options = compilerOptions(root);
const sample = join(root, "__sample__.ts");
const joined = joinedDeclarations(options.lib ?? [], nodeDeclarations(root, options));

function programOf(texts: ReadonlyMap<string, string>): ts.Program {
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  const all = new Map([...texts, [sample, "export {};"]]);
  host.readFile = (path) => all.get(path) ?? readFile(path);
  host.fileExists = (path) => all.has(path) || fileExists(path);
  host.getSourceFile = (path, languageVersion) => {
    const text = all.get(path);
    return text === undefined
      ? getSourceFile(path, languageVersion)
      : ts.createSourceFile(path, text, languageVersion);
  };
  return ts.createProgram([sample], options, host);
}

/** Types are compared of one global name or module in so many; the names themselves are compared all. */
const step = rounds(5, 1);

/** Each global name and module with its type, and the types of its members, overloads in their order. */
function declared(program: ts.Program): Map<string, string> {
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(sample)!;
  const flags = ts.TypeFormatFlags.NoTruncation;
  const shown = (type: ts.Type): string => checker.typeToString(type, file, flags);
  const membersOf = (type: ts.Type): string =>
    checker
      .getPropertiesOfType(type)
      .map(
        (member) =>
          `${checker.symbolToString(member)}: ${shown(checker.getTypeOfSymbolAtLocation(member, file))}`,
      )
      .sort()
      .join("\n");
  const globals = ts.SymbolFlags.Value | ts.SymbolFlags.Type | ts.SymbolFlags.Namespace;
  const shownGlobal = (symbol: ts.Symbol): string => {
    const value = checker.getTypeOfSymbolAtLocation(symbol, file);
    const type = checker.getDeclaredTypeOfSymbol(symbol);
    return [shown(value), membersOf(value), shown(type), membersOf(type)].join("\n");
  };
  const shownModule = (symbol: ts.Symbol): string =>
    checker
      .getExportsOfModule(symbol)
      .map((one) => `${one.name}: ${shown(checker.getTypeOfSymbolAtLocation(one, file))}`)
      .sort()
      .join("\n");
  const found = new Map<string, string>();
  for (const [symbols, text] of [
    [checker.getSymbolsInScope(file, globals), shownGlobal],
    [checker.getAmbientModules(), shownModule],
  ] as const)
    [...symbols]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .forEach((symbol, i) => void found.set(symbol.name, i % step === 0 ? text(symbol) : ""));
  return found;
}

test("joined declarations are those of the separate files", () => {
  const [separate, together] = [programOf(new Map()), programOf(joined)];
  assert.deepEqual(ts.getPreEmitDiagnostics(together), []);
  const [wanted, found] = [declared(separate), declared(together)];
  assert.ok(wanted.size > 400, `${wanted.size} names`);
  assert.deepEqual([...found.keys()].sort(), [...wanted.keys()].sort());
  for (const [name, text] of wanted) assert.equal(found.get(name), text, name);
  const filled = (program: ts.Program): number =>
    program.getSourceFiles().filter(({ text }) => text !== "").length;
  assert.ok(filled(together) + 100 < filled(separate), `${filled(together)} files of ${filled(separate)}`);
});
