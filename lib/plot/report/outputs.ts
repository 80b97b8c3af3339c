/** Cell outputs as HTML, each in the richest form that is safe. */
import { PLOTLY_MIME } from "../../display.js";
import { escapeHtml, jsonForScript } from "../../escape.js";
import {
  type CellOutput,
  isObject,
  isUnreadable,
  joined,
  type Multiline,
  type Unreadable,
} from "../../notebook/index.js";
import type { Figure } from "../plotly.js";
import { isFigure } from "../show/show.js";
import { cleanHtml, fragmentOf } from "./clean.js";
import { codeHtml } from "./code.js";
import { markdownHtml } from "./markdown.js";
import { mathHtml } from "./math.js";

/** State of a page while its outputs are rendered: what they need of it, and what it needs of them. */
export interface PageContext {
  readonly nonce: string;
  /** Filled with the figures that the page draws. */
  readonly figures: Figure[];
}

type Data = Readonly<Record<string, unknown>>;

/** Forms of a result, richest first. */
const renderers: readonly [mime: string, render: (data: Data, mime: string, page: PageContext) => string][] =
  [
    [PLOTLY_MIME, (data, _, page) => figureHtml(data, page)],
    ["text/html", (data, mime, page) => `<div class="rich">${cleanHtml(text(data[mime]), page.nonce)}</div>`],
    [
      "text/markdown",
      (data, mime, page) => `<div class="prose">${markdownHtml(text(data[mime]), page.nonce)}</div>`,
    ],
    ["image/svg+xml", (data, mime) => imageHtml(mime, Buffer.from(text(data[mime])).toString("base64"))],
    ["image/png", (data, mime) => imageHtml(mime, text(data[mime]))],
    ["image/jpeg", (data, mime) => imageHtml(mime, text(data[mime]))],
    ["text/latex", (data, mime) => latexHtml(text(data[mime]))],
    [
      "application/json",
      (data, mime) => block("text", codeHtml(JSON.stringify(data[mime], null, 2), "json")),
    ],
    ["text/plain", (data, mime) => block("text", escapeHtml(text(data[mime])))],
  ];

export function outputHtml(output: CellOutput, page: PageContext): string {
  if (output.output_type === "stream")
    return block(
      `text ${output.name === "stderr" ? "stderr" : ""}`,
      escapeHtml(terminalText(joined(output.text))),
    );
  if (output.output_type === "error") {
    const trace = terminalText(output.traceback.join("\n"));
    const head = `${output.ename}: ${output.evalue}`;
    return block(
      "text error",
      escapeHtml(trace.includes(output.evalue) ? trace : `${head}\n${trace}`.trim()),
    );
  }
  const found = renderers.find(([mime]) => Object.hasOwn(output.data, mime));
  if (found) return found[1](output.data, found[0], page);
  return block(
    "text",
    escapeHtml(`Output of a kind that the report cannot show: ${Object.keys(output.data).join(", ")}`),
  );
}

function isStream(output: CellOutput | Unreadable): output is Extract<CellOutput, { output_type: "stream" }> {
  return !isUnreadable(output) && output.output_type === "stream";
}

/** Outputs with runs of the same stream joined, as a terminal would show them. */
export function mergedOutputs(outputs: readonly (CellOutput | Unreadable)[]): (CellOutput | Unreadable)[] {
  const merged: (CellOutput | Unreadable)[] = [];
  for (const output of outputs) {
    const last = merged.at(-1);
    if (isStream(output) && last !== undefined && isStream(last) && last.name === output.name)
      merged[merged.length - 1] = { ...last, text: joined(last.text) + joined(output.text) };
    else merged.push(output);
  }
  return merged;
}

/** Text that a terminal would show: colours left out, lines that a carriage return overwrote replaced. */
export function terminalText(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
      .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, "")
      .replace(/\r\n/g, "\n")
      .split("\n")
      .map(lastWritten)
      .join("\n")
  );
}

/** Line as last written: a carriage return within it erases what is before, one at its end nothing. */
function lastWritten(line: string): string {
  let end = line.length;
  while (line[end - 1] === "\r") end--;
  return line.slice(line.lastIndexOf("\r", end - 1) + 1, end);
}

/**
 * A place for an interactive figure. The page's script draws it when it comes near the window; until then, in
 * print and without scripts, its image from the notebook stands there.
 */
function figureHtml(data: Data, page: PageContext): string {
  const figure = data[PLOTLY_MIME];
  if (!isFigure(figure) || !figure.data.every(isObject))
    return block("text error", "A figure whose data cannot be read.");
  const height = Number(figure.layout.height) || 400;
  const still = stillOf(data);
  const spec = jsonForScript({ data: figure.data, layout: figure.layout });
  page.figures.push(figure);
  return (
    `<div class="figure${still ? "" : " without-still"}" style="min-height:${height}px"><div class="plot"></div>` +
    `${still}<script type="application/json">${spec}</script></div>`
  );
}

/** The image among a figure's forms: a PNG, or the one in its HTML. */
function stillOf(data: Data): string {
  if (data["image/png"] !== undefined) return imageHtml("image/png", text(data["image/png"]));
  const image = fragmentOf(text(data["text/html"])).querySelector('img[src^="data:image/"]');
  const [, mime, base64] =
    /^data:(image\/[a-z+]+);base64,(.*)$/s.exec(image?.getAttribute("src") ?? "") ?? [];
  return mime ? imageHtml(mime, base64, image?.getAttribute("alt") ?? "") : "";
}

function imageHtml(mime: string, base64: string, alt = ""): string {
  return `<img src="data:${mime};base64,${base64.replace(/[^A-Za-z0-9+/=]/g, "")}" alt="${escapeHtml(alt)}">`;
}

function latexHtml(source: string): string {
  const tex = source.trim().replace(/^\$\$?([\s\S]*?)\$\$?$/, "$1");
  return `<div class="rich">${mathHtml(tex, true)}</div>`;
}

const block = (classes: string, content: string): string => `<pre class="${classes.trim()}">${content}</pre>`;

const text = (value: unknown): string =>
  typeof value === "string" || Array.isArray(value)
    ? joined(value as Multiline)
    : value === undefined
      ? ""
      : JSON.stringify(value);
