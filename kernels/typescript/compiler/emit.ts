import ts = require("typescript");

import { type CompiledCell, type Insertion, scopeSpecifier } from "../messages.js";
import type { CellSyntax } from "./syntax.js";

/** Name of the runtime in the compiled cell (see child/executor.ts). */
const runtime = "__cell";

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.CommonJS,
  target: ts.ScriptTarget.ES2022,
  experimentalDecorators: true,
  esModuleInterop: false,
  sourceMap: true,
  jsx: ts.JsxEmit.React,
};

/**
 * Compiles a cell to the body of a function of (exports, __cell). Its top-level names become properties of
 * `exports`, the notebook's one scope, and so do the names that it uses of earlier cells: TypeScript's own
 * CommonJS output does that, given `export` before each declaration and an import of the scope.
 *
 * @param prelude imports of earlier cells' names, on one line.
 */
export function emitCell(code: string, name: string, syntax: CellSyntax, prelude: string): CompiledCell {
  // A script's first line is a comment only where nothing comes before it.
  const shebang = code.startsWith("#!") ? [{ position: 0, text: "//" }] : [];
  const { text, insertions } = edited(code, [...shebang, ...syntax.edits], prelude);
  const imports = new Map<string, FoundImport>();
  const output = ts.transpileModule(`${text}\nexport {};`, {
    fileName: `${name}.ts`,
    compilerOptions: options,
    transformers: { before: [cellRuntime], after: [hoistImports(imports)] },
  });
  return {
    name,
    javascript: output.outputText.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"),
    sourceMap: output.sourceMapText ?? "",
    insertions,
    awaits: syntax.awaits,
    imports: [...imports].map(([specifier, { names, attributes }]) => ({
      specifier,
      names: [...names],
      ...(attributes && { attributes }),
    })),
    declared: [...syntax.declared].filter(([, d]) => d.value).map(([n]) => n),
  };
}

/** The code with the edits in it and the prelude before it on its first line; what went where. */
function edited(
  code: string,
  edits: readonly { position: number; text: string }[],
  prelude: string,
): { text: string; insertions: Insertion[] } {
  const insertions: Insertion[] = [{ line: 0, column: 0, length: prelude.length }];
  const parts = [prelude];
  let from = 0;
  let line = 0;
  let lineStart = 0;
  for (const { position, text } of [...edits].sort((a, b) => a.position - b.position)) {
    for (let end = code.indexOf("\n", lineStart); end !== -1 && end < position; ) {
      line++;
      lineStart = end + 1;
      end = code.indexOf("\n", lineStart);
    }
    insertions.push({ line, column: position - lineStart, length: text.length });
    parts.push(code.slice(from, position), text);
    from = position;
  }
  parts.push(code.slice(from));
  return { text: parts.join(""), insertions };
}

/**
 * Before types go: the last expression becomes the cell's result; after each `await` the cell looks whether it
 * was interrupted (see child/runs.ts); `import()` and `import.meta` go to the runtime, which resolves from the notebook's folder.
 */
const cellRuntime: ts.TransformerFactory<ts.SourceFile> = (context) => {
  const { factory } = context;
  const call = (name: string, args: readonly ts.Expression[]): ts.Expression =>
    factory.createCallExpression(
      factory.createPropertyAccessExpression(factory.createIdentifier(runtime), name),
      undefined,
      args,
    );
  const visit = (node: ts.Node): ts.Node => {
    if (ts.isAwaitExpression(node)) {
      return call("resumed", [call("run", []), ts.visitEachChild(node, visit, context)]);
    }
    if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) {
      const { awaitModifier, initializer, expression, statement } = ts.visitEachChild(node, visit, context);
      return factory.updateForOfStatement(
        node,
        awaitModifier,
        initializer,
        call("each", [expression]),
        statement,
      );
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      return call(
        "import",
        node.arguments.map((argument) => ts.visitNode(argument, visit) as ts.Expression),
      );
    }
    if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) {
      return factory.createPropertyAccessExpression(factory.createIdentifier(runtime), "meta");
    }
    return ts.visitEachChild(node, visit, context);
  };
  return (source) => {
    // The last statement is the `export {}` that emitCell adds.
    const last = source.statements.at(-2);
    const statements = source.statements.map((statement) => {
      const visited = ts.visitNode(statement, visit) as ts.Statement;
      if (statement !== last || !ts.isExpressionStatement(visited)) return visited;
      return factory.updateExpressionStatement(visited, call("result", [visited.expression]));
    });
    return factory.updateSourceFile(source, statements);
  };
};

/**
 * After the CommonJS step: imports go to the top, as the language says, and are taken from the runtime, which
 * has loaded them; what clears the exports goes (an earlier run's values stay until the cell sets them anew).
 */
function hoistImports(found: Map<string, FoundImport>): ts.TransformerFactory<ts.SourceFile> {
  return (context) => {
    const { factory } = context;
    return (source) => {
      const imports: ts.Statement[] = [];
      const rest: ts.Statement[] = [];
      for (const statement of source.statements) {
        const declaration = importOf(statement);
        if (declaration !== undefined) {
          note(declaration, found);
          imports.push(ts.visitEachChild(statement, requireFromRuntime, context));
        } else if (!isExportsPreamble(statement)) rest.push(statement);
      }
      const prologue = rest.findIndex(
        (s) => !(ts.isExpressionStatement(s) && ts.isStringLiteral(s.expression)),
      );
      const at = prologue === -1 ? rest.length : prologue;
      return factory.updateSourceFile(source, [...rest.slice(0, at), ...imports, ...rest.slice(at)]);
    };
    function requireFromRuntime(node: ts.Node): ts.Node {
      if (
        ts.isCallExpression(node) &&
        ts.isIdentifier(node.expression) &&
        node.expression.text === "require"
      ) {
        const module = factory.createPropertyAccessExpression(factory.createIdentifier(runtime), "module");
        return factory.updateCallExpression(node, module, undefined, node.arguments);
      }
      return ts.visitEachChild(node, requireFromRuntime, context);
    }
  };
}

/** The import that a statement came from, as it was once TypeScript had dropped the names of mere types. */
function importOf(statement: ts.Statement): ts.ImportDeclaration | undefined {
  let node: ts.Node | undefined = statement;
  while (node !== undefined && !ts.isImportDeclaration(node))
    node = (node as { original?: ts.Node }).original;
  return node;
}

interface FoundImport {
  names: Set<string>;
  attributes?: Record<string, string>;
}

function note(declaration: ts.ImportDeclaration, found: Map<string, FoundImport>): void {
  const specifier = (declaration.moduleSpecifier as ts.StringLiteral).text;
  if (specifier === scopeSpecifier) return;
  const entry: FoundImport = found.get(specifier) ?? { names: new Set<string>() };
  found.set(specifier, entry);
  if (declaration.attributes !== undefined) entry.attributes = attributesOf(declaration.attributes);
  const { names } = entry;
  const clause = declaration.importClause;
  if (clause?.name !== undefined) names.add("default");
  const bindings = clause?.namedBindings;
  if (bindings !== undefined && ts.isNamedImports(bindings)) {
    for (const element of bindings.elements) names.add((element.propertyName ?? element.name).text);
  }
}

function attributesOf({ elements }: ts.ImportAttributes): Record<string, string> {
  return Object.fromEntries(
    elements.flatMap(({ name, value }) => (ts.isStringLiteral(value) ? [[name.text, value.text]] : [])),
  );
}

/** `Object.defineProperty(exports, "__esModule", …)` or `exports.a = exports.b = void 0`. */
function isExportsPreamble(statement: ts.Statement): boolean {
  if (!ts.isExpressionStatement(statement) || ts.getOriginalNode(statement) !== statement) return false;
  let expression = statement.expression;
  if (ts.isCallExpression(expression)) {
    const name = expression.arguments[1];
    return name !== undefined && ts.isStringLiteral(name) && name.text === "__esModule";
  }
  if (!ts.isBinaryExpression(expression)) return false;
  while (ts.isBinaryExpression(expression)) expression = expression.right;
  return ts.isVoidExpression(expression);
}
