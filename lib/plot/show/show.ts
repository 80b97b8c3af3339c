/** Shows figures, tables, images and text in the notebook; outside a kernel, says so in a line of text. */
import { inspect } from "node:util";
import { PLOTLY_MIME, STILL_TO_COME } from "../../display.js";
import { escapeHtml } from "../../escape.js";
import { browserOnly, toPng } from "../draw/draw.js";
import { plotlyConfig, titleOf } from "../figure.js";
import type { Figure } from "../plotly.js";
import { isTensor } from "../values.js";
import { type Html, type Image, image, imageTag, type Markdown } from "./content.js";
import { type Bundle, currentDisplay } from "./display.js";
import { type DataFrameLike, type Table, table, tableHtml, tableText } from "./table.js";

/**
 * Shows each of `things` in the notebook, one below the other: figures, tables, danfo DataFrames, images,
 * Markdown and HTML as what they are; anything else as the text that Node prints for it.
 */
export function show(...things: readonly unknown[]): void {
  const display = currentDisplay();
  for (const thing of things) {
    if (display)
      display.display(
        display.addsStills && isFigure(thing) ? figureBundle(thing, STILL_TO_COME) : bundleOf(thing),
      );
    else console.log(lineOf(thing));
  }
}

/**
 * `thing` in the forms that notebook clients know.
 *
 * A figure goes out as plotly's JSON, for clients that draw it, and as an `<img>` with the image in it: in an
 * untrusted notebook scripts do not run and SVG stays blank, but that shows.
 */
export function bundleOf(thing: unknown): Bundle {
  if (isFigure(thing)) return figureBundle(thing);
  if (isFrame(thing)) return bundleOf(table(thing));
  if (isContent(thing)) return contentBundle(thing);
  return { "text/plain": typeof thing === "string" ? thing : lineOf(thing) };
}

function contentBundle(thing: Content): Bundle {
  switch (thing.kind) {
    case "table":
      return { "text/html": tableHtml(thing), "text/plain": tableText(thing) };
    case "html":
      return { "text/html": thing.html, "text/plain": thing.text };
    case "markdown":
      return { "text/markdown": thing.source, "text/plain": thing.source };
    case "image":
      return { "text/html": imageTag(thing), "text/plain": lineOf(thing) };
  }
}

/** One line about `thing`; of a text, its first line or so. */
export function lineOf(thing: unknown): string {
  if (isFigure(thing)) {
    const kinds = [...new Set(thing.data.map((trace) => String(trace.type ?? "scatter")))];
    return `Figure: ${titleOf(thing) || "untitled"} (${kinds.join(", ")})`;
  }
  if (isContent(thing)) return contentLine(thing);
  if (isTensor(thing))
    return `Tensor (${thing.shape.join(", ")}) ${inspect(thing.data, { maxArrayLength: 8 })}`;
  return typeof thing === "string" ? brief(thing) : inspect(thing, { depth: 4, breakLength: 120 });
}

function contentLine(thing: Content): string {
  switch (thing.kind) {
    case "table": {
      const { caption, columns, total } = thing;
      return `Table: ${caption || columns.map(({ name }) => name).join(", ")} (${total} rows)`;
    }
    case "html":
      return `HTML: ${brief(thing.text)}`;
    case "markdown":
      return brief(thing.source);
    case "image":
      return `Image: ${thing.alt} (${thing.mime}, ${thing.bytes.length.toLocaleString("en")} bytes)`;
  }
}

/** True of values with the fields of plotly's JSON. */
export function isFigure(thing: unknown): thing is Figure {
  return (
    typeof thing === "object" &&
    thing !== null &&
    "data" in thing &&
    "layout" in thing &&
    Array.isArray(thing.data) &&
    typeof thing.layout === "object" &&
    thing.layout !== null
  );
}

function figureBundle(figure: Figure, still: string = figureFallback(figure)): Bundle {
  const { data, layout } = figure;
  return {
    [PLOTLY_MIME]: { data, layout, config: plotlyConfig },
    "text/html": still,
    "text/plain": lineOf(figure),
  };
}

function figureFallback(figure: Figure): string {
  const missing = browserOnly(figure);
  const title = titleOf(figure);
  if (missing.length > 0)
    return `<p>${escapeHtml(title)}: this figure (${escapeHtml(missing.join(", "))}) can only be drawn by a notebook client that knows plotly.</p>`;
  return imageTag(image(toPng(figure), { alt: title, width: 760 }));
}

/** Content that this library makes to be shown, beside figures. */
type Content = Table | Html | Markdown | Image;

const kinds: ReadonlySet<unknown> = new Set<Content["kind"]>(["table", "html", "markdown", "image"]);

const isContent = (thing: unknown): thing is Content =>
  typeof thing === "object" && thing !== null && "kind" in thing && kinds.has(thing.kind);

function isFrame(thing: unknown): thing is DataFrameLike {
  return (
    typeof thing === "object" &&
    thing !== null &&
    "columns" in thing &&
    "values" in thing &&
    Array.isArray(thing.columns)
  );
}

function brief(text: string): string {
  const line = text.trim().split("\n")[0];
  return line.length < text.trim().length || line.length > 100 ? `${line.slice(0, 100)} …` : line;
}
