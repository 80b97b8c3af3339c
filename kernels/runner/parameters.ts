import { readFileSync } from "node:fs";
import ts from "typescript";
import { parse as parseYaml } from "yaml";
import { didYouMean, ModalscopeError } from "../../lib/errors.js";
import { type Cell, hasTag, joined, type Notebook, newCell } from "./notebook.js";

/** A value that a notebook can be given: JSON, and big whole numbers. */
export type ParameterValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | ParameterValue[]
  | { [key: string]: ParameterValue };

export type Parameters = Record<string, ParameterValue>;

/** A parameter as the notebook's `parameters` cell declares it. */
export interface DeclaredParameter {
  name: string;
  /** `const`, `let` or `var`. */
  keyword: string;
  /** Its type, when the cell writes one. */
  type: string | undefined;
  /** Its default, as source text. */
  initialiser: string | undefined;
  /** The comment at its line or above it. */
  help: string;
}

const parametersTag = "parameters";
const injectedTag = "injected-parameters";

/**
 * Puts the values into the notebook, in a cell after the one tagged `parameters`, which declares them anew. A
 * cell that an earlier run had injected goes.
 * @throws ModalscopeError when a name is not declared there, or a value is not of its kind.
 */
export function injectParameters(notebook: Notebook, values: Parameters): void {
  notebook.cells = notebook.cells.filter((cell) => !hasTag(cell, injectedTag));
  const names = Object.keys(values);
  if (names.length === 0) return;
  const { language } = notebook.metadata.kernelspec ?? {};
  if (language !== undefined && !/^(typescript|javascript)$/i.test(language)) {
    throw new ModalscopeError(
      `Parameters cannot be given to a ${language} notebook.`,
      "They are written into it as TypeScript.",
      "Run it with papermill, or without parameters.",
    );
  }
  const at = notebook.cells.findIndex((cell) => hasTag(cell, parametersTag));
  if (at === -1) {
    throw new ModalscopeError(
      `The notebook takes no parameters, but was given ${names.join(", ")}.`,
      `None of its cells is tagged "${parametersTag}".`,
      "Tag the cell that declares the defaults.",
    );
  }
  const declared = declaredParameters(notebook.cells[at]);
  const lines = names.map((name) => injectedLine(name, values[name], declared));
  notebook.cells.splice(at + 1, 0, newCell("code", ["// Parameters", ...lines].join("\n"), [injectedTag]));
}

/** The parameters of a notebook, in order; none when it has no such cell. */
export function notebookParameters(notebook: Notebook): DeclaredParameter[] {
  const cell = notebook.cells.find((c) => hasTag(c, parametersTag));
  return cell === undefined ? [] : declaredParameters(cell);
}

function declaredParameters(cell: Cell): DeclaredParameter[] {
  const code = joined(cell.source);
  const source = ts.createSourceFile("parameters.ts", code, ts.ScriptTarget.ES2022, true);
  return source.statements.flatMap((statement) => {
    if (!ts.isVariableStatement(statement)) return [];
    const keyword = statement.declarationList.getFirstToken(source)?.getText(source) ?? "let";
    const help = comment(statement, code);
    return statement.declarationList.declarations.flatMap((declaration) =>
      ts.isIdentifier(declaration.name)
        ? [
            {
              name: declaration.name.text,
              keyword,
              type: declaration.type?.getText(source),
              initialiser: declaration.initializer?.getText(source),
              help,
            },
          ]
        : [],
    );
  });
}

function comment(statement: ts.Statement, code: string): string {
  const ranges = [
    ...(ts.getLeadingCommentRanges(code, statement.getFullStart()) ?? []),
    ...(ts.getTrailingCommentRanges(code, statement.getEnd()) ?? []),
  ];
  return ranges
    .map(({ pos, end }) =>
      code
        .slice(pos, end)
        .replace(/^\/\/+|^\/\*+|\*\/$/g, "")
        .trim(),
    )
    .join(" ");
}

function injectedLine(name: string, value: ParameterValue, declared: readonly DeclaredParameter[]): string {
  const parameter = declared.find((p) => p.name === name);
  if (parameter === undefined) {
    const known = declared.map((p) => p.name);
    throw new ModalscopeError(
      `The notebook has no parameter "${name}".`,
      `It has ${known.length === 0 ? "none" : known.join(", ")}.`,
      didYouMean(name, known),
    );
  }
  checkKind(parameter, value);
  const type = parameter.type === undefined ? "" : `: ${parameter.type}`;
  return `${parameter.keyword} ${name}${type} = ${literal(value)};`;
}

/** Where the cell writes no type, the value must be of the default's kind. (A written type is the compiler's to check.) */
function checkKind({ name, type, initialiser }: DeclaredParameter, value: ParameterValue): void {
  if (type !== undefined || initialiser === undefined || value === null) return;
  const expected = kindOfSource(initialiser);
  const given = kindOf(value);
  if (expected === undefined || expected === given) return;
  throw new ModalscopeError(
    `The parameter "${name}" must be ${expected}, not ${given}.`,
    `Its default is ${initialiser}.`,
    `The value given is ${literal(value)}.`,
  );
}

type Kind = "a string" | "a number" | "a big integer" | "true or false" | "null" | "a list" | "an object";

function kindOf(value: ParameterValue): Kind {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  const kinds = {
    string: "a string",
    number: "a number",
    bigint: "a big integer",
    boolean: "true or false",
  } as const;
  return kinds[typeof value as keyof typeof kinds] ?? "an object";
}

/** Undefined when the default's kind cannot be read off its source. */
function kindOfSource(initialiser: string): Kind | undefined {
  const file = ts.createSourceFile("value.ts", `(${initialiser})`, ts.ScriptTarget.ES2022, false);
  const [statement] = file.statements;
  if (statement === undefined || !ts.isExpressionStatement(statement)) return undefined;
  let node = statement.expression;
  while (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isPrefixUnaryExpression(node)) {
    node = ts.isPrefixUnaryExpression(node) ? node.operand : node.expression;
  }
  if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) return "a string";
  if (ts.isNumericLiteral(node)) return "a number";
  if (ts.isBigIntLiteral(node)) return "a big integer";
  if (ts.isArrayLiteralExpression(node)) return "a list";
  if (ts.isObjectLiteralExpression(node)) return "an object";
  if (node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword)
    return "true or false";
  return undefined;
}

/** A value as TypeScript source. */
function literal(value: ParameterValue): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, entry]) => `${quoted(key)}: ${literal(entry)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  return typeof value === "string" ? quoted(value) : String(value);
}

function quoted(text: string): string {
  // JSON.stringify leaves these two as they are, and some tools still take them for ends of lines.
  return JSON.stringify(text)
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029");
}

/** What `-p name value` means by its value: a number, true, false, null, else text. Papermill's spellings count too. */
export function parseValue(text: string): ParameterValue {
  if (text === "true" || text === "True") return true;
  if (text === "false" || text === "False") return false;
  if (text === "null" || text === "None") return null;
  if (/^[+-]?\d+$/.test(text)) return wholeNumber(text);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  return text;
}

function wholeNumber(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** @throws ModalscopeError when the text is no YAML mapping. */
export function parseParameters(yaml: string, from: string): Parameters {
  let value: unknown;
  try {
    value = parseYaml(yaml, { intAsBigInt: true });
  } catch (error) {
    throw new ModalscopeError(`Cannot read the parameters in ${from}.`, (error as Error).message, "", {
      cause: error,
    });
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ModalscopeError(
      `The parameters in ${from} are no mapping of names to values.`,
      "",
      "Write `name: value`.",
    );
  }
  return withNumbers(value as ParameterValue) as Parameters;
}

export function readParameters(path: string): Parameters {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ModalscopeError(`Cannot read the parameters file ${path}.`, (error as Error).message, "", {
      cause: error,
    });
  }
  return parseParameters(text, path);
}

/** Whole numbers that a double holds exactly become numbers. */
function withNumbers(value: ParameterValue): ParameterValue {
  if (typeof value === "bigint") return wholeNumber(String(value));
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withNumbers(entry)]));
}
