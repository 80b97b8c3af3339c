import { ModalscopeError } from "../../../lib/errors.js";
import {
  displayValue,
  type Parameters,
  type ParameterValue,
  parseYamlValue,
  readParametersFile,
} from "../parameters/values.js";

/**
 * Reads the parameters of many runs: a mapping, in which each list is an axis and all else stays the same; or a
 * list of such mappings, one after the other.
 * @param fixed parameters for all runs
 * @throws ModalscopeError when the file says anything else, a combination twice, or a name that is fixed as well.
 */
export function readGrid(path: string, fixed: Parameters = {}): Parameters[] {
  const value = parseYamlValue(readParametersFile(path), path);
  const mappings = Array.isArray(value) ? value : [value];
  const runs = mappings.flatMap((mapping) => {
    if (!isMapping(mapping)) {
      throw new ModalscopeError(
        `${path} is no grid of parameters.`,
        "It holds neither a mapping of names to lists, nor a list of such mappings.",
        "Write `layers: [0, 4, 8]`.",
      );
    }
    return combinations(mapping, path);
  });
  if (runs.length === 0) throw new ModalscopeError(`${path} has no combinations.`, "Its list is empty.");
  rejectTwice(runs, path);
  for (const name of Object.keys(fixed)) {
    if (!runs.some((run) => Object.hasOwn(run, name))) continue;
    throw new ModalscopeError(
      `The parameter "${name}" is in ${path} and is given for all runs, too.`,
      "",
      "Leave it out at one place.",
    );
  }
  return runs.map((run) => ({ ...fixed, ...run }));
}

/** All combinations of a mapping's lists; the last name changes fastest. */
export function combinations(mapping: Parameters, from: string): Parameters[] {
  let runs: [string, ParameterValue][][] = [[]];
  for (const [name, value] of Object.entries(mapping)) {
    const values = Array.isArray(value) ? value : [value];
    if (values.length === 0) {
      throw new ModalscopeError(
        `The parameter "${name}" in ${from} has no values.`,
        "An axis needs at least one.",
        `A parameter that is itself an empty list is written as ${name}: [[]].`,
      );
    }
    runs = runs.flatMap((run) => values.map((one) => [...run, [name, one] as [string, ParameterValue]]));
  }
  return runs.map((run) => Object.fromEntries(run));
}

/** The names whose values differ between the runs, in order. */
export function varyingNames(runs: readonly Parameters[]): string[] {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run)))];
  return names.filter((name) => new Set(runs.map((run) => textOf(run, name))).size > 1);
}

/** A run in one line, for people: what sets it apart from the others. */
export function describeCombination(run: Parameters, names: readonly string[]): string {
  const parts = names
    .filter((name) => Object.hasOwn(run, name))
    .map((name) => `${name}=${displayValue(run[name])}`);
  return parts.join(" ") || "the only run";
}

function textOf(run: Parameters, name: string): string {
  return Object.hasOwn(run, name) ? displayValue(run[name]) : "";
}

function rejectTwice(runs: readonly Parameters[], path: string): void {
  const seen = new Set<string>();
  for (const run of runs) {
    const text = Object.keys(run)
      .sort()
      .map((name) => `${name}=${displayValue(run[name])}`)
      .join(" ");
    if (seen.has(text)) {
      throw new ModalscopeError(`${path} has the combination ${text} twice.`, "", "Remove one.");
    }
    seen.add(text);
  }
}

function isMapping(value: ParameterValue | undefined): value is Parameters {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
