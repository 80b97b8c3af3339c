import { own } from "../../../lib/own.js";
import type { CellStatement } from "./follow.js";
import type { DeclaredParameter, GivenParameter, Translator, WrongParameter } from "./translator.js";
import type { ParameterValue } from "./values.js";

export const pythonTranslator: Translator = {
  comment: "#",
  declared: declaredParameters,
  statements: cellStatements,
  check: (_, given) => given.flatMap(wrong),
  assign: ({ declared, value }) => `${declared.name} = ${literal(value)}`,
};

const anyString = String.raw`"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'`;
const prefixedString = new RegExp(String.raw`(?:\b[rbuf]{1,2})?(?:${anyString})`, "gi");

/** A name, its type, its value. */
const assignment = /^([\p{L}_][\p{L}\p{N}_]*)\s*(?::\s*([^=]+?))?\s*=(?!=)\s*([\s\S]+)$/u;

function declaredParameters(source: string): DeclaredParameter[] {
  return statements(source).flatMap(({ code, help }) => {
    const match = assignment.exec(code);
    if (match === null) return [];
    const [, name, type, initialiser] = match;
    return [
      {
        name,
        keyword: "",
        type: type?.replace(/^["']|["']$/g, ""),
        inferred: typeOf(initialiser),
        initialiser,
        help,
      },
    ];
  });
}

interface Statement {
  code: string;
  help: string;
}

/** Top-level statements without their comments: lines go on while a bracket or a long string is open. */
function statements(source: string): Statement[] {
  const found: Statement[] = [];
  let code = "";
  let help = "";
  let depth = 0;
  // A string, a comment, a bracket, the end of a line, or anything else.
  const token = new RegExp(String.raw`(${anyString})|(#.*)|([([{])|([)\]}])|(\n)|[\s\S]`, "g");
  for (const [text, , comment, open, close, newline] of `${source}\n`.matchAll(token)) {
    if (comment !== undefined) {
      help = comment.replace(/^#+\s*(type:\s*\S+\s*)?/, "").trim();
      continue;
    }
    if (open !== undefined) depth++;
    if (close !== undefined) depth--;
    if (newline === undefined || depth > 0) {
      code += text;
      continue;
    }
    if (code.trim() !== "") found.push({ code: code.trimEnd(), help });
    if (code.trim() !== "" || source.includes("\n\n")) help = "";
    code = "";
  }
  return found;
}

/** Bodies of functions and classes read names when they are called; printing computes nothing. */
function cellStatements(source: string): CellStatement[] {
  let inBody = false;
  return statements(source).flatMap(({ code }) => {
    if (!/^\s/.test(code)) inBody = /^(async\s+def|def|class|@)\b/.test(code);
    if (inBody || /^\s*(import|from|print|pass)\b/.test(code)) return [];
    const match = assignment.exec(code);
    const reads = namesRead(match?.[3] ?? code);
    return [
      {
        declares: match === null ? [] : [match[1]],
        reads: /^lambda\b/.test(match?.[3] ?? "") ? new Set() : reads,
        code,
      },
    ];
  });
}

/** Names outside strings, but for those between the braces of f-strings; no attributes. */
function namesRead(code: string): Set<string> {
  const bare = code.replace(prefixedString, (text) =>
    /^[rbu]*f/i.test(text) ? (text.match(/\{[^{}]+\}/g) ?? []).join(" ") : " ",
  );
  return new Set(bare.match(/(?<![.\p{L}\p{N}_])[\p{L}_][\p{L}\p{N}_]*/gu));
}

function typeOf(initialiser: string): string | undefined {
  if (/^[+-]?\d[\d_]*$/.test(initialiser)) return "int";
  if (/^[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(initialiser)) return "float";
  if (/^[rbuf]?["']/i.test(initialiser)) return "str";
  if (/^(True|False)$/.test(initialiser)) return "bool";
  if (initialiser.startsWith("[")) return "list";
  if (/^\{\s*\}$|^\{\s*("[^"]*"|'[^']*'|\w+)\s*:/.test(initialiser)) return "dict";
  return undefined;
}

function wrong(given: GivenParameter): WrongParameter[] {
  const { type, inferred } = given.declared;
  const expected = type ?? inferred;
  if (expected === undefined || fits(given.value, expected, type === undefined)) return [];
  return [{ given, expected, why: "" }];
}

/** Types that are not known here fit; a default of `1` or of `None` says less than a written type does. */
function fits(value: ParameterValue, type: string, lenient: boolean): boolean {
  const parts = type.replace(/^Optional\[(.*)\]$/, "$1 | None").split("|");
  return parts.some((part) => {
    const [name] = part.trim().split("[", 1);
    const test = own(tests, name.toLowerCase());
    return test === undefined || test(value) || (lenient && name === "int" && typeof value === "number");
  });
}

const isWhole = (value: ParameterValue): boolean => typeof value === "bigint" || Number.isSafeInteger(value);
const isList = (value: ParameterValue): boolean => Array.isArray(value);
const isMapping = (value: ParameterValue): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const tests: Record<string, (value: ParameterValue) => boolean> = {
  int: isWhole,
  float: (value) => typeof value === "number" || typeof value === "bigint",
  str: (value) => typeof value === "string",
  bool: (value) => typeof value === "boolean",
  none: (value) => value === null,
  list: isList,
  sequence: isList,
  dict: isMapping,
  mapping: isMapping,
};

/** A value as Python source; JSON's strings are Python's, too. */
function literal(value: ParameterValue): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" && !Number.isFinite(value)) {
    return `float("${Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"}")`;
  }
  if (typeof value === "number") return Object.is(value, -0) ? "-0.0" : String(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value)
      .map(([key, entry]) => `${JSON.stringify(key)}: ${literal(entry)}`)
      .join(", ")}}`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
