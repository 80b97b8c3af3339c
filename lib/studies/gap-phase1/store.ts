/** Measurements kept in files: a run that was stopped goes on where it was. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkOptions, record, text } from "../../options.js";
import { replaceFile } from "../../replace-file.js";

/**
 * A share of the points of every sweep, for runs that are shared out among jobs: those whose number leaves `index` when
 * divided by `count`, from 0 on. "all" puts the shares of earlier runs together and measures none.
 */
export interface Share {
  readonly index: number | "all";
  readonly count: number;
}

export interface Store {
  /** The share to measure; everything where there is none. */
  readonly share?: Share;
  /** What the results were measured with: shares of other settings are not put together. */
  readonly settings?: string;
  /** Put before every name: the checkpoint and the data seed. */
  readonly prefix?: string;
  /** Whether a value is kept under a name. */
  has(name: string): boolean;
  /** The value kept under a name, or else the one made now. It is plain data, as JSON has it. */
  remember<T>(name: string, make: () => Promise<T>): Promise<T>;
}

/** Keeps nothing. */
export const noStore: Store = { has: () => false, remember: (_name, make) => make() };

/** Keeps each result as a JSON file of a folder, which is made where it is missing. A file that is broken is made anew. */
export function folderStore(folder: string, options: Pick<Store, "share" | "settings"> = {}): Store {
  checkOptions("folderStore", options, { share: record, settings: text });
  mkdirSync(folder, { recursive: true });
  const pathOf = (name: string): string => join(folder, `${name.replace(/[^A-Za-z0-9.-]+/g, "_")}.json`);
  return {
    ...options,
    has: (name) => existsSync(pathOf(name)),
    async remember<T>(name: string, make: () => Promise<T>): Promise<T> {
      const path = pathOf(name);
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
  const full = (name: string): string => `${prefix}-${name}`;
  return {
    ...store,
    prefix: `${store.prefix ?? ""}${prefix}-`,
    has: (name) => store.has(full(name)),
    remember: (name, make) => store.remember(full(name), make),
  };
}

/** The same store, for measurements that are not shared out. */
export function unshared(store: Store): Store {
  return { ...store, share: undefined };
}
