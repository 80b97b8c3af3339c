/** Parameters as text, from the command line or a file, and the values that they mean. */
import { readFileSync } from "node:fs";
import { ModalscopeError } from "../../../lib/errors.js";
import { describeFileError } from "../../../lib/file-errors.js";
import { loadYaml } from "../../../lib/load-yaml.js";

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

/** Reads a value of `-p`: a number, true, false, null (Papermill's spellings count too), else text. */
export function parseValue(text: string): ParameterValue {
  if (text === "true" || text === "True") return true;
  if (text === "false" || text === "False") return false;
  if (text === "null" || text === "None") return null;
  if (/^[+-]?\d+$/.test(text)) return wholeNumber(text);
  const isNumeral = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  // One beyond the largest number stays text: an infinity is YAML's `.inf`.
  return isNumeral && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** A double where it holds the number exactly. */
function wholeNumber(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/**
 * Reads YAML 1.2, and so JSON.
 * @param from what the text is called in errors
 * @throws ModalscopeError when it cannot be read.
 */
export function parseYamlValue(yaml: string, from: string): ParameterValue | undefined {
  try {
    const document = loadYaml().parseDocument(yaml, { intAsBigInt: true });
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    const value: unknown = document.toJS();
    return value === undefined || value === null ? undefined : plainValue(value, []);
  } catch (error) {
    throw new ModalscopeError(`Cannot read the parameters in ${from}.`, (error as Error).message, "", {
      cause: error,
    });
  }
}

/** @throws ModalscopeError when the text is no YAML mapping. */
export function parseParameters(yaml: string, from: string): Parameters {
  const value = parseYamlValue(yaml, from) ?? null;
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ModalscopeError(
      `The parameters in ${from} are no mapping of names to values.`,
      "",
      "Write `name: value`.",
    );
  }
  return value;
}

/** @throws ModalscopeError when the file cannot be read. */
export function readParameters(path: string): Parameters {
  return parseParameters(readParametersFile(path), path);
}

/** @throws ModalscopeError when the file cannot be read. */
export function readParametersFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ModalscopeError(`Cannot read the parameters file ${path}.`, describeFileError(error), "", {
      cause: error,
    });
  }
}

/**
 * A value of YAML as JSON has it: whole numbers that a double holds exactly become numbers, dates text.
 * @param around the lists and mappings that it is in
 */
function plainValue(value: unknown, around: readonly object[]): ParameterValue {
  if (typeof value === "bigint") return wholeNumber(String(value));
  if (value instanceof Date) return value.toISOString();
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value !== "object") throw new Error(`A ${typeof value} cannot be a parameter.`);
  if (around.includes(value)) throw new Error("A list or mapping holds itself.");
  const within = [...around, value];
  if (Array.isArray(value)) return value.map((one: unknown) => plainValue(one, within));
  if (Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plainValue(one, within)]));
  throw new Error(
    `A value of YAML's type for ${value.constructor.name} cannot be a parameter: write a list, a mapping or text.`,
  );
}

/** JSON has no big whole numbers, no NaN and no infinity: the record of a run holds those as text. */
export function jsonParameters(parameters: Parameters): Parameters {
  return JSON.parse(
    JSON.stringify(parameters, (_, value: unknown) =>
      typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))
        ? String(value)
        : value,
    ),
  ) as Parameters;
}

/** A value on one line, for people. */
export function displayValue(value: ParameterValue): string {
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
}
