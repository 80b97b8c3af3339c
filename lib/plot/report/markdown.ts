/** Markdown cells as HTML. */
import MarkdownIt, { type MarkdownIt as Parser } from "markdown-it";
import { escapeHtml } from "../../escape.js";
import type { MimeBundle } from "../../notebook/index.js";
import { cleanHtml, fragmentOf, markupOf } from "./clean.js";
import { codeHtml } from "./code.js";
import { mathPlugin } from "./math.js";

export interface Heading {
  readonly level: number;
  readonly text: string;
  readonly id: string;
}

let parser: Parser | undefined;

/** Markdown with formulas as HTML that is safe in a page. */
export function markdownHtml(source: string, nonce: string): string {
  parser ??= newParser();
  return cleanHtml(parser.render(source), nonce);
}

/**
 * Gives the headings of `html` ids, and lists them.
 * @param prefix of the ids, unique in the page
 */
export function withHeadings(html: string, prefix: string): { html: string; headings: Heading[] } {
  const fragment = fragmentOf(html);
  const headings = [...fragment.querySelectorAll("h1, h2, h3")].map((element, i) => {
    const id = `${prefix}-${i}`;
    element.setAttribute("id", id);
    // A formula in a heading has its TeX beside its MathML; a list of headings wants neither twice.
    const copy = element.cloneNode(true) as Element;
    for (const annotation of copy.querySelectorAll("annotation")) annotation.remove();
    return { level: Number(element.tagName[1]), text: copy.textContent?.trim() ?? "", id };
  });
  return { html: markupOf(fragment), headings };
}

function newParser(): Parser {
  return new MarkdownIt({
    html: true,
    highlight: (code, language) => `<pre><code>${codeHtml(code, language || "text")}</code></pre>`,
  }).use(mathPlugin);
}

/** The source with attachments of the cell in place of `attachment:` addresses. */
export function withAttachments(
  source: string,
  attachments: Readonly<Record<string, MimeBundle>> = {},
): string {
  return source.replace(/attachment:([^)\s"']+)/g, (whole, address: string) => {
    const name = decoded(address);
    if (!Object.hasOwn(attachments, name)) return whole;
    const [[mime, content] = []] = Object.entries(attachments[name]);
    return mime !== undefined && typeof content === "string"
      ? `data:${escapeHtml(mime)};base64,${content}`
      : whole;
  });
}

/** An address as a name; one that is not encoded as addresses are is the name itself. */
function decoded(address: string): string {
  try {
    return decodeURIComponent(address);
  } catch {
    return address;
  }
}
