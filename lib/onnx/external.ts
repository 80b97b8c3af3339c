import { realpathSync, statSync } from "node:fs";
import { isAbsolute, posix, relative, resolve, sep, win32 } from "node:path";
import { ModalscopeError } from "../errors.js";
import type { Origin } from "./source.js";
import type { WeightDef } from "./tensors.js";

/** A side file, and how the runtime is to call it: its path from the origin's root. */
interface SideFile {
  readonly size: number;
  readonly fromRoot: string;
}

/**
 * Checks every tensor that lies in a side file, and gives each location's path from the origin's root.
 * @throws ModalscopeError for a file that is missing, too short, or outside of the model's folder
 */
export function locateExternal(origin: Origin, tensors: readonly WeightDef[]): Map<string, string> {
  const files = new Map<string, SideFile>();
  for (const { name, storage } of tensors) {
    if (storage.kind !== "external") continue;
    const { location, offset, length } = storage;
    const file = files.get(location) ?? sideFile(origin, location);
    files.set(location, file);
    if (offset + length > file.size) {
      throw new ModalscopeError(
        `The weights' file "${location}" of ${origin.label} is too short.`,
        `The weight "${name}" lies at bytes ${offset} to ${offset + length}, and the file has ${file.size}.`,
        "Get the file again, from where the model came from.",
      );
    }
  }
  return new Map([...files].map(([location, file]) => [location, file.fromRoot]));
}

function sideFile(origin: Origin, location: string): SideFile {
  const { root } = origin;
  if (root === undefined) {
    throw new ModalscopeError(
      `${origin.label} keeps weights in a side file, "${location}".`,
      "A model in memory has no folder to look for it in.",
      "Give its folder: openOnnx(bytes, { folder }).",
    );
  }
  // Either system's absolute paths are refused on both: no exporter writes them for good.
  const refused = posix.isAbsolute(location) || win32.isAbsolute(location) || location.includes("\0");
  const candidates = refused ? [] : origin.folders.map((folder) => [folder, resolve(folder, location)]);
  if (refused || candidates.some(([folder, path]) => !inside(resolve(folder), path)))
    throw outside(origin, location);
  for (const [, path] of candidates) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile()) {
      const real = realpathSync(path);
      if (!inside(root, real)) throw outside(origin, location);
      return { size: stat.size, fromRoot: relative(root, real).split(sep).join("/") };
    }
  }
  throw new ModalscopeError(
    `The weights' file "${location}" of ${origin.label} is missing.`,
    `It is not in ${origin.folders.join(" nor in ")}.`,
    "Put it beside the model file, under the name that the model gives.",
  );
}

function inside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function outside(origin: Origin, location: string): ModalscopeError {
  return new ModalscopeError(
    `${origin.label} points to weights outside of its folder: "${location}".`,
    "A model file may only name side files beside it or below.",
    "If you trust the model, put the file into its folder and change the location in the model.",
  );
}
