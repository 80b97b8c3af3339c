import ts = require("typescript");

/** Top-level declarations of a cell, from its syntax alone. */
export interface CellSyntax {
  /** Values and types that later cells see; a name may be both. */
  declared: Map<string, Declared>;
  /** Names that the cell brings in by `import`, each with the import that gives this one name. */
  imported: Map<string, string>;
  /** Every identifier in the cell: names of earlier cells that it may use. */
  mentioned: Set<string>;
  /** True for top-level await. */
  awaits: boolean;
  /** Insertions that keep the compiled cell's names in the notebook's scope. */
  edits: { position: number; text: string }[];
  problems: { start: number; length: number; message: string }[];
}

export interface Declared {
  /** True for names that exist at run time; false for types. */
  value: boolean;
  /** True where other cells may assign to it. */
  assignable: boolean;
  /** Written with `export` by the user. */
  exported: boolean;
}

export function parseCell(code: string): ts.SourceFile {
  // `export {}` would make it a module; setExternalModuleIndicator does so without a change of the text.
  return ts.createSourceFile(
    "cell.ts",
    code,
    {
      languageVersion: ts.ScriptTarget.ES2022,
      setExternalModuleIndicator: (file) => {
        (file as { externalModuleIndicator?: unknown }).externalModuleIndicator = true;
      },
    },
    true,
    ts.ScriptKind.TS,
  );
}

/** Syntax errors that the parser found. */
export function parseProblems(source: ts.SourceFile): readonly ts.DiagnosticWithLocation[] {
  return (source as unknown as { parseDiagnostics: readonly ts.DiagnosticWithLocation[] }).parseDiagnostics;
}

export function readSyntax(source: ts.SourceFile): CellSyntax {
  const syntax: CellSyntax = {
    declared: new Map(),
    imported: new Map(),
    mentioned: new Set(),
    awaits: source.statements.some(awaitsHere),
    edits: [],
    problems: [],
  };
  for (const statement of source.statements) readStatement(statement, source, syntax);
  collectIdentifiers(source, syntax.mentioned);
  return syntax;
}

function readStatement(statement: ts.Statement, source: ts.SourceFile, syntax: CellSyntax): void {
  if (ts.isImportDeclaration(statement)) {
    readImport(statement, source, syntax);
    return;
  }
  if (ts.isImportEqualsDeclaration(statement)) {
    readImportEquals(statement, source, syntax);
    return;
  }
  const names = declaredNames(statement);
  const byDefault = hasModifier(statement, ts.SyntaxKind.DefaultKeyword);
  if (
    ts.isExportAssignment(statement) ||
    ts.isExportDeclaration(statement) ||
    (byDefault && names === undefined)
  ) {
    syntax.problems.push({
      start: statement.getStart(source),
      length: statement.getWidth(source),
      message:
        "Nothing imports a notebook cell, so it cannot export by default or from another module. " +
        "Every top-level name is seen by the later cells: declare it, or import it.",
    });
    return;
  }
  if (names === undefined) return;
  // `export default function f` gives later cells no `f`: it is exported by its name as well.
  const exported = hasModifier(statement, ts.SyntaxKind.ExportKeyword) && !byDefault;
  for (const name of names) {
    const before = syntax.declared.get(name);
    const found = declarationOf(statement, exported);
    syntax.declared.set(name, {
      value: found.value || (before?.value ?? false),
      assignable: found.assignable || (before?.assignable ?? false),
      exported,
    });
  }
  const start = statement.getStart(source);
  if (byDefault && isKept(statement))
    syntax.edits.push({ position: statement.getEnd(), text: `;export { ${names.join(", ")} };` });
  else if (!exported && isKept(statement)) syntax.edits.push({ position: start, text: "export " });
  if (ts.isVariableStatement(statement)) addInitialisers(statement, syntax);
}

function declaredNames(statement: ts.Statement): string[] | undefined {
  if (ts.isVariableStatement(statement)) {
    // A `using` declaration ends with its cell.
    if (isUsing(statement)) return undefined;
    return statement.declarationList.declarations.flatMap((d) => bindingNames(d.name));
  }
  if (
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isEnumDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement)
  ) {
    return statement.name === undefined ? undefined : [statement.name.text];
  }
  if (ts.isModuleDeclaration(statement) && ts.isIdentifier(statement.name)) {
    return statement.flags & ts.NodeFlags.GlobalAugmentation ? undefined : [statement.name.text];
  }
  return undefined;
}

function declarationOf(statement: ts.Statement, exported: boolean): Declared {
  const typeOnly = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
  const constant =
    ts.isVariableStatement(statement) && (statement.declarationList.flags & ts.NodeFlags.Const) !== 0;
  return {
    value: !typeOnly,
    assignable: ts.isVariableStatement(statement) && !constant,
    exported,
  };
}

function bindingNames(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) =>
    ts.isOmittedExpression(element) ? [] : bindingNames(element.name),
  );
}

function isUsing(statement: ts.VariableStatement): boolean {
  const flags = statement.declarationList.flags & ts.NodeFlags.BlockScoped;
  return flags === ts.NodeFlags.Using || flags === ts.NodeFlags.AwaitUsing;
}

function modifiers(statement: ts.Statement): readonly ts.Modifier[] {
  return (ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined) ?? [];
}

function hasModifier(statement: ts.Statement, kind: ts.ModifierSyntaxKind): boolean {
  return modifiers(statement).some((m) => m.kind === kind);
}

/** True where anything of the statement is left once its types are removed. */
function isKept(statement: ts.Statement): boolean {
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return false;
  return !modifiers(statement).some((m) => m.kind === ts.SyntaxKind.DeclareKeyword);
}

/** `let x;` gives undefined also where an earlier run of the cell had left a value. */
function addInitialisers(statement: ts.VariableStatement, syntax: CellSyntax): void {
  if (!(statement.declarationList.flags & ts.NodeFlags.Let) || !isKept(statement)) return;
  for (const declaration of statement.declarationList.declarations) {
    if (declaration.initializer === undefined) {
      syntax.edits.push({ position: declaration.getEnd(), text: " = undefined" });
    }
  }
}

function readImport(statement: ts.ImportDeclaration, source: ts.SourceFile, syntax: CellSyntax): void {
  const clause = statement.importClause;
  if (clause === undefined) return;
  const from = `from ${statement.moduleSpecifier.getText(source)}${attributes(statement, source)};`;
  const type = clause.isTypeOnly ? "type " : "";
  const add = (name: ts.Identifier, what: string): void => {
    syntax.imported.set(name.text, `import ${type}${what} ${from}`);
  };
  if (clause.name !== undefined) add(clause.name, clause.name.text);
  const bindings = clause.namedBindings;
  if (bindings === undefined) return;
  if (ts.isNamespaceImport(bindings)) add(bindings.name, `* as ${bindings.name.text}`);
  else for (const element of bindings.elements) add(element.name, `{ ${element.getText(source)} }`);
}

/** `import a = require("a")` brings a module in; `import b = a.b` gives a name to something that is there. */
function readImportEquals(
  statement: ts.ImportEqualsDeclaration,
  source: ts.SourceFile,
  syntax: CellSyntax,
): void {
  const name = statement.name.text;
  const exported = hasModifier(statement, ts.SyntaxKind.ExportKeyword);
  if (ts.isExternalModuleReference(statement.moduleReference) && !exported) {
    syntax.imported.set(name, statement.getText(source));
    return;
  }
  syntax.declared.set(name, { value: true, assignable: false, exported });
  if (!exported) syntax.edits.push({ position: statement.getStart(source), text: "export " });
}

function attributes(statement: ts.ImportDeclaration, source: ts.SourceFile): string {
  return statement.attributes === undefined ? "" : ` ${statement.attributes.getText(source)}`;
}

function awaitsHere(node: ts.Node): boolean {
  if (ts.isFunctionLike(node)) return false;
  if (ts.isAwaitExpression(node)) return true;
  if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) return true;
  if (ts.isVariableDeclarationList(node) && isAwaitUsing(node)) return true;
  return ts.forEachChild(node, awaitsHere) ?? false;
}

function isAwaitUsing(list: ts.VariableDeclarationList): boolean {
  return (list.flags & ts.NodeFlags.BlockScoped) === ts.NodeFlags.AwaitUsing;
}

function collectIdentifiers(node: ts.Node, into: Set<string>): void {
  if (ts.isIdentifier(node)) into.add(node.text);
  ts.forEachChild(node, (child) => collectIdentifiers(child, into));
}
