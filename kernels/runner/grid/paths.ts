import { createHash } from "node:crypto";
import { dirname, extname, resolve, sep } from "node:path";
import { ModalscopeError } from "../../../lib/errors.js";
import { baseName, isRemote, joinPath } from "../../../lib/storage/index.js";
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
    isTemplate(output) ? fillPath(output, run) : joinPath(output, fileName(input, run, names)),
  );
  const first = new Map<string, number>();
  for (const [i, path] of paths.entries()) {
    const place = isRemote(path) ? path : resolve(path);
    const other = first.get(place);
    if (other === undefined) {
      first.set(place, i);
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

/**
 * The deepest folder that holds all of the paths.
 * @throws ModalscopeError when they lie in several buckets or on several servers
 */
export function commonFolder(paths: readonly string[]): string {
  if (paths.some(isRemote)) return commonUrl(paths);
  const split = paths.map((path) => dirname(resolve(path)).split(sep));
  const shared = split[0].filter((part, i) => split.every((parts) => parts.slice(0, i + 1).at(i) === part));
  return shared.join(sep) || sep;
}

function commonUrl(paths: readonly string[]): string {
  const split = paths.map((path) => path.split("/").slice(0, -1));
  const shared = split[0].filter((part, i) => split.every((parts) => parts.slice(0, i + 1).at(i) === part));
  if (shared.length >= 3 && shared.join("/").startsWith(split[0].slice(0, 3).join("/")))
    return shared.join("/");
  throw new ModalscopeError(
    "The runs of the grid have no folder in common.",
    "Their outputs lie in several buckets or on several servers.",
    "Say where the table of the runs goes: --summary path.",
  );
}

const longestName = 120;

function fileName(input: string, run: Parameters, names: readonly string[]): string {
  const stem = input === "-" ? "notebook" : baseName(input).replace(/\.[^.]+$/, "");
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
