/** HTML from notebooks, with nothing left in it that acts on the page around it. */
import { createRequire } from "node:module";
import type { DOMPurify, WindowLike } from "dompurify";
import { escapeHtml } from "../escape.js";

const require = createRequire(import.meta.url);

let document: Document | undefined;
let purifier: DOMPurify | undefined;

/**
 * `markup` without scripts, event handlers, forms, style sheets and whatever would be fetched.
 *
 * Interactive views stay: an `<iframe>` with `srcdoc` is built anew, with `sandbox="allow-scripts"` whatever its
 * own was, so that its scripts run in an origin of their own and cannot reach the report.
 *
 * @param nonce of the page's content policy, which the scripts of views need in order to run
 */
export function cleanHtml(markup: string, nonce: string): string {
  const fragment = fragmentOf(markup);
  const frames: string[] = [];
  for (const frame of fragment.querySelectorAll("iframe[srcdoc]")) {
    // The frame's box goes through the purifier like the rest; the frame itself is ours.
    const box = frame.ownerDocument.createElement("div");
    box.setAttribute("style", frame.getAttribute("style") ?? "height:400px");
    box.textContent = frameMark(nonce, frames.length);
    frames.push(builtFrame(frame.getAttribute("srcdoc") ?? "", frame.getAttribute("title") ?? "view", nonce));
    frame.replaceWith(box);
  }
  for (const image of fragment.querySelectorAll("img"))
    if (!/^data:image\//i.test(image.getAttribute("src") ?? "")) image.replaceWith(missingImage(image));
  const clean = purify(markupOf(fragment));
  return frames.reduce((html, frame, i) => html.replace(frameMark(nonce, i), () => frame), clean);
}

/** `markup` parsed into a document where no script runs and nothing is fetched. */
export function fragmentOf(markup: string): DocumentFragment {
  document ??= newWindow().document;
  const template = document.createElement("template");
  template.innerHTML = markup;
  return template.content;
}

export function markupOf(fragment: DocumentFragment): string {
  const template = fragment.ownerDocument.createElement("template");
  template.content.append(fragment);
  return template.innerHTML;
}

/** A picture that lies outside the notebook cannot be in the report: its place says so. */
function missingImage(image: Element): string {
  return `[picture ${image.getAttribute("alt") || ""} (${image.getAttribute("src")}) is not in the notebook]`;
}

const frameMark = (nonce: string, index: number): string => `frame-${nonce}-${index};`;

function builtFrame(source: string, title: string, nonce: string): string {
  const allowed = source.replace(/<script(?=[\s>])/gi, `<script nonce="${nonce}"`);
  return (
    `<iframe sandbox="allow-scripts" title="${escapeHtml(title)}" srcdoc="${escapeHtml(allowed)}" ` +
    'style="width:100%;height:100%;border:0" loading="lazy"></iframe>'
  );
}

function purify(markup: string): string {
  purifier ??= newPurifier();
  return purifier.sanitize(markup, {
    USE_PROFILES: { html: true, mathMl: true, svg: true },
    ADD_TAGS: ["semantics", "annotation"],
    ADD_ATTR: ["encoding"],
    FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "audio", "video", "source"],
    // A notebook's names would shadow those of the report.
    FORBID_ATTR: ["id", "name", "srcset"],
    ALLOW_DATA_ATTR: false,
  });
}

function newPurifier(): DOMPurify {
  const create = require("dompurify") as (window: WindowLike) => DOMPurify;
  const purifier = create(newWindow() as unknown as WindowLike);
  purifier.addHook("uponSanitizeAttribute", (_, event) => {
    if (event.attrName === "style") event.attrValue = quietStyle(event.attrValue);
  });
  return purifier;
}

/** Declarations that neither fetch nor lay themselves over the page; an escape could hide either. */
function quietStyle(style: string): string {
  return style
    .split(";")
    .filter((declaration) => !/\\|url\s*\(|image-set|position\s*:\s*(fixed|sticky)/i.test(declaration))
    .join(";");
}

function newWindow(): Window {
  const { JSDOM } = require("jsdom") as typeof import("jsdom");
  return new JSDOM("").window as unknown as Window;
}
