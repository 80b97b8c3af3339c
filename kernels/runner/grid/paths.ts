import { createHash } from "node:crypto";
import { basename, dirname, extname, join, resolve, sep } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import { displayValue, type Parameters } from "../parameters/values.js";
import { fillPath, isTemplate } from "../path-template.js";
import { describeCombination, varyingNames } from "./combinations.js";

/**
 * Path of each run's notebook: by the template, or, in a folder, under a name made of what sets it apart. The
 * same parameters give the same path again, so that a later call finds what is done.
 * @throws ModalscopeError when two runs would write the same file.
 */
export function outputPaths(output: string, input: string, runs: readonly Parameters[]): string[] {
  const names = varyingNames(runs);
  if (!isTemplate(output) && (output === "-" || extname(output) === ".ipynb")) {
    throw new ModalscopeError(
      `All runs of the grid would write to ${output === "-" ? "standard output" : output}.`,
      "",
      "Name a folder, or a path with {name} for the parameters.",
    );
  }
  const paths = runs.map((run) =>
    isTemplate(output) ? fillPath(output, run) : join(output, fileName(input, run, names)),
  );
  const first = new Map<string, number>();
  for (const [i, path] of paths.entries()) {
    const other = first.get(resolve(path));
    if (other === undefined) {
      first.set(resolve(path), i);
      continue;
    }
    throw new ModalscopeError(
      `Two runs of the grid would write ${path}.`,
      `They are ${describeCombination(runs[other], names)} and ${describeCombination(runs[i], names)}.`,
      `Put all of ${names.map((name) => `{${name}}`).join(" ")} into the path.`,
    );
  }
  return paths;
}

/** The deepest folder that holds all of the paths. */
export function commonFolder(paths: readonly string[]): string {
  const split = paths.map((path) => dirname(resolve(path)).split(sep));
  const shared = split[0].filter((part, i) => split.every((parts) => parts.slice(0, i + 1).at(i) === part));
  return shared.join(sep) || sep;
}

const longestName = 120;

function fileName(input: string, run: Parameters, names: readonly string[]): string {
  const stem = input === "-" ? "notebook" : basename(input, extname(input));
  const parts = names
    .filter((name) => Object.hasOwn(run, name))
    .map((name) => `${name}=${displayValue(run[name])}`);
  const plain = parts.join(",").replace(/"/g, "");
  const safe = plain.replace(/[^\p{L}\p{N}.,=+_-]+/gu, "_");
  if (safe === plain && safe.length <= longestName) return `${[stem, safe].filter(Boolean).join("-")}.ipynb`;
  // What was lost makes no difference between names then.
  const hash = createHash("sha256").update(parts.join(",")).digest("hex").slice(0, 8);
  return `${stem}-${safe.slice(0, longestName)}-${hash}.ipynb`;
}
