/** Every public function of the methods and of the analysis refuses options that it does not have. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { packageRoot } from "../../lib/package-root.js";

import ts = require("typescript");

const FACES = ["lib/analysis/index", "lib/model/methods/index"];
const MISSPELT = "zzMisspelt";

/** A public function and the place of its options among its parameters. */
interface WithOptions {
  readonly name: string;
  readonly place: number;
}

const paths = FACES.map((face) => join(packageRoot(), "dist", `${face}.d.ts`));
const program = ts.createProgram(paths, {
  skipLibCheck: true,
  strict: true,
  module: ts.ModuleKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
});
const checker = program.getTypeChecker();

/** Functions whose last parameter is an object with optional members, by a face's declarations. */
function functionsWithOptions(path: string): WithOptions[] {
  const file = program.getSourceFile(path);
  const face = file && checker.getSymbolAtLocation(file);
  assert.ok(face, path);
  return checker.getExportsOfModule(face).flatMap((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const declaration = symbol.valueDeclaration;
    if (declaration === undefined || !ts.isFunctionDeclaration(declaration)) return [];
    const place = declaration.parameters.length - 1;
    const last = declaration.parameters.at(-1);
    return last !== undefined && isOptions(last) ? [{ name: exported.name, place }] : [];
  });
}

/** By its type's name, or written out where it stands; other objects with optional members are data. */
function isOptions({ type }: ts.ParameterDeclaration): boolean {
  if (type === undefined) return false;
  const given = checker.getNonNullableType(checker.getTypeFromTypeNode(type));
  if (given.getCallSignatures().length > 0 || given.getProperties().length === 0) return false;
  if (/Options\b/.test(type.getText())) return true;
  return (
    ts.isTypeLiteralNode(type) &&
    given.getProperties().some(({ flags }) => (flags & ts.SymbolFlags.Optional) !== 0)
  );
}

/** Undefined when a call with a misspelt option is refused before anything else is looked at. */
async function problem(work: unknown, place: number): Promise<string | undefined> {
  // Of the other arguments nothing may be asked before the options.
  const others = Array.from({ length: place }, () => ({}));
  try {
    await (work as (...args: object[]) => unknown)(...others, { [MISSPELT]: 1 });
    return "accepts it";
  } catch (error) {
    const { message } = error as Error;
    return message.includes(`no option "${MISSPELT}"`)
      ? undefined
      : `checks something else first: ${message}`;
  }
}

describe("a misspelt option is refused", () => {
  for (const [i, face] of FACES.entries())
    it(`by all of ${face}`, async () => {
      const module = (await import(new URL(`../../${face}.js`, import.meta.url).href)) as Record<
        string,
        unknown
      >;
      const found = functionsWithOptions(paths[i]);
      assert.ok(found.length > 20, `${found.length} functions with options were found`);
      const wrong: string[] = [];
      for (const { name, place } of found) {
        const what = await problem(module[name], place);
        if (what !== undefined) wrong.push(`${name}: ${what}`);
      }
      assert.deepEqual(wrong, []);
    });

  it("would be seen where it is not", async () => {
    assert.equal(await problem(() => {}, 0), "accepts it");
    assert.match(
      (await problem((data: { values: number[] }) => data.values.length, 1)) ?? "",
      /something else/,
    );
  });
});
