import { didYouMean, ModalscopeError } from "../errors.js";

/** A name, a glob, or a regular expression; see {@link openOnnx}. */
export type NamePattern = string | RegExp;

/**
 * Things that a pattern picks by name: those of exactly that name, else all that match.
 * In a glob `*` stands for anything but "/", `**` for anything, `?` for one character that is no "/"; `**` with
 * a slash after it stands for any number of folders, or none.
 * @throws ModalscopeError with the nearest names when nothing does
 */
export function picked<T extends { readonly name: string }>(things: readonly T[], pattern: NamePattern): T[] {
  const exact = things.filter(({ name }) => name === pattern);
  if (exact.length > 0) return exact;
  const matches = matcher(pattern);
  const found = things.filter(({ name }) => matches.test(name));
  if (found.length > 0) return found;
  const names = new Set(things.map(({ name }) => name));
  throw new ModalscopeError(
    `No tensor is called ${typeof pattern === "string" ? `"${pattern}"` : pattern}.`,
    "",
    (typeof pattern === "string" && didYouMean(pattern, names)) || "List the names with model.tensors().",
  );
}

function matcher(pattern: NamePattern): RegExp {
  // Without "g" and "y", which make a test depend on the one before.
  if (pattern instanceof RegExp) return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
  return new RegExp(`^${pattern.replace(/\*\*\/|\*\*|[\s\S]/g, translated)}$`);
}

function translated(part: string): string {
  if (part === "**/") return "(?:[^]*/)?";
  if (part === "**") return "[^]*";
  if (part === "*") return "[^/]*";
  if (part === "?") return "[^/]";
  return part.replace(/[\\^$.|+()[\]{}]/, "\\$&");
}
