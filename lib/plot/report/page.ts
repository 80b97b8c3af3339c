/** One page from executed notebooks. Nothing here reads or writes a file. */
import { randomBytes } from "node:crypto";
import { escapeHtml, jsonForScript } from "../../escape.js";
import {
  isUnreadable,
  joined,
  type ReadableCell,
  type ReadableNotebook,
  tagsOf,
  type Unreadable,
} from "../../notebook/index.js";
import { plotlyConfig } from "../figure.js";
import type { Figure } from "../plotly.js";
import { durationText } from "../show/progress.js";
import { plotlySource } from "../show/save.js";
import { template } from "../theme.js";
import { client } from "./client.js";
import { codeHtml } from "./code.js";
import { type Heading, markdownHtml, withAttachments, withHeadings } from "./markdown.js";
import { mergedOutputs, outputHtml, type PageContext } from "./outputs.js";
import { guarded, problemHtml } from "./problem.js";
import {
  hasFailed,
  isHidden,
  provenanceOf,
  readableCells,
  type Status,
  secondsOf,
  statusOf,
  totalSeconds,
} from "./provenance.js";
import { css } from "./style.js";

/** A file of a report: a notebook, or why it is not one. */
export type NamedNotebook = { readonly name: string } & (
  | { readonly notebook: ReadableNotebook }
  | { readonly problem: string }
);

interface Section {
  readonly id: string;
  readonly title: string;
  readonly status: Status | "unreadable";
  /** Code cells, and the seconds that they ran. */
  readonly cells: number;
  readonly seconds: number | undefined;
  readonly html: string;
  readonly headings: readonly Heading[];
}

/** The whole report: an HTML document that needs nothing besides itself. */
export function reportPage(notebooks: readonly NamedNotebook[]): string {
  const page: PageContext = { nonce: randomBytes(16).toString("hex"), figures: [] };
  const sections = notebooks.map((file, i) => {
    const id = `notebook-${i + 1}`;
    return "notebook" in file
      ? notebookSection(file.name, file.notebook, id, page)
      : problemSection(file.name, file.problem, id);
  });
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
    // Known to few browsers yet; where it is not, no script runs that is not the report's or the user's own.
    "webrtc 'block'",
    "form-action 'none'",
  ].join("; ");
}

/** The place of a file that cannot be shown. */
function problemSection(name: string, problem: string, id: string): Section {
  const head = `<div class="provenance">${statusBadge("unreadable")} <code>${escapeHtml(name)}</code></div>`;
  const html = `<section class="notebook" id="${id}" data-status="unreadable">\n${head}\n${problemHtml("notebook", problem)}\n</section>`;
  return { id, title: name, status: "unreadable", cells: 0, seconds: undefined, html, headings: [] };
}

function notebookSection(name: string, notebook: ReadableNotebook, id: string, page: PageContext): Section {
  const headings: Heading[] = [];
  const cells = notebook.cells.map((cell) => guarded("cell", () => cellHtml(cell, { id, headings, page })));
  const status = statusOf(notebook);
  const head = guarded("record of the run", () => provenance(name, notebook, status));
  return {
    id,
    title: headings.find((heading) => heading.level === 1)?.text ?? name,
    status,
    cells: readableCells(notebook.cells).filter((cell) => cell.cell_type === "code").length,
    seconds: totalSeconds(notebook),
    headings,
    html: `<section class="notebook" id="${id}" data-status="${status}">\n${head}\n${cells.join("\n")}\n</section>`,
  };
}

/** @param section the notebook's: its id, and its headings so far, which a text cell's are added to */
function cellHtml(
  cell: ReadableCell | Unreadable,
  section: { id: string; headings: Heading[]; page: PageContext },
): string {
  if (isUnreadable(cell)) return problemHtml("cell", `It ${cell.reason}.`);
  if (cell.cell_type !== "markdown") return codeCellHtml(cell, section.page);
  const { id, headings, page } = section;
  const source = joined(cell.source);
  const html = markdownHtml(withAttachments(source, cell.attachments), page.nonce);
  const found = withHeadings(html, `${id}-${headings.length + 1}`);
  headings.push(...found.headings);
  // Where a run ended: ids of the notebook's own are not kept, and each notebook has this one.
  const here = source.includes('id="papermill-error-cell"') ? ` id="${id}-end"` : "";
  const linked = found.html.replace('href="#papermill-error-cell"', `href="#${id}-end"`);
  return `<div class="cell prose"${here}>${linked}</div>`;
}

/** A code cell or a raw one. */
function codeCellHtml(cell: ReadableCell, page: PageContext): string {
  const source = joined(cell.source);
  if (cell.cell_type === "raw") return source.trim() ? `<pre class="text">${escapeHtml(source)}</pre>` : "";
  const outputs = mergedOutputs(cell.outputs ?? []).map((output) =>
    guarded("output", () =>
      isUnreadable(output) ? problemHtml("output", `It ${output.reason}.`) : outputHtml(output, page),
    ),
  );
  const failed = hasFailed(cell);
  return (
    `<div class="cell code${failed ? " failed" : ""}">${sourceHtml(cell, source, failed)}` +
    `<div class="outputs">${outputs.join("\n")}</div></div>`
  );
}

/** Code is folded, except what a reader looks for: the parameters, and what failed. */
function sourceHtml(cell: ReadableCell, source: string, failed: boolean): string {
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

function provenance(name: string, notebook: ReadableNotebook, status: Status): string {
  const entries = provenanceOf(notebook)
    .map(([key, value]) => `<dt>${escapeHtml(key)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join("");
  return (
    `<div class="provenance">${statusBadge(status)} <code>${escapeHtml(name)}</code>` +
    `${entries ? `<details><summary>Where this comes from</summary><dl>${entries}</dl></details>` : ""}</div>`
  );
}

const statusBadge = (status: Section["status"]): string => `<span class="status ${status}">${status}</span>`;

/** Overview of several notebooks; a single one has its own title. */
function overview(sections: readonly Section[]): string {
  if (sections.length < 2) return "";
  const rows = sections.map(({ id, title, status, cells, seconds }) => {
    const time = seconds === undefined ? "" : durationText(seconds);
    return (
      `<tr><td><a href="#${id}">${escapeHtml(title)}</a></td><td>${statusBadge(status)}</td>` +
      `<td style="text-align:right">${cells}</td><td style="text-align:right">${time}</td></tr>`
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
