import { readFileSync } from "node:fs";
import { freemem } from "node:os";

/** Default memory budget in bytes: most of what the machine has free. */
export function defaultBudget(): number {
  return freemem() * 0.8;
}

/**
 * Bytes of memory of this process that no file backs, mapped weights not counted.
 * The resident size on systems other than Linux, which do not report it.
 */
export function anonymousBytes(): number {
  if (process.platform !== "linux") return process.memoryUsage.rss();
  const text = readFileSync("/proc/self/smaps_rollup", "utf8");
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(text)![1]) * 1024;
}
