/** Tables are looked up by names from files, messages and callers through `own`, which knows no inherited names. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { own } from "../../lib/own.js";
import { checker, placeOf, sourcesIn } from "./sources.js";

import ts = require("typescript");

it("no constant table is indexed by a text of any value", () => {
  const found = [...sourcesIn("lib", "kernels").values()].flatMap(unsafeLookUps);
  assert.deepEqual(found, []);
});

it("own finds what a table has, and none of the names that every object inherits", () => {
  const table: Record<string, number> = { a: 1 };
  assert.equal(own(table, "a"), 1);
  for (const name of ["b", "constructor", "toString", "hasOwnProperty", "__proto__", "valueOf"])
    assert.equal(own(table, name), undefined, name);
});

/** `table[name]` where `table` is an object literal with an index signature and `name` any text. */
function unsafeLookUps(file: ts.SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isElementAccessExpression(node) && isLookUp(node) && !isWritten(node))
      found.push(`${placeOf(node)} ${node.getText()}`);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function isLookUp({ expression, argumentExpression }: ts.ElementAccessExpression): boolean {
  // What needs no types comes first: a table is a variable, and most of what is indexed is none.
  if (ts.isNumericLiteral(argumentExpression) || !isVariable(expression)) return false;
  const symbol = checker.getSymbolAtLocation(expression);
  const declaration = symbol?.valueDeclaration;
  if (!declaration || !ts.isVariableDeclaration(declaration) || !declaration.initializer) return false;
  if (
    !ts.isObjectLiteralExpression(declaration.initializer) ||
    declaration.initializer.properties.length === 0
  )
    return false;
  const index = checker.getTypeAtLocation(argumentExpression);
  if ((index.flags & ts.TypeFlags.String) === 0) return false;
  return (
    checker.getIndexInfoOfType(checker.getTypeAtLocation(expression), ts.IndexKind.String) !== undefined &&
    !isGuarded(expression, argumentExpression)
  );
}

/** A variable, or one that an imported module exports. */
function isVariable(node: ts.Expression): boolean {
  if (ts.isIdentifier(node)) return true;
  if (!ts.isPropertyAccessExpression(node) || !ts.isIdentifier(node.expression)) return false;
  const { flags } = checker.getSymbolAtLocation(node.expression) ?? { flags: 0 };
  return (flags & ts.SymbolFlags.Alias) !== 0;
}

/** `Object.hasOwn(table, name)` in the same function has asked first. */
function isGuarded(table: ts.Expression, name: ts.Expression): boolean {
  let scope: ts.Node = table;
  while (scope.parent && !ts.isFunctionLike(scope)) scope = scope.parent;
  const [t, n] = [table.getText(), name.getText()];
  return scope.getText().includes(`Object.hasOwn(${t}, ${n})`);
}

/** Assigned to or deleted, and not read. */
function isWritten(node: ts.ElementAccessExpression): boolean {
  if (ts.isDeleteExpression(node.parent)) return true;
  return (
    ts.isBinaryExpression(node.parent) &&
    node.parent.left === node &&
    node.parent.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
    node.parent.operatorToken.kind <= ts.SyntaxKind.LastAssignment
  );
}
