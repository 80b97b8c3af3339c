/** Advice on common mistakes in cells: habits from IPython, JSX, and limits of the checker. */

/** "The containing function or module body is too large for control flow analysis." */
const tooLarge = 2563;

/** "Unable to resolve signature of … decorator when called as an expression." */
const wrongDecorator = new Set([1238, 1239, 1240, 1241]);

interface Habit {
  pattern: RegExp;
  advice(match: RegExpExecArray): string;
}

const run = (command: string): string =>
  `To run a program: import { execSync } from "node:child_process"; execSync(${JSON.stringify(command)}, { stdio: "inherit" })`;

/** By the line that the mistake is in. */
const habits: readonly Habit[] = [
  {
    pattern: /^\s*%%?(time|timeit)\b/,
    advice: () =>
      "A cell is TypeScript, without IPython's magics. To measure: console.time(); …; console.timeEnd()",
  },
  {
    pattern: /^\s*%cd\s+(\S+)/,
    advice: ([, folder]) =>
      `A cell is TypeScript, without IPython's magics. To change the folder: process.chdir(${JSON.stringify(folder)})`,
  },
  {
    pattern: /^\s*(?:%pip|%conda|!pip3?)\b/,
    advice: () => "A cell is TypeScript: install packages with npm, in a terminal in the notebook's project.",
  },
  {
    pattern: /^\s*%%?(?:bash|sh|script|system|sx)\b\s*(.*)$/,
    advice: ([, command]) => `A cell is TypeScript, without IPython's magics. ${run(command.trim() || "ls")}`,
  },
  {
    pattern: /^\s*%%?[a-z]/i,
    advice: () => "A cell is TypeScript, without IPython's magics.",
  },
  {
    pattern: /^\s*!\s*([a-z][\w./-]*(?:\s.*)?)$/i,
    advice: ([, command]) => `A cell is TypeScript, without IPython's "!". ${run(command.trim())}`,
  },
  {
    pattern: /^\s*(?:\?\??\s*[\w$.]+|[\w$.]+\s*\?\??)\s*$/,
    advice: () =>
      'A cell is TypeScript, without IPython\'s "?". For the documentation of a name: Shift+Tab after it.',
  },
];

/** A closing tag, or an element that closes itself. */
const jsx = /<\/[A-Za-z][\w.]*\s*>|<[A-Za-z][\w.]*(?:\s[^<>]*)?\/>|<>/;

/** @param line the text of the line that the mistake is in. */
export function adviceOn(
  problem: { code: number | undefined; isSyntax: boolean },
  line: string,
  code: string,
): string | undefined {
  if (problem.code === tooLarge)
    return "Split the cell, or write // @ts-nocheck in its first line: then it runs without being checked.";
  if (problem.code !== undefined && wrongDecorator.has(problem.code))
    return "Cells take TypeScript's experimental decorators, as tslab's do: (target), of a class; (target, key, descriptor), of a member.";
  if (problem.code === cannotFindName && !/^\s*!/.test(line)) return undefined;
  for (const { pattern, advice } of habits) {
    const match = pattern.exec(line);
    if (match !== null && (problem.isSyntax || problem.code === cannotFindName)) return advice(match);
  }
  if (problem.isSyntax && jsx.test(code))
    return "Cells take no JSX. Put it into a .tsx file near the notebook and import that, or call React.createElement.";
  return undefined;
}

const cannotFindName = 2304;
