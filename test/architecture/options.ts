/** Every public function refuses options that it does not have, and values that are not of an option's kind. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { packageRoot } from "../../lib/package-root.js";
import { checker, sourcesIn } from "./sources.js";

import ts = require("typescript");

const MISSPELT = "zzMisspelt";

/** A public function and its options among its parameters. */
interface WithOptions {
  readonly name: string;
  readonly place: number;
  /** For each option the values that its type has no place for. */
  readonly wrong: readonly { readonly option: string; readonly value: unknown }[];
  readonly work: (...args: object[]) => unknown;
}

/** The files behind `modalscope/…`, without their endings, by the package's own list. */
const FACES: readonly string[] = Object.values(
  (JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { exports: object }).exports,
).flatMap((face: string | { default: string }) =>
  typeof face === "string" ? [] : [face.default.replace(/^\.\/dist\/|\.js$/g, "")],
);

const sources = sourcesIn("lib", "kernels");

/** Functions, constructors and methods that take options, by a face's declarations. */
async function takersOf(path: string): Promise<WithOptions[]> {
  const file = sources.get(`${path}.ts`);
  const face = file && checker.getSymbolAtLocation(file);
  assert.ok(face, path);
  const found: WithOptions[] = [];
  for (const exported of checker.getExportsOfModule(face)) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const declaration = symbol.valueDeclaration;
    if (!declaration || !(ts.isFunctionDeclaration(declaration) || ts.isClassDeclaration(declaration)))
      continue;
    // From its own file: of some classes, such as Model, a face gives the type alone.
    const home = relative(packageRoot(), declaration.getSourceFile().fileName).replace(/\.ts$/, ".js");
    const module = (await import(pathToFileURL(join(packageRoot(), "dist", home)).href)) as Readonly<
      Record<string, unknown>
    >;
    const value = module[symbol.name];
    if (ts.isFunctionDeclaration(declaration))
      found.push(...takerOf(exported.name, declaration.parameters, value as WithOptions["work"]));
    else
      for (const member of declaration.members)
        found.push(...memberOf(exported.name, member, value as Constructor));
  }
  return found;
}

type Constructor = new (...args: object[]) => object;

function memberOf(name: string, member: ts.ClassElement, made: Constructor): WithOptions[] {
  const isPrivate = (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) !== 0;
  if (isPrivate) return [];
  if (ts.isConstructorDeclaration(member))
    return takerOf(name, member.parameters, (...args) => new made(...args));
  if (!ts.isMethodDeclaration(member)) return [];
  const key = member.name.getText();
  const isStatic = (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0;
  // An object without anything: of itself, too, nothing may be asked before the options.
  const own = (isStatic ? made : Object.create(made.prototype)) as Record<string, WithOptions["work"]>;
  return takerOf(`${name}.${key}`, member.parameters, (...args) => own[key](...args));
}

function takerOf(
  name: string,
  parameters: readonly ts.ParameterDeclaration[],
  work: WithOptions["work"],
): WithOptions[] {
  const place = parameters.findIndex(isOptions);
  const { type } = parameters[place] ?? {};
  return type ? [{ name, place, work, wrong: wrongValues(checker.getTypeFromTypeNode(type)) }] : [];
}

/** By its type's name, or written out where it stands; other objects with optional members are data. */
function isOptions({ name, type }: ts.ParameterDeclaration): boolean {
  if (type === undefined) return false;
  const given = checker.getNonNullableType(checker.getTypeFromTypeNode(type));
  if (given.getCallSignatures().length > 0 || given.getProperties().length === 0) return false;
  // Error's own options are the language's.
  if (type.getText() === "ErrorOptions") return false;
  if (/(Options|Settings)\b/.test(type.getText()) || name.getText() === "options") return true;
  return (
    ts.isTypeLiteralNode(type) &&
    given.getProperties().some(({ flags }) => (flags & ts.SymbolFlags.Optional) !== 0)
  );
}

/** No option is a large integer; none that takes numbers takes what is none. */
function wrongValues(type: ts.Type): WithOptions["wrong"] {
  return checker
    .getNonNullableType(type)
    .getProperties()
    .flatMap((property) => {
      const given = checker.getNonNullableType(checker.getTypeOfSymbol(property));
      if ((given.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) !== 0) return [];
      const kinds = given.isUnion() ? given.types : [given];
      const takesNumbers = kinds.some(({ flags }) => (flags & ts.TypeFlags.NumberLike) !== 0);
      const values: unknown[] = takesNumbers ? [1n, Number.NaN] : [1n];
      return values.map((value) => ({ option: property.name, value }));
    });
}

/** What a call says; of the arguments beside the options nothing may be asked before them. */
async function said({ work, place }: Pick<WithOptions, "work" | "place">, options: object): Promise<string> {
  const others = Array.from({ length: place }, () => ({}));
  try {
    await work(...others, options);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

/** What a function does with options that it should refuse; empty where it refuses them, and them first. */
async function problems(taker: WithOptions): Promise<string[]> {
  const unknown = await said(taker, { [MISSPELT]: 1 });
  const found: string[] = [];
  if (unknown === "") found.push(`${taker.name} accepts an unknown option`);
  else if (!unknown.includes(`no option "${MISSPELT}"`)) found.push(`${taker.name} checks first: ${unknown}`);
  for (const { option, value } of taker.wrong) {
    const message = await said(taker, { [option]: value });
    if (!message.includes(`The option ${option} of `))
      found.push(`${taker.name} takes ${option}: ${String(value)}${message && `, and says: ${message}`}`);
  }
  return found;
}

describe("a misspelt option, or one of a wrong kind, is refused", () => {
  let all = 0;
  for (const face of FACES)
    it(`by all of ${face}`, async () => {
      const takers = await takersOf(face);
      all += takers.length;
      const found: string[] = [];
      for (const taker of takers) found.push(...(await problems(taker)));
      assert.deepEqual(found, []);
    });

  it("of which there are many", () => {
    assert.ok(all > 200, `${all} functions with options were found`);
  });

  it("would be seen where it is not", async () => {
    const wrong = [{ option: "count", value: Number.NaN }];
    assert.deepEqual(await problems({ name: "lax", place: 0, work: () => {}, wrong }), [
      "lax accepts an unknown option",
      "lax takes count: NaN",
    ]);
    const reads = (data: object): number => (data as { values: number[] }).values.length;
    const [first] = await problems({ name: "reads", place: 1, work: reads, wrong: [] });
    assert.match(first, /^reads checks first: /);
  });
});
