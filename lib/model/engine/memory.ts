import { readFileSync } from "node:fs";
import { freemem } from "node:os";
import { ModalscopeError } from "../../errors.js";

const units: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * Bytes of a size such as "4GB", "800 MB" or a number; units count in powers of 1024.
 * @throws ModalscopeError for anything else
 */
export function parseBytes(size: string | number): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*$/i.exec(String(size));
  if (!match)
    throw new ModalscopeError(`"${size}" is no amount of memory.`, "", 'Write it like "4GB" or "800MB".');
  return Number(match[1]) * units[match[2].toLowerCase()];
}

/** Bytes as people read them, such as "1.5 kB". */
export function showBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/** What a budget is when none is given: most of what the machine has free. */
export function defaultBudget(): number {
  return freemem() * 0.8;
}

/**
 * Bytes of memory of this process that no file backs, mapped weights not counted.
 * Where the system does not say (only Linux does), the resident size.
 */
export function anonymousBytes(): number {
  if (process.platform !== "linux") return process.memoryUsage.rss();
  const text = readFileSync("/proc/self/smaps_rollup", "utf8");
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(text)![1]) * 1024;
}
