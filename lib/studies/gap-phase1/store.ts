/** Measurements kept in files: a run that was stopped goes on where it was. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../replace-file.js";

export interface Store {
  /** The value kept under a name, or else the one made now. It is plain data, as JSON has it. */
  remember<T>(name: string, make: () => Promise<T>): Promise<T>;
}

/** Keeps nothing. */
export const noStore: Store = { remember: (_name, make) => make() };

/** Keeps each result as a JSON file of a folder, which is made where it is missing. A file that is broken is made anew. */
export function folderStore(folder: string): Store {
  mkdirSync(folder, { recursive: true });
  return {
    async remember<T>(name: string, make: () => Promise<T>): Promise<T> {
      const path = join(folder, `${name.replace(/[^A-Za-z0-9.-]+/g, "_")}.json`);
      const kept = existsSync(path) ? parsed(readFileSync(path, "utf8")) : undefined;
      if (kept !== undefined) return kept as T;
      const value = await make();
      replaceFile(path, [JSON.stringify(value)]);
      return value;
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The same store, its names behind a prefix. */
export function prefixed(store: Store, prefix: string): Store {
  return { remember: (name, make) => store.remember(`${prefix}-${name}`, make) };
}
