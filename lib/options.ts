/** Checks of options at run time, for callers whose options come from JSON, a variable or plain JavaScript. */
import { didYouMean, ModalscopeError } from "./errors.js";
import type { TaskOptions } from "./progress.js";

/** An option's check: says what the value must be where it is not that. */
export type OptionCheck = (value: unknown) => string | undefined;

/** A check for every option of a type, so that none is forgotten. */
export type OptionChecks<T> = Readonly<Record<keyof Required<T>, OptionCheck>>;

/**
 * Refuses options that a function does not have, and values that are not of an option's kind. An option that is
 * `undefined` is one that is left out.
 * @param where the function, as an error names it
 * @throws ModalscopeError naming the nearest option, or what the value must be
 */
export function checkOptions<T extends object>(where: string, options: T, checks: OptionChecks<T>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ModalscopeError(`The options of ${where} are ${shown(options)}.`, "They must be an object.");
  }
  const known = checks as Readonly<Record<string, OptionCheck>>;
  const all = Object.keys(known);
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(known, name)) {
      const hint = didYouMean(camelCase(name), all) || `Its options are ${all.join(", ")}.`;
      throw new ModalscopeError(`${where} has no option "${name}".`, "", hint);
    }
  }
  const values = options as Readonly<Record<string, unknown>>;
  // What is given first: where it is wrong, that says more than what is missing.
  const isMissing = (name: string): boolean => values[name] === undefined;
  for (const name of [...all.filter((one) => !isMissing(one)), ...all.filter(isMissing)]) {
    const wanted = known[name](values[name]);
    if (wanted === undefined) continue;
    throw new ModalscopeError(
      isMissing(name)
        ? `${where} lacks the option ${name}.`
        : `The option ${name} of ${where.replace(/^A /, "a ")} is ${shown(values[name])}.`,
      `It must be ${wanted}.`,
      typeof values[name] === "string" ? didYouMean(values[name], quoted(wanted)) : "",
    );
  }
}

/** The values that a check names. */
const quoted = (wanted: string): string[] => [...wanted.matchAll(/"([^"]+)"/g)].map(([, value]) => value);

/** Python's spelling of a name as TypeScript's: max_new_tokens as maxNewTokens. */
function camelCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

const LONGEST = 60;

function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "number" || value === undefined || value === null) return String(value);
  if (typeof value === "string") return JSON.stringify(value.slice(0, LONGEST));
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  return typeof value === "object" ? "an object" : String(value);
}

/** A value that holds what is said of it, or none. */
export const optional =
  (wanted: string, holds: (value: unknown) => boolean): OptionCheck =>
  (value) =>
    value === undefined || holds(value) ? undefined : wanted;

/** The check of an option that has no default. */
export const required =
  (check: OptionCheck, wanted: string): OptionCheck =>
  (value) =>
    value === undefined ? wanted : check(value);

/** Any value: it is checked where it is used. */
export const anything: OptionCheck = () => undefined;
export const flag: OptionCheck = optional("true or false", (v) => typeof v === "boolean");
export const text: OptionCheck = optional("a string", (v) => typeof v === "string");
export const callback: OptionCheck = optional("a function", (v) => typeof v === "function");
export const list: OptionCheck = optional("a list", Array.isArray);
export const record: OptionCheck = optional(
  "an object",
  (v) => typeof v === "object" && v !== null && !Array.isArray(v),
);
/** By its members: a signal may come from another realm. */
export const abortSignal: OptionCheck = optional(
  "an AbortSignal",
  (v) => typeof v === "object" && v !== null && "aborted" in v && "throwIfAborted" in v,
);
export const tensorLike: OptionCheck = optional("a tensor { data, shape }", isTensor);

export const oneOf = (...values: readonly (string | boolean)[]): OptionCheck =>
  optional(values.map((v) => JSON.stringify(v)).join(" or "), (v) => values.includes(v as string | boolean));

/** An integer from `least` on. */
export const integer = (least: number = Number.NEGATIVE_INFINITY): OptionCheck =>
  optional(
    least === Number.NEGATIVE_INFINITY ? "an integer" : `an integer from ${least} on`,
    (v) => Number.isInteger(v) && (v as number) >= least,
  );

/** A finite number from `least` to `most`. */
export const number = (least: number, most: number = Number.POSITIVE_INFINITY): OptionCheck =>
  optional(
    most === Number.POSITIVE_INFINITY ? `a number from ${least} on` : `a number from ${least} to ${most}`,
    (v) => Number.isFinite(v) && (v as number) >= least && (v as number) <= most,
  );

/** Any number; its range is checked where it is used. */
export const numeric: OptionCheck = optional("a number", (v) => typeof v === "number" && !Number.isNaN(v));

export const integers: OptionCheck = optional(
  "a list of integers",
  (v) => Array.isArray(v) && v.every(Number.isInteger),
);

export const texts: OptionCheck = optional(
  "a list of strings",
  (v) => Array.isArray(v) && v.every((one) => typeof one === "string"),
);

/** Two finite numbers, such as the ends of an axis. */
export const pair: OptionCheck = optional(
  "a list of two numbers",
  (v) => Array.isArray(v) && v.length === 2 && v.every(Number.isFinite),
);

/** Names of rows, columns or places. */
export const labels: OptionCheck = optional(
  "a list of strings or numbers",
  (v) => Array.isArray(v) && v.every((one) => typeof one === "string" || Number.isFinite(one)),
);

const isSequence = (v: unknown): v is ArrayLike<unknown> =>
  Array.isArray(v) || (ArrayBuffer.isView(v) && "length" in v);

/** Numbers in a list or a typed array. */
export const sequence: OptionCheck = optional(
  "a list of numbers",
  (v) => isSequence(v) && Array.prototype.every.call(v, (one) => typeof one === "number"),
);

/** A choice for each of what is listed. */
export const flags: OptionCheck = optional(
  "a list of true and false",
  (v) => Array.isArray(v) && v.every((one) => typeof one === "boolean"),
);

/** The cluster, the group or the like of each sample. */
export const groupKeys: OptionCheck = optional(
  "a list of numbers or strings, one for each",
  (v) => isSequence(v) && Array.prototype.every.call(v, (one) => ["number", "string"].includes(typeof one)),
);

/** A list of at least `least` values, each of which passes. */
export const listOf = (each: OptionCheck, least = 0): OptionCheck =>
  optional(
    `a list${least > 0 ? ` of at least ${least}` : ""}, each ${each(null) ?? "a value"}`,
    (v) =>
      Array.isArray(v) && v.length >= least && v.every((one) => one !== undefined && each(one) === undefined),
  );

/** A list with something in it: what goes over the values of an empty one gives nothing, and nobody knows why. */
export const some =
  (check: OptionCheck): OptionCheck =>
  (value) =>
    check(value) ??
    (Array.isArray(value) && value.length === 0 ? `${check(null)} that is not empty` : undefined);

/**
 * The same for a list that is an argument of its own.
 * @throws ModalscopeError for what is no list, and for an empty one
 */
export function checkSome(where: string, what: string, values: unknown): void {
  if (Array.isArray(values) && values.length > 0) return;
  throw new ModalscopeError(
    `${where} is given ${shown(values)} for its ${what}.`,
    `It needs a list of ${what} that is not empty.`,
  );
}

/** A value that passes one of two checks. */
export const either =
  (one: OptionCheck, other: OptionCheck): OptionCheck =>
  (value) => {
    const wanted = [one(value), other(value)];
    return wanted.includes(undefined) ? undefined : wanted.join(", or ");
  };

/** Positions in a batch: "all", "last", columns for all rows, or a list of columns for each row. */
export const positions: OptionCheck = optional(
  '"all", "last", a list of at least one integer, or a list for each row',
  (v) =>
    v === "all" ||
    v === "last" ||
    (Array.isArray(v) &&
      v.length > 0 &&
      (v.every(Number.isInteger) || v.every((row) => Array.isArray(row) && row.every(Number.isInteger)))),
);

/**
 * Positions that a function gave: where it gives nothing, that is a name that the batch has not, and not all tokens.
 * @throws ModalscopeError for what is no positions
 */
export function checkedPositions<T>(what: string, given: T): T {
  const wanted = required(positions, '"all", "last", or a list of integers')(given);
  if (wanted === undefined) return given;
  throw new ModalscopeError(
    `The function for the ${what} gave ${shown(given)}.`,
    `It must give ${wanted}.`,
    "A batch names batch.visual, batch.question, batch.answer, batch.passage and batch.tokenPositions.",
  );
}

/** Checks of what every long call takes. */
export const TASK_OPTIONS: OptionChecks<TaskOptions> = { onProgress: callback, signal: abortSignal };

function isTensor(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { data, shape } = value as { data?: unknown; shape?: unknown };
  return ArrayBuffer.isView(data) && Array.isArray(shape);
}
