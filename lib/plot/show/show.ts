/** Shows figures, tables, images and text in the notebook; outside a kernel, says so in a line of text. */
import { inspect } from "node:util";
import { browserOnly, toPng } from "../draw/draw.js";
import { escapeHtml } from "../escape.js";
import { type Figure, plotlyConfig, titleOf } from "../figure.js";
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
    if (display) display.display(bundleOf(thing));
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
  if (hasKind(thing, "table"))
    return { "text/html": tableHtml(thing as Table), "text/plain": tableText(thing as Table) };
  if (hasKind(thing, "html"))
    return { "text/html": (thing as Html).html, "text/plain": (thing as Html).text };
  if (hasKind(thing, "markdown")) {
    const { source } = thing as Markdown;
    return { "text/markdown": source, "text/plain": source };
  }
  if (hasKind(thing, "image")) {
    const shown = thing as Image;
    return { "text/html": imageTag(shown), "text/plain": lineOf(shown) };
  }
  return { "text/plain": typeof thing === "string" ? thing : lineOf(thing) };
}

/** What `thing` is, in one line; for a table or a text, its first line or so. */
export function lineOf(thing: unknown): string {
  if (isFigure(thing)) {
    const kinds = [...new Set(thing.data.map((trace) => String(trace.type ?? "scatter")))];
    return `Figure: ${titleOf(thing) || "untitled"} (${kinds.join(", ")})`;
  }
  if (hasKind(thing, "table")) {
    const { caption, columns, total } = thing as Table;
    return `Table: ${caption || columns.map(({ name }) => name).join(", ")} (${total} rows)`;
  }
  if (hasKind(thing, "html")) return `HTML: ${brief((thing as Html).text)}`;
  if (hasKind(thing, "markdown")) return brief((thing as Markdown).source);
  if (hasKind(thing, "image")) {
    const { alt, mime, bytes } = thing as Image;
    return `Image: ${alt} (${mime}, ${bytes.length.toLocaleString("en")} bytes)`;
  }
  if (isTensor(thing))
    return `Tensor (${thing.shape.join(", ")}) ${inspect(thing.data, { maxArrayLength: 8 })}`;
  return typeof thing === "string" ? brief(thing) : inspect(thing, { depth: 4, breakLength: 120 });
}

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

function figureBundle(figure: Figure): Bundle {
  const { data, layout } = figure;
  return {
    "application/vnd.plotly.v1+json": { data, layout, config: plotlyConfig },
    "text/html": figureFallback(figure),
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

const hasKind = (thing: unknown, kind: string): boolean =>
  typeof thing === "object" && thing !== null && "kind" in thing && thing.kind === kind;

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
