/**
 * Options are checked at run time, so that a call with an object that has more properties than the function has options
 * fails. TypeScript sees that in a literal; here it is looked for in variables and spreads too.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { checker, placeOf, sourcesIn, WIDE_CALLS } from "./sources.js";

import ts = require("typescript");

type Call = ts.CallExpression | ts.NewExpression;

/** Parameters that are given to `checkOptions`, or on to one that is, and the calls that give them their arguments. */
interface Checked {
  readonly parameters: ReadonlySet<ts.ParameterDeclaration>;
  readonly calls: readonly {
    readonly argument: ts.Expression;
    readonly parameter: ts.ParameterDeclaration;
  }[];
}

it("no call passes an object with more properties than the options have", () => {
  const files = [...sourcesIn("lib", "kernels", "data", "examples", "notebooks", "test").values()];
  const { parameters, calls } = checkedIn(files);
  assert.ok(parameters.size > 220, `${parameters.size} checked parameters are found`);
  for (const folder of ["lib", "kernels", "data", "examples", "notebooks"])
    assert.ok(
      calls.some(({ argument }) => placeOf(argument).startsWith(`${folder}/`)),
      folder,
    );
  const found = calls.flatMap(excess).sort();
  // Of the tests the program has one file, which breaks the rule in each line that names a property.
  const planted = sourcesIn("test").values().next().value!;
  const wanted = planted.text
    .split("\n")
    .map((line) => /\/\/ (\w+)$/.exec(line)?.[1])
    .flatMap((name, i) => (name ? [`${WIDE_CALLS}:${i + 1} ${name}`] : []));
  assert.ok(wanted.length > 5);
  assert.deepEqual(found, wanted.sort());
});

function checkedIn(files: readonly ts.SourceFile[]): Checked {
  const byName = callsByName(files);
  const parameters = new Set<ts.ParameterDeclaration>();
  const calls: Checked["calls"][number][] = [];
  const given = (argument: ts.Expression): void => {
    for (const parameter of parametersIn(argument)) {
      if (parameters.has(parameter)) continue;
      parameters.add(parameter);
      const called = calledNames(parameter);
      // All calls of that name are asked for their types, and no others: that takes most of the time.
      for (const call of called.flatMap((name) => byName.get(name) ?? [])) {
        const argument = argumentOf(call, parameter);
        if (!argument) continue;
        calls.push({ argument, parameter });
        given(argument);
      }
    }
  };
  for (const { arguments: all } of byName.get("checkOptions") ?? []) if (all?.[1]) given(all[1]);
  return { parameters, calls };
}

function callsByName(files: readonly ts.SourceFile[]): ReadonlyMap<string, readonly Call[]> {
  const found = new Map<string, Call[]>();
  const visit = (node: ts.Node): void => {
    ts.forEachChild(node, visit);
    if (!(ts.isCallExpression(node) || ts.isNewExpression(node))) return;
    const { expression } = node;
    const name = (ts.isPropertyAccessExpression(expression) ? expression.name : expression).getText();
    found.set(name, [...(found.get(name) ?? []), node]);
  };
  for (const file of files) visit(file);
  return found;
}

/** By what names a parameter's function is called. */
function calledNames({ parent }: ts.ParameterDeclaration): string[] {
  if (ts.isConstructorDeclaration(parent)) return [parent.parent.name?.getText() ?? "", "super"];
  const named = parent.name ?? (ts.isVariableDeclaration(parent.parent) ? parent.parent.name : undefined);
  return named ? [named.getText()] : [];
}

/** What a call gives for a parameter, where it calls that parameter's function. */
function argumentOf(call: Call, parameter: ts.ParameterDeclaration): ts.Expression | undefined {
  const called = checker.getResolvedSignature(call)?.declaration;
  const own: ts.SignatureDeclaration = parameter.parent;
  // The implementation of overloads is the one that checks.
  const isOverload = called && symbolOf(called) !== undefined && symbolOf(called) === symbolOf(own);
  return called === own || isOverload ? call.arguments?.[own.parameters.indexOf(parameter)] : undefined;
}

const symbolOf = ({ name }: ts.Declaration & { readonly name?: ts.Node }): ts.Symbol | undefined =>
  name && checker.getSymbolAtLocation(name);

/** The parameters of the calling function that an argument consists of: `options`, `{ ...options }`, `options ?? {}`. */
function parametersIn(argument: ts.Expression): ts.ParameterDeclaration[] {
  if (ts.isObjectLiteralExpression(argument))
    return argument.properties.flatMap((property) =>
      ts.isSpreadAssignment(property) ? parametersIn(property.expression) : [],
    );
  if (ts.isParenthesizedExpression(argument)) return parametersIn(argument.expression);
  if (ts.isBinaryExpression(argument))
    return [...parametersIn(argument.left), ...parametersIn(argument.right)];
  if (ts.isConditionalExpression(argument))
    return [...parametersIn(argument.whenTrue), ...parametersIn(argument.whenFalse)];
  if (!ts.isIdentifier(argument)) return [];
  const declaration = checker.getSymbolAtLocation(argument)?.valueDeclaration;
  if (!declaration) return [];
  if (ts.isParameter(declaration)) return [declaration];
  if (!ts.isBindingElement(declaration) || !declaration.dotDotDotToken) return [];
  const { parent } = declaration.parent;
  if (ts.isParameter(parent)) return [parent];
  return ts.isVariableDeclaration(parent) && parent.initializer ? parametersIn(parent.initializer) : [];
}

/** The properties that an argument has beyond its parameter's type. */
function excess({ argument, parameter }: Checked["calls"][number]): string[] {
  const known = namesOf(checker.getTypeAtLocation(parameter));
  return [...namesOf(checker.getTypeAtLocation(heldValue(argument)))]
    .filter((name) => !known.has(name))
    .map((name) => `${placeOf(argument)} ${name}`);
}

/** A constant's value: its type may be wider than what the constant is declared as. */
function heldValue(argument: ts.Expression): ts.Expression {
  const declaration = ts.isIdentifier(argument) && checker.getSymbolAtLocation(argument)?.valueDeclaration;
  const isDeclared = declaration && ts.isVariableDeclaration(declaration) && declaration.type;
  return (isDeclared && declaration.initializer) || argument;
}

function namesOf(type: ts.Type): ReadonlySet<string> {
  const given = checker.getNonNullableType(type);
  const all = given.isUnion() ? given.types : [given];
  return new Set(all.flatMap((one) => checker.getPropertiesOfType(one).map(({ name }) => name)));
}
