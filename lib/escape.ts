/** Text from models, data and notebooks passes through here before it becomes markup. */
import { own } from "./own.js";

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** `text` as HTML that shows exactly these characters, in an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => own(entities, c)!);
}

/**
 * `text` as a plotly label. Plotly reads `<b>`, `<s>`, `<a href>` and entities in labels, so a token such
 * as `<s>` would strike the rest through. Line ends and tabs become visible: `\n`.
 */
export function escapeLabel(text: string): string {
  return text
    .replace(/[&<>]/g, (c) => own(entities, c)!)
    .replace(/\n/g, "\\n")
    .replace(/\r/g, "\\r")
    .replace(/\t/g, "\\t");
}

/** JSON that may stand inside a `<script>` element: no `</script>` and no `<!--` can occur in it. */
export function jsonForScript(value: unknown): string {
  return JSON.stringify(value)
    .replace(/</g, "\\u003c")
    .replace(/\u2028/g, "\\u2028")
    .replace(/\u2029/g, "\\u2029");
}

/**
 * JavaScript source that may stand inside a `<script>` element. A closing tag or a comment opening can only
 * be in a string or a regular expression there, where the escaped spelling means the same character.
 */
export function sourceForScript(source: string): string {
  return source.replace(/<\/(script)/gi, "<\\/$1").replace(/<!--/g, "\\x3c!--");
}
