/** Completions inside strings: modules of this package, hooks of a loaded model, and files. */
import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { resolve } from "node:path";

import ts = require("typescript");

import { packageEntries } from "../../../lib/package-root.js";
import type { CompletionResult } from "../messages.js";

/**
 * The text of the string that the position is in, from its start to the position; undefined outside of strings. A string that
 * is still being written, with no closing quote, counts to the end of its line.
 */
export function stringBefore(source: ts.SourceFile, position: number): string | undefined {
  let found: string | undefined;
  const visit = (node: ts.Node): void => {
    if (position <= node.getStart(source) || position > node.getEnd()) return;
    if (ts.isStringLiteralLike(node)) {
      const closed = (node as { isUnterminated?: boolean }).isUnterminated !== true;
      if (position < node.getEnd() || !closed) found = source.text.slice(node.getStart(source) + 1, position);
    } else ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Completions of `text`, which ends at the position. */
export function completeString(
  text: string,
  position: number,
  { folder, hooks }: { folder: string; hooks: readonly string[] },
): CompletionResult {
  const modules = text === "" ? [] : packageEntries().filter((name) => name.startsWith(text));
  if (modules.length > 0) return completion(modules, "module", position - text.length, position);
  const names = matchingHooks(text, hooks);
  if (names.length > 0) return completion(names, "hook", position - text.length, position);
  const paths = /^(\.{0,2}|~)\//.test(text) || text.includes("/") ? matchingFiles(text, folder) : [];
  const typed = text.slice(text.lastIndexOf("/") + 1);
  return completion(paths, "path", position - typed.length, position);
}

/** Hooks by name, and as patterns over the blocks: those come first, and are meant where a `*` is written. */
function matchingHooks(text: string, hooks: readonly string[]): string[] {
  if (text === "") return [];
  const patterns = new Set(hooks.map((name) => name.replace(/\.\d+\./g, ".*.")));
  return [...new Set([...patterns, ...hooks])].filter((name) => name.startsWith(text));
}

/** Files and folders that the path may go on with; folders end in a slash. Hidden ones only where a dot asks for them. */
function matchingFiles(text: string, folder: string): string[] {
  const slash = text.lastIndexOf("/") + 1;
  const typed = text.slice(slash);
  const path = resolve(folder, text.slice(0, slash).replace(/^~(?=\/)/, homedir()));
  return entries(path)
    .filter((name) => name.startsWith(typed) && (typed !== "" || !name.startsWith(".")))
    .sort();
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    );
  } catch {
    // A folder that is not there, or not to be read, has nothing to offer.
    return [];
  }
}

function completion(matches: string[], type: string, start: number, end: number): CompletionResult {
  return { matches, start, end, types: matches.map((text) => ({ text, type, start, end })) };
}
