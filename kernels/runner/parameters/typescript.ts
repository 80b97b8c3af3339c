import type ts from "typescript";
import { loadTypeScript } from "../../typescript/index.js";
import type { DeclaredParameter, GivenParameter, Translator, WrongParameter } from "./translator.js";
import { checkTypes, type TypeCheck } from "./typescript-check.js";
import { typescriptStatements } from "./typescript-statements.js";
import type { ParameterValue } from "./values.js";

export const typescriptTranslator: Translator = {
  comment: "//",
  declared: declaredParameters,
  statements: typescriptStatements,
  check,
  assign({ declared, value }) {
    const { keyword, name, type, inferred } = declared;
    // A constant is of its value's own type, and comparing it with another value would be an error.
    const wide = type ?? (keyword === "const" && isPrimitive(inferred) ? inferred : undefined);
    return `${keyword} ${name}${wide === undefined ? "" : `: ${wide}`} = ${literal(fitted(declared, value))};`;
  },
};

function declaredParameters(code: string): DeclaredParameter[] {
  const ts = loadTypeScript();
  const source = ts.createSourceFile("parameters.ts", code, ts.ScriptTarget.ES2022, true);
  return source.statements.flatMap((statement) => {
    if (!ts.isVariableStatement(statement)) return [];
    const keyword = statement.declarationList.getFirstToken(source)?.getText(source) ?? "let";
    const help = comment(statement, code);
    return statement.declarationList.declarations.flatMap(({ name, type, initializer }) =>
      ts.isIdentifier(name)
        ? [
            {
              name: name.text,
              keyword,
              type: type?.getText(source),
              // Without a type and a default it takes any value.
              inferred: initializer === undefined ? (type ? undefined : "any") : typeOf(initializer),
              initialiser: initializer?.getText(source),
              help,
            },
          ]
        : [],
    );
  });
}

/** Text of the comments at the end of a statement's lines and right above it. */
function comment(statement: ts.Statement, code: string): string {
  const ts = loadTypeScript();
  const above: string[] = [];
  let below = statement.getStart();
  for (const { pos, end } of (ts.getLeadingCommentRanges(code, statement.getFullStart()) ?? []).reverse()) {
    // An empty line between: it is about something else, as a heading is.
    if (/\n\s*\n/.test(code.slice(end, below))) break;
    above.unshift(code.slice(pos, end));
    below = pos;
  }
  const beside = ts.getTrailingCommentRanges(code, statement.getEnd()) ?? [];
  return [...above, ...beside.map(({ pos, end }) => code.slice(pos, end))].map(commentText).join(" ");
}

function commentText(comment: string): string {
  return comment
    .replace(/^\/\/+|^\/\*+|\*\/$/g, "")
    .split("\n")
    .map((line) => line.trim().replace(/^\*\s?/, ""))
    .join(" ")
    .trim();
}

/**
 * The type of a default, as wide as its reader takes it: `3` is any number, an empty list any list. Undefined
 * when only the compiler knows it.
 */
function typeOf(node: ts.Expression): string | undefined {
  const ts = loadTypeScript();
  if (ts.isParenthesizedExpression(node)) return typeOf(node.expression);
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
    return ts.isConstTypeReference(node.type) ? undefined : node.type.getText();
  }
  if (ts.isPrefixUnaryExpression(node)) {
    return node.operator === ts.SyntaxKind.ExclamationToken ? "boolean" : typeOf(node.operand);
  }
  if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) return "string";
  if (ts.isNumericLiteral(node) || (ts.isIdentifier(node) && /^(NaN|Infinity)$/.test(node.text)))
    return "number";
  if (ts.isBigIntLiteral(node)) return "bigint";
  if (node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword) return "boolean";
  const isUndefined = ts.isIdentifier(node) && node.text === "undefined";
  if (isUndefined || node.kind === ts.SyntaxKind.NullKeyword) return "any";
  if (ts.isArrayLiteralExpression(node)) return listType(node);
  if (ts.isObjectLiteralExpression(node)) return objectType(node);
  return undefined;
}

function listType(node: ts.ArrayLiteralExpression): string | undefined {
  const types = new Set<string>();
  for (const element of node.elements) {
    const type = typeOf(element);
    if (type === undefined) return undefined;
    types.add(type);
  }
  if (types.size === 0 || types.has("any")) return "any[]";
  return types.size === 1 && isPrimitive([...types][0])
    ? `${[...types][0]}[]`
    : `(${[...types].join(" | ")})[]`;
}

function objectType(node: ts.ObjectLiteralExpression): string | undefined {
  const ts = loadTypeScript();
  const fields: string[] = [];
  for (const property of node.properties) {
    if (!ts.isPropertyAssignment(property) || ts.isComputedPropertyName(property.name)) return undefined;
    const type = typeOf(property.initializer);
    if (type === undefined) return undefined;
    fields.push(`${property.name.getText()}: ${type}`);
  }
  return fields.length === 0 ? "Record<string, any>" : `{ ${fields.join("; ")} }`;
}

function isPrimitive(type: string | undefined): boolean {
  return type === "string" || type === "number" || type === "bigint" || type === "boolean";
}

function check(source: string, given: readonly GivenParameter[], folder: string): WrongParameter[] {
  const plain = given.find((one) => isPrimitive(typeIn(one)) && !plainlyRight(one));
  if (plain !== undefined) return [{ given: plain, expected: typeIn(plain) as string, why: "" }];
  const open = given.filter((one) => !plainlyRight(one));
  if (open.length === 0) return [];
  const checks = open.map(({ declared, value }): TypeCheck => {
    const { type, inferred, initialiser } = declared;
    return { type: type ?? inferred, initialiser, literal: literal(fitted(declared, value)) };
  });
  return checkTypes(source, checks, folder).flatMap((mistake, i) =>
    mistake === undefined ? [] : [{ given: open[i], expected: mistake.type, why: mistake.why }],
  );
}

function typeIn({ declared: { type, inferred } }: GivenParameter): string | undefined {
  return type ?? inferred;
}

/** The usual cases, for which no program needs to be made. */
function plainlyRight(given: GivenParameter): boolean {
  const { declared, value } = given;
  const type = typeIn(given);
  if (type === "any" || type === "unknown") return true;
  return isPrimitive(type) && typeof fitted(declared, value) === type;
}

/** Text cannot say whether `5` is a number or a big integer; the declaration does. */
function fitted({ type, inferred }: DeclaredParameter, value: ParameterValue): ParameterValue {
  return (type ?? inferred) === "bigint" && Number.isSafeInteger(value) ? BigInt(value as number) : value;
}

/** A value as TypeScript source. */
function literal(value: ParameterValue): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([name, entry]) => `${key(name)}: ${literal(entry)}`);
    return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
  }
  return typeof value === "string" ? quoted(value) : String(value);
}

/** `__proto__`, written plainly or quoted, would set the object's prototype. */
function key(name: string): string {
  if (name === "__proto__") return '["__proto__"]';
  return /^[a-z_$][\w$]*$/i.test(name) ? name : quoted(name);
}

function quoted(text: string): string {
  // JSON.stringify leaves these two as they are, and some tools still take them for ends of lines.
  return JSON.stringify(text)
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029");
}
