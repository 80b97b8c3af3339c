/** The standard for notebooks of studies, as far as it can be read off their cells. */
import type { Cell, Notebook } from "../../kernels/runner/index.js";
import { hasTag, joined } from "../../lib/notebook/index.js";

import ts = require("typescript");

const MOST = { cells: 20, cellLines: 25, lines: 450, columns: 110, words: 80 } as const;

/** Headings that every notebook has, in this order; a heading may say more. */
const SECTIONS = ["answer", "document", "instruments", "planted", "exercises", "glossary"];

/** Calls of which a notebook has one each: the claims are read, measured on all checkpoints, and shown whole. */
const ONCE = ["loadClaims", "claimsMatrix", "claimTable", "matrixFigure"];

/** Breaches of the standard, one line each. @param study name of its file in data/studies. */
export function breaches(notebook: Notebook, study: string): string[] {
  const code = notebook.cells.filter(isCode);
  const source = code.map((cell) => joined(cell.source));
  return [
    ...sizes(code),
    ...code.filter((cell) => !hasTag(cell, "parameters")).flatMap(thresholds),
    ...proseBetween(notebook),
    ...sections(notebook),
    ...calls(source.join("\n"), study),
    ...(/^const quick\b/m.test(source[0] ?? "") ? [] : ['no parameter "quick"']),
    // A parameter that is given stands in a cell behind this one: defaults that ask it are made before.
    ...(/=[^/\n]*\bquick \?/.test(source[0] ?? "") ? ['a parameter\'s default depends on "quick"'] : []),
  ];
}

const isCode = (cell: Cell): boolean => cell.cell_type === "code";
const linesOf = (cell: Cell): string[] => joined(cell.source).split("\n");

function sizes(code: readonly Cell[]): string[] {
  // Explained parameters have as many lines again.
  const counted = code.filter((cell) => !hasTag(cell, "parameters"));
  const total = counted.reduce((sum, cell) => sum + linesOf(cell).length, 0);
  return [
    ...(code.length > MOST.cells ? [`${code.length} code cells`] : []),
    ...(total > MOST.lines ? [`${total} lines of code`] : []),
    ...counted.flatMap((cell) => {
      const lines = linesOf(cell);
      const wide = lines.filter((line) => line.length > MOST.columns).length;
      return [
        ...(lines.length > MOST.cellLines ? [`${cell.id}: ${lines.length} lines`] : []),
        ...(wide > 0 ? [`${cell.id}: ${wide} lines over ${MOST.columns} columns`] : []),
      ];
    }),
  ];
}

/** Numbers that decide: a fraction, or a comparison with a number. They stand in data/studies, or are parameters. */
function thresholds(cell: Cell): string[] {
  const file = ts.createSourceFile("cell.ts", joined(cell.source), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const isNumber = (node: ts.Node): boolean => ts.isNumericLiteral(node) && !["0", "1"].includes(node.text);
  const visit = (node: ts.Node): void => {
    if (ts.isNumericLiteral(node) && !Number.isInteger(Number(node.text)))
      found.push(`${cell.id}: the number ${node.text}`);
    if (ts.isBinaryExpression(node) && /^[<>]=?$/.test(node.operatorToken.getText())) {
      if (isNumber(node.left) || isNumber(node.right))
        found.push(`${cell.id}: the threshold ${node.getText()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Words of prose between two code cells; headings, tables, formulas and code are none. The glossary is apart. */
function proseBetween({ cells }: Notebook): string[] {
  const found: string[] = [];
  let words = 0;
  for (const cell of cells) {
    if (isCode(cell)) words = 0;
    else if (!/^#+ .*glossary/im.test(joined(cell.source))) words += wordsOf(joined(cell.source));
    if (words > MOST.words) {
      found.push(`${cell.id}: ${words} words since the last cell of code`);
      words = 0;
    }
  }
  return found;
}

function wordsOf(markdown: string): number {
  return markdown
    .replace(/\$\$[\s\S]*?\$\$|\$[^$\n]*\$|`[^`\n]*`/g, " ")
    .split("\n")
    .filter((line) => !/^\s*(#|\|)/.test(line))
    .join(" ")
    .split(/\s+/)
    .filter((word) => /\p{L}/u.test(word)).length;
}

function sections({ cells }: Notebook): string[] {
  const headings = cells
    .filter((cell) => !isCode(cell))
    .flatMap((cell) => linesOf(cell).filter((line) => /^#+ /.test(line)))
    .map((line) => line.toLowerCase());
  let from = 0;
  return SECTIONS.flatMap((name) => {
    const at = headings.findIndex((heading, i) => i >= from && heading.includes(name));
    if (at < 0) return [`no section "${name}" in its place`];
    from = at;
    return [];
  });
}

function calls(source: string, study: string): string[] {
  const counts = ONCE.flatMap((name) => {
    const count = source.split(new RegExp(`\\b${name}\\(`)).length - 1;
    return count === 1 ? [] : [`${name} is called ${count} times`];
  });
  return source.includes(`loadClaims("${study}")`) ? counts : [...counts, `it does not judge "${study}"`];
}
