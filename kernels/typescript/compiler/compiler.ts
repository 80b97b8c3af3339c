import ts = require("typescript");

import {
  type CompileResult,
  type CompletionResult,
  type IsComplete,
  type Problem,
  scopeSpecifier,
} from "../messages.js";
import { adviceOn } from "./advice.js";
import { isComplete } from "./complete-code.js";
import { emitCell } from "./emit.js";
import { adviceOnMissing, moduleNotFound } from "./missing-package.js";
import { cellProgram } from "./program.js";
import { quickInfoText } from "./quick-info.js";
import { isSlotName, notebookScope, type Values } from "./scope.js";
import { completeString, stringBefore } from "./string-completions.js";
import { type CellSyntax, parseCell, parseProblems, readSyntax } from "./syntax.js";

/** The language of one notebook: types across its cells, JavaScript for each. */
export interface Compiler {
  /** Checks and compiles a cell; `name` is how stack frames call it. */
  compile(code: string, name: string): CompileResult;
  /** Does the work of compiling a cell and keeps nothing of it; may come between a cell's `compile` and its `commit`. */
  rehearse(code: string): void;
  /**
   * Lets later cells see what the cell that was compiled last declared, or, when it failed, the part of it
   * that came to be.
   * @param values the values that exist now.
   */
  commit(values: Values): void;
  /** Commits the last cell again with other values: it was committed as if it would succeed. */
  amend(values: Values): void;
  /** Lets later cells see what a cell declared that another compiler had compiled and committed. */
  restore(code: string, values: Values): void;
  /** @param hooks names that a string may hold. */
  complete(code: string, position: number, hooks?: readonly string[]): CompletionResult;
  /** Declaration and documentation of the name at the position, as text; undefined when there is none. */
  inspect(code: string, position: number): string | undefined;
  isComplete(code: string): IsComplete;
}

/** A cell without mistakes, as {@link NotebookScope.add} takes it. */
interface CheckedCell {
  readonly text: string;
  readonly syntax: CellSyntax;
  readonly uses: string[];
}

export function createCompiler(folder: string): Compiler {
  const program = cellProgram(folder);
  const scope = notebookScope(program);
  let compiled: CheckedCell | undefined;
  let committed: { cell: CheckedCell; undo(): void } | undefined;

  /** The cell as it is checked: its own text first, so that positions stay, then what joins it to the notebook. */
  function checkedText(code: string, syntax: CellSyntax, names: Iterable<string>): string {
    const declared = [...syntax.declared].filter(([, d]) => !d.exported).map(([name]) => name);
    const exported = new Set([...declared, ...syntax.imported.keys()]);
    return `${code}\n${scope.importOf(names)}\nexport { ${[...exported].join(", ")} };`;
  }

  /** Imports for the compiled cell, where all cells' values live in one scope. */
  function prelude(names: Iterable<string>): string {
    const values: string[] = [];
    const statements: string[] = [];
    for (const name of names) {
      const origin = scope.origins.get(name);
      if (origin?.statement !== undefined) statements.push(origin.statement);
      else if (origin?.value) values.push(name);
    }
    if (values.length > 0) statements.push(`import { ${values.join(", ")} } from "${scopeSpecifier}";`);
    return statements.length === 0 ? "" : `${statements.join(" ").replaceAll("\n", " ")} `;
  }

  function earlierNames(syntax: CellSyntax): string[] {
    return [...syntax.mentioned].filter(
      (name) => scope.origins.has(name) && !syntax.declared.has(name) && !syntax.imported.has(name),
    );
  }

  function check(code: string): Problem[] | CheckedCell {
    const source = parseCell(code);
    // Before anything is added to the text, which would be read as a part of unfinished code.
    const broken = parseProblems(source);
    if (broken.length > 0)
      return withAdvice(
        source,
        broken.map((found) => describe(source, found)),
        true,
      );
    const syntax = readSyntax(source);
    if (syntax.problems.length > 0)
      return syntax.problems.map((p) => ({ ...p, code: undefined, ...at(source, p.start) }));
    const uses = earlierNames(syntax);
    const text = checkedText(code, syntax, uses);
    program.show(text);
    const problems = diagnose(source);
    return problems.length > 0 ? problems : { text, syntax, uses };
  }

  function compile(code: string, name: string): CompileResult {
    compiled = undefined;
    const checked = check(code);
    if (Array.isArray(checked)) return { ok: false, problems: checked };
    compiled = checked;
    return { ok: true, cell: emitCell(code, name, checked.syntax, prelude(checked.uses)) };
  }

  function rehearse(code: string): void {
    const checked = check(code);
    if (!Array.isArray(checked)) emitCell(code, "In[0]", checked.syntax, prelude(checked.uses));
  }

  function diagnose(source: ts.SourceFile): Problem[] {
    const problems = program.service
      .getSemanticDiagnostics(program.current)
      .filter((d) => d.category === ts.DiagnosticCategory.Error && !isAllowed(source, d))
      .map((d) => describe(source, d));
    return withAdvice(source, problems, false);
  }

  /** True for errors of the checker about code that the kernel runs. */
  function isAllowed(source: ts.SourceFile, { code, start, length }: ts.Diagnostic): boolean {
    const text = source.text.slice(start, (start ?? 0) + (length ?? 0));
    if (code === assignsToImport) return scope.origins.get(text)?.assignable ?? false;
    if (code === aliasesTypeImport) return (start ?? 0) > source.text.length;
    return code === importsByRequire || (code === moduleNotFound && /^["'`]data:/.test(text));
  }

  function describe(source: ts.SourceFile, found: ts.Diagnostic): Problem {
    const { code } = found;
    const start = Math.min(found.start ?? 0, source.text.length);
    const length = Math.max(1, Math.min(found.length ?? 1, source.text.length - start));
    const place = at(source, start);
    let message = ts.flattenDiagnosticMessageText(found.messageText, "\n");
    const name = source.text.slice(start, start + length);
    if (code === moduleNotFound) {
      const advice = adviceOnMissing(name.slice(1, -1), folder);
      if (advice !== undefined) message = `Cannot find module ${name}. ${advice}`;
    }
    const origin = code === assignsToImport ? scope.origins.get(name) : undefined;
    if (origin !== undefined && origin.statement === undefined)
      message = `Cannot assign to '${name}' because an earlier cell made it constant.`;
    return { message, code, length, ...place };
  }

  function commit(values: Values): void {
    if (compiled === undefined) return;
    keep(compiled, values);
    compiled = undefined;
  }

  function keep(cell: CheckedCell, values: Values): void {
    committed = { cell, undo: scope.add(cell, values) };
  }

  function amend(values: Values): void {
    if (committed === undefined) return;
    committed.undo();
    keep(committed.cell, values);
    // Checked against what is taken back.
    compiled = undefined;
  }

  function restore(code: string, values: Values): void {
    const syntax = readSyntax(parseCell(code));
    const uses = earlierNames(syntax);
    keep({ text: checkedText(code, syntax, uses), syntax, uses }, values);
  }

  /**
   * Shows the service a cell that is being written, with all of the notebook's names in reach. Their imports come
   * first: after unfinished code they would be read as a part of it. Gives where the cell's own text begins.
   */
  function draft(code: string): number {
    const syntax = readSyntax(parseCell(code));
    const names = [...scope.origins.keys()].filter(
      (name) => !syntax.declared.has(name) && !syntax.imported.has(name),
    );
    const imports = `${scope.importOf(names)}\n`;
    program.show(imports + code);
    return imports.length;
  }

  function complete(code: string, position: number, hooks: readonly string[] = []): CompletionResult {
    const before = draft(code);
    const info = program.service.getCompletionsAtPosition(program.current, before + position, {});
    const text = stringBefore(parseCell(code), position);
    // Values that the types allow come before guesses.
    if (text !== undefined && (info?.entries ?? []).length === 0)
      return completeString(text, position, { folder, hooks });
    const typed = /[\p{ID_Continue}$#]*$/u.exec(code.slice(0, position))?.[0] ?? "";
    const span = info?.optionalReplacementSpan;
    const start = span === undefined ? position - typed.length : span.start - before;
    const end = Math.max(position, span === undefined ? position : start + span.length);
    const prefix = code.slice(start, position);
    const ranked = (info?.entries ?? [])
      .filter(({ name }) => !isSlotName(name))
      .map((entry) => ({ entry, rank: rank(entry.name, prefix) }))
      .filter(({ rank }) => rank < 3)
      .sort(
        (a, b) =>
          a.rank - b.rank ||
          a.entry.sortText.localeCompare(b.entry.sortText) ||
          a.entry.name.localeCompare(b.entry.name),
      );
    return {
      matches: ranked.map(({ entry }) => entry.name),
      start,
      end,
      types: ranked.map(({ entry }) => ({ text: entry.name, type: entry.kind, start, end })),
    };
  }

  function inspect(code: string, position: number): string | undefined {
    const before = draft(code);
    const { service, current } = program;
    // Jupyter asks at the cursor, which often stands just after the name or its bracket, or between arguments.
    const call = service.getSignatureHelpItems(current, before + position, undefined);
    const called = call === undefined ? [] : [call.applicableSpan.start - before - 2];
    const justBefore = [position - 1, position - 2];
    const isBetween = /[,\s]$/.test(code.slice(0, position));
    for (const offset of [
      position,
      ...(isBetween ? [...called, ...justBefore] : [...justBefore, ...called]),
    ]) {
      const info = offset < 0 ? undefined : service.getQuickInfoAtPosition(current, before + offset);
      if (info !== undefined) return quickInfoText(info);
    }
    return undefined;
  }

  return { compile, rehearse, commit, amend, restore, complete, inspect, isComplete };
}

/** "Cannot assign to 'x' because it is an import." Earlier cells' names are imports to the checker only. */
const assignsToImport = 2632;

/** "An import alias cannot reference a declaration that was imported using 'import type'." The notebook's own may. */
const aliasesTypeImport = 1380;

/** "Import assignment cannot be used when targeting ECMAScript modules." */
const importsByRequire = 1202;

/** The same advice is given once. */
function withAdvice(source: ts.SourceFile, problems: readonly Problem[], isSyntax: boolean): Problem[] {
  const lines = source.text.split("\n");
  const given = new Set<string>();
  return problems.map((problem) => {
    const advice = adviceOn({ code: problem.code, isSyntax }, lines[problem.line - 1] ?? "", source.text);
    if (advice === undefined || given.has(advice)) return problem;
    given.add(advice);
    return { ...problem, message: `${problem.message} ${advice}` };
  });
}

function at(source: ts.SourceFile, offset: number): { line: number; column: number } {
  const { line, character } = source.getLineAndCharacterOfPosition(offset);
  return { line: line + 1, column: character + 1 };
}

/** 0: begins with the prefix; 1: but for case; 2: contains it; 3: no match. */
function rank(name: string, prefix: string): number {
  if (name.startsWith(prefix)) return 0;
  const [n, p] = [name.toLowerCase(), prefix.toLowerCase()];
  return n.startsWith(p) ? 1 : n.includes(p) ? 2 : 3;
}
