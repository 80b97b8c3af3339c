import type ts from "typescript";
import { loadTypeScript } from "../../typescript/index.js";
import type { CellStatement } from "./follow.js";

/** The statements of a cell that run when it does: no types, imports, functions and classes. */
export function typescriptStatements(code: string): CellStatement[] {
  const ts = loadTypeScript();
  const source = ts.createSourceFile("parameters.ts", code, ts.ScriptTarget.ES2022, true);
  return source.statements.flatMap((statement) => {
    if (ts.isVariableStatement(statement)) return declarations(statement.declarationList);
    if (isDeclaration(statement) || isPrint(statement)) return [];
    return [{ declares: [], reads: namesRead(statement), code: statement.getText(source) }];
  });
}

function declarations(list: ts.VariableDeclarationList): CellStatement[] {
  const ts = loadTypeScript();
  const keyword = list.getFirstToken()?.getText() ?? "let";
  return list.declarations.map(({ name, type, initializer }) => {
    const written = type === undefined ? "" : `: ${type.getText()}`;
    const value = initializer === undefined ? "" : ` = ${initializer.getText()}`;
    return {
      declares: boundNames(name),
      // A function reads names when it is called, and finds the new values then.
      reads: initializer === undefined || isFunction(initializer) ? new Set() : namesRead(initializer),
      code: `${keyword} ${name.getText()}${written}${value};`,
    };
  });

  function isFunction(node: ts.Expression): boolean {
    return ts.isArrowFunction(node) || ts.isFunctionExpression(node) || ts.isClassExpression(node);
  }
}

/** Names that a declaration binds, patterns included. */
function boundNames(name: ts.BindingName): string[] {
  const ts = loadTypeScript();
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) =>
    ts.isOmittedExpression(element) ? [] : boundNames(element.name),
  );
}

function isDeclaration(statement: ts.Statement): boolean {
  const ts = loadTypeScript();
  return (
    ts.isTypeAliasDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isImportDeclaration(statement) ||
    ts.isImportEqualsDeclaration(statement) ||
    ts.isExportDeclaration(statement) ||
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isEmptyStatement(statement)
  );
}

/** `console.log(…)` and its like: they compute nothing. */
function isPrint(statement: ts.Statement): boolean {
  const ts = loadTypeScript();
  if (!ts.isExpressionStatement(statement) || !ts.isCallExpression(statement.expression)) return false;
  const { expression } = statement.expression;
  return ts.isPropertyAccessExpression(expression) && expression.expression.getText() === "console";
}

/** Identifiers that stand for variables, not for properties or types. */
function namesRead(node: ts.Node): Set<string> {
  const ts = loadTypeScript();
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node)) return;
    if (ts.isIdentifier(node)) names.add(node.text);
    else if (ts.isPropertyAccessExpression(node)) visit(node.expression);
    else if (ts.isPropertyAssignment(node)) {
      if (ts.isComputedPropertyName(node.name)) visit(node.name);
      visit(node.initializer);
    } else ts.forEachChild(node, visit);
  };
  visit(node);
  return names;
}
