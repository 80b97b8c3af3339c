import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ModalscopeError } from "../../errors.js";
import { integer, type OptionChecks, text } from "../../options.js";

/** Options of every loader. */
export interface DatasetOptions {
  /** The publisher's name of the split; each loader says which it takes unless given. */
  readonly split?: string;
  /** Number of tasks to read, from `start` on; all when left out. */
  readonly limit?: number;
  /** Tasks left out at the beginning; 0 when left out. */
  readonly start?: number;
}

/** Checks of which tasks to read. */
export const RANGE_OPTIONS: OptionChecks<Omit<DatasetOptions, "split">> = {
  limit: integer(0),
  start: integer(0),
};

/** Checks of what every loader takes. */
export const DATASET_OPTIONS: OptionChecks<DatasetOptions> = { ...RANGE_OPTIONS, split: text };

/** The rows that the options ask for. */
export function range<T>(
  rows: readonly T[],
  { start = 0, limit = Number.POSITIVE_INFINITY }: DatasetOptions,
): T[] {
  return rows.slice(start, start + limit);
}

/**
 * The first of some paths that is there.
 * @throws ModalscopeError that says what is expected where
 */
export function findFile(dataset: string, root: string, candidates: readonly string[], from: string): string {
  const found = candidates.map((path) => join(root, path)).find((path) => existsSync(path));
  if (found) return found;
  const [first, ...others] = candidates;
  const or = others.length === 0 ? "" : ` (or ${others.join(", ")})`;
  throw new ModalscopeError(
    `No ${dataset} data in "${root}": there is no ${first}${or}.`,
    existsSync(root) ? holds(root) : "There is no such folder.",
    `Give the folder of the data set as its publisher ships it: ${from}`,
  );
}

function holds(root: string): string {
  if (!statSync(root).isDirectory()) return "It is a file.";
  const names = readdirSync(root);
  return names.length === 0
    ? "The folder is empty."
    : `It holds ${names.slice(0, 8).join(", ")}${names.length > 8 ? " …" : ""}.`;
}

/** @throws ModalscopeError when the file is not JSON */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ModalscopeError(
      `"${path}" cannot be read as JSON.`,
      (cause as Error).message,
      "Unpack it again: a broken download looks like this.",
      { cause },
    );
  }
}

/** A record of a data set; its fields are checked as they are read. */
export class Row {
  constructor(
    readonly fields: Readonly<Record<string, unknown>>,
    private readonly where: string,
  ) {}

  text(name: string): string {
    const value = this.fields[name];
    if (typeof value === "number" || typeof value === "bigint") return String(value);
    return typeof value === "string" ? value : this.wrong(name, "text");
  }

  /** A list of texts; empty when the field is absent, as answers are in test splits. */
  texts(name: string): string[] {
    const value = this.fields[name] ?? [];
    if (!Array.isArray(value)) return this.wrong(name, "a list of texts");
    return value.map((item) => String(item));
  }

  /** A record within this one. */
  inner(name: string): Row {
    const value = this.fields[name];
    if (typeof value !== "object" || value === null) return this.wrong(name, "a record");
    return new Row(value as Record<string, unknown>, `${this.where}, "${name}"`);
  }

  has(name: string): boolean {
    return this.fields[name] !== undefined && this.fields[name] !== null;
  }

  private wrong(name: string, kind: string): never {
    throw new ModalscopeError(
      `${this.where} has no "${name}" that is ${kind}.`,
      `Its fields are ${Object.keys(this.fields).join(", ") || "none"}.`,
      "This is not the format that the data set is published in.",
    );
  }
}

/** The entries of a list in JSON, or under a name of a JSON object. */
export function rowsIn(path: string, under?: string): Row[] {
  const value = readJson(path);
  const list = under === undefined ? value : (value as Record<string, unknown> | null)?.[under];
  if (!Array.isArray(list)) {
    throw new ModalscopeError(
      `"${path}" holds no list${under ? ` "${under}"` : ""}.`,
      "This is not the format that the data set is published in.",
    );
  }
  return list.map((entry, i) => new Row(entry as Record<string, unknown>, `"${path}", entry ${i + 1}`));
}
