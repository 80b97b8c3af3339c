import type ts from "typescript";

/** A declaration, its documentation and its tags, as plain text. */
export function quickInfoText(info: ts.QuickInfo): string {
  const signature = join(info.displayParts);
  const documentation = join(info.documentation);
  const tags = (info.tags ?? []).map((tag) => `@${tag.name} ${join(tag.text)}`.trimEnd());
  return [signature, documentation, tags.join("\n")].filter((part) => part !== "").join("\n\n");
}

function join(parts: readonly ts.SymbolDisplayPart[] | undefined): string {
  return (parts ?? []).map((part) => part.text).join("");
}
