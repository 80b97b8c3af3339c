import { isBuiltin } from "node:module";
import { dirname } from "node:path";
import type ts from "typescript";
import { isCommonJsFile, nearbyFile } from "./nearby-files.js";

type TypeScript = typeof import("typescript");

/** The parts of `export … from "…" with …`. */
interface ExportFrom {
  readonly exportClause: ts.NamedExportBindings;
  readonly moduleSpecifier: ts.StringLiteral;
  readonly attributes: ts.ImportAttributes | undefined;
}

/** Name of the function (modules.ts) that gives a package's namespace as the checker sees it. */
export const packageView = "modalscope.packageView";

/** Begins specifiers that stand for all names of another module. No URL: Node's `require` asserts their schemes before hooks. */
export const starSpecifier = "* from ";

/**
 * Has a file's imports of packages and CommonJS files go through {@link packageView}, as those of cells do: Node knows of
 * CommonJS only the names that it finds by reading its source. It runs after types are dropped, so that what is
 * imported for its types alone is not loaded.
 */
export function packageImports(typescript: TypeScript): ts.TransformerFactory<ts.SourceFile> {
  const { factory, isExportDeclaration, isImportDeclaration, isStringLiteral, visitEachChild } = typescript;
  return (context) => (file) => {
    let count = 0;
    const hasView = (specifier: string): boolean =>
      isPackage(specifier) || isCommonJsFile(nearbyFile(dirname(file.fileName), specifier));
    const statements = (node: ts.Node): ts.Node | ts.Node[] => {
      if (isExportDeclaration(node)) {
        if (node.exportClause === undefined) return allExportedFrom(node);
        const { exportClause, moduleSpecifier: from, attributes } = node;
        if (from === undefined || !isStringLiteral(from) || !hasView(from.text)) return node;
        const namespace = factory.createIdentifier(`__package${count++}`);
        return exportedFrom({ exportClause, moduleSpecifier: from, attributes }, namespace);
      }
      if (!isImportDeclaration(node) || !node.importClause || !isStringLiteral(node.moduleSpecifier))
        return node;
      if (!hasView(node.moduleSpecifier.text)) return node;
      const namespace = factory.createIdentifier(`__package${count++}`);
      return [imported(node, namespace), bound(node.importClause, node.moduleSpecifier, namespace)];
    };
    return visitEachChild(file, statements, context);
  };

  /** `export * from "…"` as one of a module that has all its names (typescript-files.ts). */
  function allExportedFrom(node: ts.ExportDeclaration): ts.ExportDeclaration {
    const { moduleSpecifier: specifier, attributes } = node;
    if (specifier === undefined || !isStringLiteral(specifier) || isBuiltin(specifier.text)) return node;
    const all = factory.createStringLiteral(starSpecifier + specifier.text);
    return factory.updateExportDeclaration(node, undefined, false, undefined, all, attributes);
  }

  /** `export { a as b } from "…"` as an import and an export of what it binds. */
  function exportedFrom(
    { exportClause, moduleSpecifier, attributes }: ExportFrom,
    namespace: ts.Identifier,
  ): ts.Node[] {
    const all = typescript.isNamespaceExport(exportClause);
    const exports = all ? [exportClause] : [...exportClause.elements];
    const locals = exports.map((_, i) => factory.createIdentifier(`${namespace.text}_${i}`));
    const bindings = all
      ? factory.createNamespaceImport(locals[0])
      : factory.createNamedImports(
          exportClause.elements.map((one, i) =>
            factory.createImportSpecifier(false, one.propertyName ?? one.name, locals[i]),
          ),
        );
    const clause = factory.createImportClause(undefined, undefined, bindings);
    const names = exports.map((one, i) => factory.createExportSpecifier(false, locals[i], one.name));
    return [
      imported(factory.createImportDeclaration(undefined, clause, moduleSpecifier, attributes), namespace),
      bound(clause, moduleSpecifier, namespace),
      factory.createExportDeclaration(undefined, false, factory.createNamedExports(names)),
    ];
  }

  function imported(node: ts.ImportDeclaration, namespace: ts.Identifier): ts.ImportDeclaration {
    const clause = factory.createImportClause(undefined, undefined, factory.createNamespaceImport(namespace));
    return factory.updateImportDeclaration(node, undefined, clause, node.moduleSpecifier, node.attributes);
  }

  /** `const { default: a, b: c } = view(namespace, specifier, names)`, or the view itself for `import * as`. */
  function bound(
    { name, namedBindings }: ts.ImportClause,
    specifier: ts.StringLiteral,
    namespace: ts.Identifier,
  ): ts.VariableStatement {
    const all = namedBindings !== undefined && typescript.isNamespaceImport(namedBindings);
    const named = namedBindings === undefined || all ? [] : [...(namedBindings as ts.NamedImports).elements];
    const names: [imported: string, local: ts.Identifier][] = named.map((one) => [
      (one.propertyName ?? one.name).text,
      one.name,
    ]);
    if (name !== undefined) names.push(["default", name]);
    const symbol = factory.createCallExpression(
      factory.createPropertyAccessExpression(factory.createIdentifier("Symbol"), "for"),
      undefined,
      [factory.createStringLiteral(packageView)],
    );
    const view = factory.createCallExpression(
      factory.createElementAccessExpression(factory.createIdentifier("globalThis"), symbol),
      undefined,
      [
        namespace,
        specifier,
        factory.createArrayLiteralExpression(names.map(([text]) => factory.createStringLiteral(text))),
      ],
    );
    const elements = names.map(([text, local]) =>
      factory.createBindingElement(undefined, factory.createStringLiteral(text), local),
    );
    const pattern = factory.createObjectBindingPattern(elements);
    const declarations = all
      ? [
          factory.createVariableDeclaration(namedBindings.name, undefined, undefined, view),
          ...(names.length === 0
            ? []
            : [factory.createVariableDeclaration(pattern, undefined, undefined, namedBindings.name)]),
        ]
      : [factory.createVariableDeclaration(pattern, undefined, undefined, view)];
    return factory.createVariableStatement(
      undefined,
      factory.createVariableDeclarationList(declarations, typescript.NodeFlags.Const),
    );
  }
}

/** Neither a file, nor a URL, nor one of Node's modules. */
function isPackage(specifier: string): boolean {
  return !/^(\.{0,2}\/|#|[a-z][a-z+.-]*:)/.test(specifier) && !isBuiltin(specifier);
}
