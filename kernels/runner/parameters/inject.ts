import { didYouMean, ModalscopeError } from "../../../lib/errors.js";
import { type Cell, hasTag, joined, type Notebook, newCell } from "../../../lib/notebook/index.js";
import { followersOf } from "./follow.js";
import { forgetInjected, injectedTag } from "./injected.js";
import { pythonTranslator } from "./python.js";
import type { DeclaredParameter, Translator, WrongParameter } from "./translator.js";
import { typescriptTranslator } from "./typescript.js";
import { displayValue, type Parameters, type ParameterValue, parseParameters } from "./values.js";

const parametersTag = "parameters";

export interface InjectOptions {
  /** The notebook's folder, where the types that its `parameters` cell imports are looked for. */
  folder?: string;
  /** The language of the kernel that will run it; the notebook's own when left out. */
  language?: string;
}

/**
 * Puts the values into the notebook, in a cell after the one tagged `parameters`, which declares them anew, and
 * after them the defaults that are computed from them. A cell that an earlier run had injected goes.
 * @returns warnings: what the values do not reach
 * @throws ModalscopeError when a name is not declared there, or a value is not of its type.
 */
export function injectParameters(
  notebook: Notebook,
  values: Parameters,
  { folder = process.cwd(), language = languageOf(notebook) }: InjectOptions = {},
): string[] {
  forgetInjected(notebook);
  const names = Object.keys(values);
  if (names.length === 0) return [];
  const translator = translatorOf(language);
  if (translator === undefined) {
    throw new ModalscopeError(
      `Parameters cannot be given to a ${language} notebook.`,
      "They can be written in TypeScript and in Python.",
      "Run it without parameters, or with papermill.",
    );
  }
  const at = notebook.cells.findIndex(isParametersCell);
  if (at === -1) {
    throw new ModalscopeError(
      `The notebook takes no parameters, but was given ${names.join(", ")}.`,
      `None of its cells is tagged "${parametersTag}".`,
      "Tag the cell that declares the defaults.",
    );
  }
  const source = joined(notebook.cells[at].source);
  const declared = translator.declared(source);
  const others = notebook.cells.slice(at + 1).filter(isParametersCell);
  refuseLaterCells(names, others, translator);
  const given = names.map((name) => ({ declared: findDeclared(name, declared), value: values[name] }));
  const [wrong] = translator.check(source, given, folder);
  if (wrong !== undefined) throw wrongType(wrong);
  const { again, kept } = followersOf(translator.statements(source), names);
  const lines = [`${translator.comment} Parameters`, ...given.map(translator.assign)];
  if (again.length > 0) lines.push(`${translator.comment} Computed from them`, ...again);
  notebook.cells.splice(at + 1, 0, newCell("code", lines.join("\n"), [injectedTag]));
  return [
    ...kept.map(({ reads, code }) => keepsDefault(reads, code)),
    ...(others.length === 0 ? [] : [severalCells(others.length + 1)]),
  ];
}

/** A value that a later cell sets back to its default would have no effect. */
function refuseLaterCells(names: readonly string[], cells: readonly Cell[], translator: Translator): void {
  const later = cells.flatMap((cell) => translator.declared(joined(cell.source)).map(({ name }) => name));
  const lost = names.find((name) => later.includes(name));
  if (lost === undefined) return;
  throw new ModalscopeError(
    `The parameter "${lost}" cannot be set.`,
    `It is declared in a second cell tagged "${parametersTag}"; values are given to the first one, and come before it.`,
    "Declare all parameters in one cell, and tag no other one.",
  );
}

function severalCells(count: number): string {
  return `${count} cells are tagged "${parametersTag}"; only the first one takes values.`;
}

function keepsDefault(names: readonly string[], code: string): string {
  const [line] = code.trim().split("\n", 1);
  const shown = line.length > longestLine ? `${line.slice(0, longestLine)}…` : line;
  return (
    `\`${shown}\` in the cell tagged "${parametersTag}" has used the default of ${names.join(", ")}, and is not run ` +
    "again with the value that is given. Compute it in a later cell."
  );
}

const longestLine = 80;

/**
 * The parameters that a notebook takes, in order; none when no cell of it is tagged `parameters`, or its language
 * is not known.
 */
export function notebookParameters(notebook: Notebook): DeclaredParameter[] {
  const cell = notebook.cells.find(isParametersCell);
  if (cell === undefined) return [];
  const translator = translatorOf(languageOf(notebook));
  return translator?.declared(joined(cell.source)) ?? [];
}

/** Whether a notebook has a cell for its parameters at all. */
export function takesParameters(notebook: Notebook): boolean {
  return notebook.cells.some(isParametersCell);
}

function isParametersCell(cell: Cell): boolean {
  return cell.cell_type === "code" && hasTag(cell, parametersTag);
}

/** TypeScript where the notebook names no language: it is this package's own. */
function languageOf({ metadata }: Notebook): string {
  const named = metadata.kernelspec?.language ?? metadata.language_info?.name;
  if (typeof named === "string") return named;
  return /^python/i.test(metadata.kernelspec?.name ?? "") ? "python" : "typescript";
}

function translatorOf(language: string): Translator | undefined {
  if (/^(typescript|javascript)$/i.test(language)) return typescriptTranslator;
  return /^i?python/i.test(language) ? pythonTranslator : undefined;
}

function findDeclared(name: string, declared: readonly DeclaredParameter[]): DeclaredParameter {
  const found = declared.find((parameter) => parameter.name === name);
  if (found !== undefined) return found;
  const known = declared.map((parameter) => parameter.name);
  throw new ModalscopeError(
    `The notebook has no parameter "${name}".`,
    `It has ${known.length === 0 ? "none" : known.join(", ")}.`,
    didYouMean(name, known),
  );
}

function wrongType({ given, expected, why }: WrongParameter): ModalscopeError {
  const { declared, value } = given;
  return new ModalscopeError(
    `The parameter "${declared.name}" must be ${expected}, and was given ${displayValue(value)}.`,
    why,
    howToGive(declared.name, value, expected),
  );
}

/** Advice for the command line on a value that `-p` has read as another kind of value. */
function howToGive(name: string, value: ParameterValue, expected: string): string {
  if (/^(string|str)$/.test(expected) && typeof value !== "object")
    return `Give it as text, as it is written: -r ${name} ${String(value)}.`;
  if (/\bDate\b/.test(expected))
    return "Let the notebook take text, and make the Date of it in a later cell.";
  if (typeof value !== "string") return "";
  if (/^\s*[[{]/.test(value)) {
    const yaml = asYaml(name, value.trim());
    return yaml === undefined
      ? `It is no list or object that can be read. Give one with -y '{${name}: [1, 2]}' or -y '{${name}: {key: 1}}'.`
      : `Give lists and objects with -y '${yaml.replaceAll("'", "'\\''")}'.`;
  }
  const number = /^\s*([+-]?)(nan|inf|infinity)\s*$/i.exec(value);
  if (number === null) return "";
  const yaml = /nan/i.test(number[2]) ? ".nan" : `${number[1]}.inf`;
  return `Give it with -y '{${name}: ${yaml}}'.`;
}

/** A list or an object that was given as text, as YAML; undefined where it is neither. */
function asYaml(name: string, text: string): string | undefined {
  // YAML takes {a:1} for a key "a:1" without a value.
  for (const written of [text, text.replaceAll(":", ": ")]) {
    const yaml = `{${name}: ${written}}`;
    try {
      const value = parseParameters(yaml, "-y")[name];
      if (typeof value === "object" && value !== null && !JSON.stringify(value).includes(":null"))
        return yaml;
    } catch (error) {
      if (!(error instanceof ModalscopeError)) throw error;
    }
  }
  return undefined;
}
