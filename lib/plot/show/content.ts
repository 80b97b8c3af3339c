/** Content that can be shown beside figures: HTML, Markdown, images and interactive views. Plain data with a `kind`. */
import { ModalscopeError } from "../../errors.js";
import { escapeHtml } from "../../escape.js";
import { checkOptions, number, type OptionChecks, record, required, text } from "../../options.js";
import { sealOf } from "./view-seal.js";

/** Markup that is safe to put into a page as it is. */
export interface Html {
  readonly kind: "html";
  readonly html: string;
  /** Text for clients without HTML. */
  readonly text: string;
}

/** Markdown that the client renders. */
export interface Markdown {
  readonly kind: "markdown";
  readonly source: string;
}

/** An image file in memory. */
export interface Image {
  readonly kind: "image";
  readonly mime: "image/png" | "image/jpeg" | "image/svg+xml" | "image/webp" | "image/gif";
  readonly bytes: Uint8Array;
  readonly alt: string;
  /** Width on the page, in pixels. */
  readonly width?: number;
}

/**
 * HTML from a template: what is written in it is markup, what is put into it is text and gets escaped
 * (other {@link Html} and lists of it go in as they are).
 *
 * @example show(html`<p>The model answers <b>${answer}</b>.</p>`)
 */
export function html(parts: TemplateStringsArray, ...values: readonly unknown[]): Html {
  const markup = parts.map((part, i) => part + (i < values.length ? markupOf(values[i]) : "")).join("");
  return rawHtml(markup);
}

/** HTML as it is. Only for markup that holds no text from a model, data or a file; otherwise use `html`. */
export function rawHtml(markup: string, text: string = textOf(markup)): Html {
  return { kind: "html", html: markup, text };
}

/** Markdown source, to be shown rendered. */
export function markdown(source: string): Markdown {
  return { kind: "markdown", source };
}

const VIEW_OPTIONS: OptionChecks<ViewOptions> = {
  height: required(number(1), "a number of pixels"),
  alt: required(text, "a string"),
  fallback: record,
};

/**
 * An image from the bytes of a PNG, JPEG, WebP, GIF or SVG file.
 * @throws when the bytes are none of these
 */
export function image(bytes: Uint8Array, options: { alt?: string; width?: number } = {}): Image {
  checkOptions("image", options, { alt: text, width: number(1) });
  return { kind: "image", mime: mimeOf(bytes), bytes, alt: options.alt ?? "image", width: options.width };
}

/** Options of {@link view}. */
export interface ViewOptions {
  /** In pixels. */
  readonly height: number;
  /** Description of the view, for a reader who cannot see it and for clients without HTML. */
  readonly alt: string;
  /** Shown where scripts may not run: untrusted notebooks, GitHub, print. */
  readonly fallback?: Image;
}

/**
 * A small interactive page of its own, with its scripts, in a sandboxed frame: it cannot reach the notebook.
 * The fallback lies under the frame, so it shows wherever a client removes the frame. In a report its scripts run
 * only where the same user makes the report: the view is sealed with a key of theirs.
 *
 * @param document a whole HTML document, without anything from outside
 */
export function view(document: string, options: ViewOptions): Html {
  checkOptions("view", options, VIEW_OPTIONS);
  const { height, alt, fallback } = options;
  const under = fallback ? imageTag(fallback, "max-width:100%;max-height:100%") : `<p>${escapeHtml(alt)}</p>`;
  const seal = sealOf(document);
  const frame =
    `<iframe sandbox="allow-scripts" title="${escapeHtml(alt)}" srcdoc="${escapeHtml(document)}" ` +
    `${seal === undefined ? "" : `data-modalscope-seal="${seal}" `}` +
    'style="position:absolute;left:0;top:0;width:100%;height:100%;border:0;background:white"></iframe>';
  return rawHtml(`<div style="position:relative;height:${height}px">${under}${frame}</div>`, alt);
}

/** `<img>` with the image in it. */
export function imageTag(image: Image, style = "max-width:100%"): string {
  const width = image.width ? ` width="${image.width}"` : "";
  return `<img src="${dataUri(image)}" alt="${escapeHtml(image.alt)}"${width} style="${style}">`;
}

/** A `data:` address with the image in it. */
export function dataUri(image: Pick<Image, "mime" | "bytes">): string {
  return `data:${image.mime};base64,${Buffer.from(image.bytes).toString("base64")}`;
}

/** Text of the markup, for clients without HTML. */
function textOf(markup: string): string {
  return markup
    .replace(/<(style|script)\b[\s\S]*?<\/\1>/gi, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, "&")
    .replace(/\s+/g, " ")
    .trim();
}

function markupOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(markupOf).join("");
  if (value === null || value === undefined) return "";
  if (isHtml(value)) return value.html;
  return escapeHtml(String(value));
}

const isHtml = (value: unknown): value is Html =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "html";

function mimeOf(bytes: Uint8Array): Image["mime"] {
  const head = Buffer.from(bytes.subarray(0, 256)).toString("latin1");
  if (head.startsWith("\x89PNG")) return "image/png";
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "image/webp";
  if (head.startsWith("GIF8")) return "image/gif";
  if (/^\s*(<\?xml|<!--|<!DOCTYPE svg|<svg)/i.test(head.replace(/^\u00ef\u00bb\u00bf/, "")))
    return "image/svg+xml";
  throw new ModalscopeError(
    "These bytes are not an image that a notebook can show.",
    `They start with ${JSON.stringify(head.slice(0, 8))}.`,
    "Pass the content of a PNG, JPEG, WebP, GIF or SVG file.",
  );
}
