/** HTML from notebooks, with nothing left in it that acts on the page around it. */
import { createRequire } from "node:module";
import type { DOMPurify, WindowLike } from "dompurify";
import { ModalscopeError } from "../../errors.js";
import { escapeHtml } from "../../escape.js";
import { isSealed } from "../show/view-seal.js";
import { checkNesting } from "./nesting.js";

const require = createRequire(import.meta.url);

let document: Document | undefined;
let purifier: DOMPurify | undefined;

/**
 * `markup` without scripts, event handlers, forms, style sheets and whatever would be fetched.
 *
 * Interactive views stay: an `<iframe>` with `srcdoc` is built anew, with `sandbox="allow-scripts"` whatever its
 * own was, so that its scripts run in an origin of their own and cannot reach the report. Scripts could still reach
 * the network by ways that no content policy closes, so they run only in views that this user's library has
 * sealed; a frame from elsewhere shows its document without them.
 *
 * @param nonce of the page's content policy, which the scripts of views need in order to run
 */
export function cleanHtml(markup: string, nonce: string): string {
  const fragment = fragmentOf(markup);
  const inserted: string[] = [];
  // Text in the place of what is built here, for the purifier to leave as it is.
  const mark = (html: string): string => `inserted-${nonce}-${inserted.push(html) - 1};`;
  const frames = fragment.querySelectorAll("iframe[srcdoc]");
  if (frames.length > mostFrames)
    throw new ModalscopeError("This HTML is not shown:", `it has more than ${mostFrames} frames.`);
  for (const frame of frames) {
    // The frame's box goes through the purifier like the rest; the frame itself is ours.
    const box = frame.ownerDocument.createElement("div");
    box.setAttribute("style", frame.getAttribute("style") ?? "height:400px");
    box.textContent = mark(builtFrame(frame, nonce));
    frame.replaceWith(box);
  }
  for (const image of fragment.querySelectorAll("img")) {
    if (/^data:image\//i.test(image.getAttribute("src") ?? "")) continue;
    const text = missingImage(image);
    for (const name of image.getAttributeNames()) image.removeAttribute(name);
    image.setAttribute("alt", mark(escapeHtml(text)));
  }
  const marks = new RegExp(`<img alt="inserted-${nonce}-(\\d+);">|inserted-${nonce}-(\\d+);`, "g");
  return purify(markupOf(fragment), "page").replace(marks, (_, image, frame) => inserted[image ?? frame]);
}

const mostFrames = 200;

/** `markup` parsed into a document where no script runs and nothing is fetched. */
export function fragmentOf(markup: string): DocumentFragment {
  checkNesting(markup);
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

/** An image that lies outside the notebook cannot be in the report: its place says so. */
function missingImage(image: Element): string {
  return `[image ${image.getAttribute("alt") || ""} (${image.getAttribute("src")}) is not in the notebook]`;
}

function builtFrame(frame: Element, nonce: string): string {
  const source = frame.getAttribute("srcdoc") ?? "";
  const title = frame.getAttribute("title") ?? "view";
  const ours = isSealed(source, frame.getAttribute("data-modalscope-seal"));
  const content = ours
    ? source.replace(/<script(?=[\s>])/gi, `<script nonce="${nonce}"`)
    : purifiedFrame(source);
  return (
    `<iframe sandbox="${ours ? "allow-scripts" : ""}" title="${escapeHtml(title)}" srcdoc="${escapeHtml(content)}" ` +
    'style="width:100%;height:100%;border:0" loading="lazy"></iframe>'
  );
}

function purifiedFrame(source: string): string {
  checkNesting(source);
  return purify(source, "frame");
}

/** A frame's own style sheets cannot reach the page, and the page's policy holds for what they would fetch. */
function purify(markup: string, place: "page" | "frame"): string {
  purifier ??= newPurifier();
  return purifier.sanitize(markup, {
    USE_PROFILES: { html: true, mathMl: true, svg: true },
    ADD_TAGS: ["semantics", "annotation", ...(place === "frame" ? ["style"] : [])],
    // The second names a cell's column where the page is narrow.
    ADD_ATTR: ["encoding", "data-column"],
    FORBID_TAGS: [
      ...(place === "frame" ? [] : ["style"]),
      ...[
        "form",
        "input",
        "button",
        "textarea",
        "select",
        "audio",
        "video",
        "source",
        "link",
        "base",
        "meta",
      ],
    ],
    // A notebook's names would shadow those of the report.
    FORBID_ATTR: ["id", "name", "srcset", "ping"],
    ALLOW_DATA_ATTR: false,
    WHOLE_DOCUMENT: place === "frame",
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
