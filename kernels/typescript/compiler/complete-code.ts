import ts = require("typescript");

import type { IsComplete } from "../messages.js";
import { parseCell, parseProblems } from "./syntax.js";

/** Parser messages that mean "more is to come" wherever they stand: unterminated template, comment. */
const openCodes = new Set([1010, 1160]);
/** A quote that its line does not close is wrong even at the end of the text. */
const unterminatedString = 1002;

/**
 * Tells whether a console should run the code or wait for more lines. It is incomplete when the parser's complaint
 * is about the end of the text, and invalid when it is about anything before.
 */
export function isComplete(code: string): IsComplete {
  const source = parseCell(code);
  const problems = parseProblems(source);
  const end = code.trimEnd().length;
  const open = problems.some((d) => openCodes.has(d.code) || d.start >= end);
  const wrong = problems.some(
    (d) => d.code === unterminatedString || (!openCodes.has(d.code) && d.start < end),
  );
  if (problems.length === 0) return { status: "complete", indent: "" };
  if (wrong || !open) return { status: "invalid", indent: "" };
  return { status: "incomplete", indent: nextIndent(code) };
}

/** Two spaces for each bracket that is still open. */
function nextIndent(code: string): string {
  const scanner = ts.createScanner(ts.ScriptTarget.ES2022, true, ts.LanguageVariant.Standard, code);
  let depth = 0;
  for (let token = scanner.scan(); token !== ts.SyntaxKind.EndOfFileToken; token = scanner.scan()) {
    if (
      token === ts.SyntaxKind.OpenBraceToken ||
      token === ts.SyntaxKind.OpenParenToken ||
      token === ts.SyntaxKind.OpenBracketToken
    ) {
      depth++;
    } else if (
      token === ts.SyntaxKind.CloseBraceToken ||
      token === ts.SyntaxKind.CloseParenToken ||
      token === ts.SyntaxKind.CloseBracketToken
    ) {
      depth--;
    }
  }
  return "  ".repeat(Math.max(0, depth));
}
