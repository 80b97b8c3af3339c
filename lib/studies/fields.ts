/** Typed, bounded access to an object of parsed JSON. Only own fields are seen: "constructor" is no field of {}. */
import { didYouMean, ModalscopeError } from "../errors.js";

/** Longest text of a file, in characters. */
const LONGEST = 2000;

/** The fields of one object and its place in the file. */
export interface Fields {
  readonly at: string;
  has(key: string): boolean;
  get(key: string): unknown;
  text(key: string): string;
  texts(key: string, most: number): string[];
  /** A finite number of at most this size. */
  number(key: string, most: number): number;
  /** False where the field is left out. */
  flag(key: string): boolean;
  oneOf<const T extends string>(key: string, known: readonly T[]): T;
  /** The fields of an object inside this one. */
  entries(key: string, most: number): [string, unknown][];
  /** @throws when there is a field besides these. */
  only(known: readonly string[]): void;
}

/** @throws ModalscopeError when `value` is not an object. Its methods throw for a missing field or one of another type. */
export function fieldsOf(value: unknown, at: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ModalscopeError(`${at} is ${kindOf(value)}.`, "An object is wanted here.");
  const has = (key: string): boolean => Object.hasOwn(value, key);
  const get = (key: string): unknown => {
    if (!has(key)) throw new ModalscopeError(`${at} has no "${key}".`);
    return (value as Readonly<Record<string, unknown>>)[key];
  };
  return {
    at,
    has,
    get,
    text: (key) => textOf(get(key), `${at}.${key}`),
    texts: (key, most) =>
      listOf(get(key), `${at}.${key}`, most).map((entry, i) => textOf(entry, `${at}.${key}[${i}]`)),
    number(key, most) {
      const found = get(key);
      if (typeof found !== "number" || !(Math.abs(found) <= most))
        throw new ModalscopeError(
          `${at}.${key} is ${typeof found === "number" ? found : kindOf(found)}.`,
          `A number from ${-most} to ${most} is wanted here.`,
        );
      return found;
    },
    flag(key) {
      if (!has(key)) return false;
      const found = get(key);
      if (typeof found !== "boolean")
        throw new ModalscopeError(`${at}.${key} is ${kindOf(found)}.`, "true or false is wanted here.");
      return found;
    },
    oneOf(key, known) {
      const found = textOf(get(key), `${at}.${key}`);
      const match = known.find((entry) => entry === found);
      if (match === undefined)
        throw new ModalscopeError(
          `${at}.${key} is ${JSON.stringify(found)}.`,
          `It is one of ${known.join(", ")}.`,
          didYouMean(found, known),
        );
      return match;
    },
    entries(key, most) {
      const inner = get(key);
      fieldsOf(inner, `${at}.${key}`);
      const found = Object.entries(inner as object);
      if (found.length > most)
        throw new ModalscopeError(`${at}.${key} has ${found.length} fields.`, `There are at most ${most}.`);
      return found;
    },
    only(known) {
      const odd = Object.keys(value).find((key) => !known.includes(key));
      if (odd !== undefined)
        throw new ModalscopeError(
          `${at} has an unknown field ${JSON.stringify(odd.slice(0, 40))}.`,
          `Its fields are ${known.join(", ")}.`,
          didYouMean(odd.slice(0, 40), known),
        );
    },
  };
}

/** @throws ModalscopeError when `value` is not a list of at most `most` entries. */
export function listOf(value: unknown, at: string, most: number): readonly unknown[] {
  if (!Array.isArray(value))
    throw new ModalscopeError(`${at} is ${kindOf(value)}.`, "A list is wanted here.");
  if (value.length > most)
    throw new ModalscopeError(`${at} has ${value.length} entries.`, `There are at most ${most}.`);
  return value;
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== "string")
    throw new ModalscopeError(`${at} is ${kindOf(value)}.`, "A text is wanted here.");
  if (value.trim() === "") throw new ModalscopeError(`${at} is empty.`);
  if (value.length > LONGEST)
    throw new ModalscopeError(`${at} has ${value.length} characters.`, `There are at most ${LONGEST}.`);
  return value;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "missing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
