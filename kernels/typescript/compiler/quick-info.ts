import type ts from "typescript";

/** A declaration, its documentation and its tags, as plain text. */
export function quickInfoText(info: ts.QuickInfo): string {
  // What an earlier cell has declared is imported from it, which is no news to the reader.
  const signature = join(info.displayParts).replace(/^\(alias\) (.+?)(\nimport .*)?$/s, "$1");
  const documentation = join(info.documentation);
  const tags = (info.tags ?? []).map((tag) => `@${tag.name} ${join(tag.text)}`.trimEnd());
  return [signature, documentation, tags.join("\n")].filter((part) => part !== "").join("\n\n");
}

function join(parts: readonly ts.SymbolDisplayPart[] | undefined): string {
  return (parts ?? []).map((part) => part.text).join("");
}
