/** One page from executed notebooks. Nothing here reads or writes a file. */
import { randomBytes } from "node:crypto";
import { escapeHtml, jsonForScript } from "../escape.js";
import { plotlyConfig } from "../figure.js";
import type { Figure } from "../plotly.js";
import { durationText } from "../show/progress.js";
import { plotlySource } from "../show/save.js";
import { template } from "../theme.js";
import { client } from "./client.js";
import { codeHtml } from "./code.js";
import { type Heading, markdownHtml, withAttachments, withHeadings } from "./markdown.js";
import {
  type Cell,
  hasFailed,
  isHidden,
  joined,
  type Notebook,
  provenanceOf,
  secondsOf,
  statusOf,
  tagsOf,
} from "./notebook.js";
import { mergedOutputs, outputHtml, type PageContext } from "./outputs.js";
import { css } from "./style.js";

export interface NamedNotebook {
  readonly name: string;
  readonly notebook: Notebook;
}

interface Section {
  readonly id: string;
  readonly name: string;
  readonly notebook: Notebook;
  readonly title: string;
  readonly html: string;
  readonly headings: readonly Heading[];
}

/** The whole report: an HTML document that needs nothing besides itself. */
export function reportPage(notebooks: readonly NamedNotebook[]): string {
  const page: PageContext = { nonce: randomBytes(16).toString("hex"), figures: [] };
  const sections = notebooks.map(({ name, notebook }, i) =>
    sectionOf(name, notebook, `notebook-${i + 1}`, page),
  );
  const title = sections.length === 1 ? sections[0].title : "Report";
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy(page.nonce)}">
<title>${escapeHtml(title)}</title>
<style>${css}</style>
</head>
<body>
<nav class="contents" aria-label="Contents">${contents(sections)}</nav>
<main>
<header>
<div class="tools"><button id="theme" type="button">Light / dark</button><button id="code" type="button">Show / hide code</button></div>
${overview(sections)}
</header>
${sections.map((section) => section.html).join("\n")}
</main>
${scripts(page.figures, page.nonce)}
</body>
</html>
`;
}

/** Nothing is fetched, and only scripts that carry this page's nonce run: a script in an output cannot know it. */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    "style-src 'unsafe-inline'",
    "img-src data: blob:",
    "font-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
}

function sectionOf(name: string, notebook: Notebook, id: string, page: PageContext): Section {
  const headings: Heading[] = [];
  const cells = notebook.cells.map((cell) => {
    if (cell.cell_type !== "markdown") return codeCellHtml(cell, page);
    const html = markdownHtml(withAttachments(joined(cell.source), cell.attachments), page.nonce);
    const found = withHeadings(html, `${id}-${headings.length + 1}`);
    headings.push(...found.headings);
    // Where a run ended: ids of the notebook's own are not kept, and each notebook has this one.
    const here = joined(cell.source).includes('id="papermill-error-cell"') ? ` id="${id}-end"` : "";
    const linked = found.html.replace('href="#papermill-error-cell"', `href="#${id}-end"`);
    return `<div class="cell prose"${here}>${linked}</div>`;
  });
  const status = statusOf(notebook);
  return {
    id,
    name,
    notebook,
    title: headings.find((heading) => heading.level === 1)?.text ?? name,
    headings,
    html: `<section class="notebook" id="${id}" data-status="${status}">\n${provenance(name, notebook)}\n${cells.join("\n")}\n</section>`,
  };
}

/** A code cell or a raw one. */
function codeCellHtml(cell: Cell, page: PageContext): string {
  const source = joined(cell.source);
  if (cell.cell_type === "raw") return source.trim() ? `<pre class="text">${escapeHtml(source)}</pre>` : "";
  const outputs = mergedOutputs(cell.outputs ?? []).map((output) => outputHtml(output, page));
  const failed = hasFailed(cell);
  return (
    `<div class="cell code${failed ? " failed" : ""}">${sourceHtml(cell, source, failed)}` +
    `<div class="outputs">${outputs.join("\n")}</div></div>`
  );
}

/** Code is folded, except what a reader looks for: the parameters, and what failed. */
function sourceHtml(cell: Cell, source: string, failed: boolean): string {
  if (!source.trim() || (isHidden(cell) && !failed)) return "";
  const tags = tagsOf(cell);
  const seconds = secondsOf(cell);
  const lines = source.trimEnd().split("\n").length;
  const label = [
    tags.includes("injected-parameters")
      ? "Parameters of this run"
      : tags.includes("parameters")
        ? "Parameters"
        : "Code",
    `${lines} ${lines === 1 ? "line" : "lines"}`,
    ...(seconds === undefined ? [] : [durationText(seconds)]),
    ...(cell.execution_count ? [] : ["not run"]),
  ].join(" · ");
  const open = failed || tags.some((tag) => tag.endsWith("parameters"));
  return (
    `<details class="code"${open ? " open" : ""}><summary>${escapeHtml(label)}</summary>` +
    `<pre><code>${codeHtml(source, "typescript")}</code></pre></details>`
  );
}

function provenance(name: string, notebook: Notebook): string {
  const entries = provenanceOf(notebook)
    .map(([key, value]) => `<dt>${escapeHtml(key)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join("");
  return (
    `<div class="provenance">${statusBadge(notebook)} <code>${escapeHtml(name)}</code>` +
    `${entries ? `<details><summary>Where this comes from</summary><dl>${entries}</dl></details>` : ""}</div>`
  );
}

const statusBadge = (notebook: Notebook): string => {
  const status = statusOf(notebook);
  return `<span class="status ${status}">${status}</span>`;
};

/** What stands before several notebooks; one has its own title. */
function overview(sections: readonly Section[]): string {
  if (sections.length < 2) return "";
  const rows = sections.map(({ id, title, notebook }) => {
    const cells = notebook.cells.filter((cell) => cell.cell_type === "code");
    const seconds = cells.map(secondsOf).filter((s) => s !== undefined);
    const time = seconds.length > 0 ? durationText(seconds.reduce((a, b) => a + b, 0)) : "";
    return (
      `<tr><td><a href="#${id}">${escapeHtml(title)}</a></td><td>${statusBadge(notebook)}</td>` +
      `<td style="text-align:right">${cells.length}</td><td style="text-align:right">${time}</td></tr>`
    );
  });
  return (
    "<h1>Report</h1>" +
    '<table><thead><tr><th style="text-align:left">Notebook</th><th>Run</th><th>Code cells</th><th>Time</th></tr></thead>' +
    `<tbody>${rows.join("")}</tbody></table>`
  );
}

function contents(sections: readonly Section[]): string {
  const items = sections.map(({ id, title, headings }) => {
    const rest = headings
      .filter((heading) => heading.level > 1)
      .map(
        ({ level, text, id }) => `<li class="level-${level}"><a href="#${id}">${escapeHtml(text)}</a></li>`,
      );
    return `<li class="notebook"><a href="#${id}">${escapeHtml(title)}</a></li>${rest.join("")}`;
  });
  return `<ol>${items.join("")}</ol>`;
}

function scripts(figures: readonly Figure[], nonce: string): string {
  const plotly = figures.length > 0 ? `<script nonce="${nonce}">${plotlySource(figures)}</script>\n` : "";
  const templates = jsonForScript({ light: template("light"), dark: template("dark") });
  return `${plotly}<script nonce="${nonce}">const templates = ${templates};\nconst config = ${jsonForScript(plotlyConfig)};\n${client}</script>`;
}
