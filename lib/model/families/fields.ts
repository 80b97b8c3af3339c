/** Fields of a config.json, checked as they are read. Their defaults stand in defaults.ts, and nowhere else. */
import { ModalscopeError } from "../../errors.js";

/** A parsed config.json, or one of its parts. */
export type RawConfig = Readonly<Record<string, unknown>>;

/** A positive integer. */
export function readCount(raw: RawConfig, name: string): number {
  const value = raw[name];
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  throw invalidField(raw, name, "a positive integer");
}

/** A positive integer, or null where the field is null or left out. */
export function readOptionalCount(raw: RawConfig, name: string): number | null {
  return isGiven(raw, name) ? readCount(raw, name) : null;
}

/** A whole number of zero or more: a token's id, a layer's number. */
export function readIndex(raw: RawConfig, name: string): number {
  const value = raw[name];
  if (isIndex(value)) return value;
  throw invalidField(raw, name, "a whole number of zero or more");
}

/** A number above zero, such as an ε: a norm of nothing but zeros must stay a number. */
export function readPositive(raw: RawConfig, name: string): number {
  const value = raw[name];
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  throw invalidField(raw, name, "a number above zero");
}

export function readFlag(raw: RawConfig, name: string): boolean {
  const value = raw[name];
  if (typeof value === "boolean") return value;
  throw invalidField(raw, name, "true or false");
}

export function readText(raw: RawConfig, name: string): string {
  const value = raw[name];
  if (typeof value === "string") return value;
  throw invalidField(raw, name, "text");
}

/** A list of whole numbers of zero or more. */
export function readIndices(raw: RawConfig, name: string): readonly number[] {
  const value = raw[name];
  if (Array.isArray(value) && value.every(isIndex)) return value;
  throw invalidField(raw, name, "a list of whole numbers of zero or more");
}

/** An object; empty where the field is null or left out. */
export function readPart(raw: RawConfig, name: string): RawConfig {
  if (!isGiven(raw, name)) return {};
  const value = raw[name];
  if (typeof value === "object" && !Array.isArray(value)) return value as RawConfig;
  throw invalidField(raw, name, "an object");
}

/** Whether a field is there and not null. */
export function isGiven(raw: RawConfig, name: string): boolean {
  return raw[name] !== undefined && raw[name] !== null;
}

function isIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

/** The error for a field of the wrong kind, or without a value. */
export function invalidField(raw: RawConfig, name: string, expected: string): ModalscopeError {
  const value = raw[name];
  if (value === undefined) {
    return new ModalscopeError(
      `config.json has no "${name}".`,
      `A ${String(raw.model_type)} checkpoint needs it: ${expected}.`,
    );
  }
  return new ModalscopeError(
    `config.json has "${name}": ${typeof value === "number" ? value : JSON.stringify(value).slice(0, 200)}.`,
    `It must be ${expected}.`,
  );
}
