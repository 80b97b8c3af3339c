import { ModalscopeError } from "../../../errors.js";
import type { GgufHeader, GgufValue } from "./header.js";

/** Checked access to a GGUF file's metadata. */
export interface Fields {
  readonly path: string;
  /** A positive whole number. Arrays with one value per layer are taken where all are equal. */
  count(key: string): number;
  optionalCount(key: string): number | undefined;
  /** A finite number. */
  number(key: string): number;
  optionalNumber(key: string): number | undefined;
  optionalText(key: string): string | undefined;
  optionalFlag(key: string): boolean | undefined;
  /** A token's id: a whole number from 0 on. */
  optionalId(key: string): number | undefined;
  /** The array under `key`, whatever its elements. */
  optionalList(key: string): readonly unknown[] | undefined;
}

export function fieldsOf(path: string, header: GgufHeader): Fields {
  const { metadata } = header;
  const wrong = (key: string, wanted: string): ModalscopeError =>
    new ModalscopeError(
      `${path}: the metadata "${key}" is ${describe(metadata.get(key))},`,
      `and should be ${wanted}.`,
      "Download or convert the file again.",
    );
  const get = <T>(key: string, wanted: string, is: (value: unknown) => value is T): T | undefined => {
    const value = uniform(metadata.get(key), wanted);
    if (value === undefined) return undefined;
    if (!is(value)) throw wrong(key, wanted);
    return value;
  };
  const need = <T>(key: string, value: T | undefined): T => {
    if (value !== undefined) return value;
    throw new ModalscopeError(
      `${path} lacks the metadata "${key}",`,
      "without which the model cannot be rebuilt.",
      "Download or convert the file again.",
    );
  };
  const fields: Fields = {
    path,
    count: (key) => need(key, fields.optionalCount(key)),
    optionalCount: (key) => get(key, "a positive whole number", isCount),
    number: (key) => need(key, fields.optionalNumber(key)),
    optionalNumber: (key) => get(key, "a finite number", isFiniteNumber),
    optionalText: (key) => get(key, "text", isText),
    optionalFlag: (key) => get(key, "true or false", isFlag),
    optionalId: (key) => get(key, "a token's id", isId),
    optionalList: (key) => get(key, list, isList),
  };
  return fields;
}

const list = "a list";

/** A list of equal values stands for the value, except where a list is wanted. */
function uniform(value: GgufValue | undefined, wanted: string): unknown {
  if (wanted === list || !isList(value) || value.length === 0) return value;
  return value.every((v) => v === value[0]) ? value[0] : value;
}

function describe(value: GgufValue | undefined): string {
  if (isList(value)) return `a list of ${value.length}`;
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
}

const isCount = (v: unknown): v is number => typeof v === "number" && Number.isSafeInteger(v) && v > 0;
const isId = (v: unknown): v is number => typeof v === "number" && Number.isSafeInteger(v) && v >= 0;
const isFiniteNumber = (v: unknown): v is number => typeof v === "number" && Number.isFinite(v);
const isText = (v: unknown): v is string => typeof v === "string";
const isFlag = (v: unknown): v is boolean => typeof v === "boolean";
const isList = (v: unknown): v is readonly unknown[] =>
  Array.isArray(v) || (ArrayBuffer.isView(v) && !(v instanceof DataView));
