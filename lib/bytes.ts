/** Sizes in bytes as text. Without an i a unit is decimal, with one binary, as in accelerate and Kubernetes. */
import { ModalscopeError } from "./errors.js";

const powers = ["", "k", "m", "g", "t"];

/**
 * Bytes of a size: a number, or text such as "8GB" (8·10⁹), "8GiB" (8·2³⁰), "500 MB", "1.5G".
 * @throws ModalscopeError for anything else
 */
export function parseBytes(size: string | number): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*$/i.exec(String(size));
  if (match === null || (match[2] === "" && match[3] !== "")) {
    throw new ModalscopeError(
      `Cannot parse "${size}" as a size.`,
      "",
      'Write it like "4GB" (4·10⁹ bytes) or "4GiB" (4·2³⁰).',
    );
  }
  const [, value, unit, binary] = match;
  return Math.floor(Number(value) * (binary === "" ? 1000 : 1024) ** powers.indexOf(unit.toLowerCase()));
}

/** Bytes in decimal units, with three digits or so: "1.5 kB", "812 MB". */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  // What rounds to 1000 of a unit is one of the next.
  if (power < 4 && bytes / 1000 ** power >= 999.5) power++;
  const value = bytes / 1000 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${units[power]}`;
}
