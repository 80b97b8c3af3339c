import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { JSDOM } from "jsdom";
import { ModalscopeError } from "../../../lib/errors.js";
import { parseReadable } from "../../../lib/notebook/index.js";
import { heatmap } from "../../../lib/plot/marks/heatmap.js";
import { lines } from "../../../lib/plot/marks/lines.js";
import { cleanHtml } from "../../../lib/plot/report/clean.js";
import { markdownHtml } from "../../../lib/plot/report/markdown.js";
import { mathHtml } from "../../../lib/plot/report/math.js";
import { mergedOutputs, terminalText } from "../../../lib/plot/report/outputs.js";
import { reportPage } from "../../../lib/plot/report/page.js";
import { guarded } from "../../../lib/plot/report/problem.js";
import { provenanceOf, statusOf } from "../../../lib/plot/report/provenance.js";
import { writeReport } from "../../../lib/plot/report/write.js";
import { view } from "../../../lib/plot/show/content.js";
import { bundleOf } from "../../../lib/plot/show/show.js";
import { table, tableHtml } from "../../../lib/plot/show/table.js";
import { type Random, seeded } from "../../../lib/random.js";
import { rounds } from "../../rounds.js";

const code = (source: string, outputs: object[] = [], more: object = {}) => ({
  cell_type: "code",
  source,
  outputs,
  execution_count: 1,
  metadata: {},
  ...more,
});
const text = (source: string | string[]) => ({ cell_type: "markdown", source, metadata: {} });
const display = (data: object) => ({ output_type: "display_data", data, metadata: {} });
const notebook = (cells: object[], metadata: object = {}) =>
  JSON.stringify({ nbformat: 4, nbformat_minor: 5, cells, metadata });

const attack = `<script>parent.hacked = 1</script><img src="x" onerror="hacked = 1"><a href="javascript:hacked=1">go</a>`;
const curve = lines([1, 2, 3], { title: "Curve </script><script>hacked = 1</script>" });
const counter = "<!DOCTYPE html><button>0</button><script>document.title = 'ran'</script>";

const first = notebook(
  [
    text(["# Study $\\delta$\n", "\n", `with $x_i^2$ and ${attack}\n`]),
    code("const seed: number = 1; // <b>", [], { metadata: { tags: ["parameters"] } }),
    text("## Figures"),
    code("show(curve)", [
      { output_type: "stream", name: "stdout", text: ["10%\r", "20%\rready <b>\n"] },
      display(bundleOf(curve)),
      display(bundleOf(heatmap([[1, 2]]))),
    ]),
    code("show(table)", [display({ "text/html": tableHtml(table([{ token: "<s>" }])), "text/plain": "x" })]),
    code("show(view)", [display({ "text/html": view(counter, { height: 120, alt: "counter" }).html })]),
    code("hostile", [
      display({ "text/html": `<div onclick="x" style="position:fixed;color:red">d${attack}</div>` }),
    ]),
    code("plain", [display({ "text/plain": attack })]),
  ],
  {
    kernelspec: { display_name: "TypeScript" },
    papermill: { duration: 12.5, parameters: { model: "tiny" } },
    modalscope: { provenance: { checkpoint: "sha256:abc" } },
  },
);

const second = notebook([
  text("# Second <i>one</i>"),
  code("const a = 1;\nthrow new Error('no')", [
    {
      output_type: "error",
      ename: "Error",
      evalue: "no <b>",
      traceback: ["\u001b[31mError\u001b[39m: no <b>", "  at line 2"],
    },
  ]),
  code("never()", [], { execution_count: null }),
]);

let folder: string;
let source: string;
let page: Document;

// The key that views are sealed with.
process.env.XDG_STATE_HOME = mkdtempSync(join(tmpdir(), "state-"));

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "report-"));
  writeFileSync(join(folder, "1.ipynb"), first);
  writeFileSync(join(folder, "2.ipynb"), second);
  const path = await writeReport([join(folder, "1.ipynb"), join(folder, "2.ipynb")], join(folder, "out"));
  assert.equal(path, join(folder, "out", "index.html"));
  source = readFileSync(path, "utf8");
  page = new JSDOM(source).window.document;
});
after(() => {
  rmSync(folder, { recursive: true });
  rmSync(process.env.XDG_STATE_HOME ?? "", { recursive: true });
});

const all = (selector: string, root: ParentNode = page): Element[] => [...root.querySelectorAll(selector)];

test("the report is one file and refers to nothing outside it", () => {
  assert.deepEqual(readdirSync(join(folder, "out")), ["index.html"]);
  for (const element of all("[src], [href]")) {
    const address = element.getAttribute("src") ?? element.getAttribute("href") ?? "";
    assert.match(address, /^(data:image\/|#)/, element.outerHTML.slice(0, 100));
  }
  assert.equal(all("link, base, object, embed").length, 0);
  assert.match(
    page.querySelector("meta[http-equiv]")?.getAttribute("content") ?? "",
    /default-src 'none'; script-src 'nonce-[0-9a-f]{32}'/,
  );
});

test("only the report's own scripts are in it, and plotly once", () => {
  const scripts = all("script");
  assert.equal(scripts.filter((script) => script.getAttribute("type") === "application/json").length, 2);
  const running = scripts.filter((script) => !script.hasAttribute("type"));
  assert.equal(running.length, 2);
  const [, nonce] = /'nonce-(\w+)'/.exec(source) ?? [];
  assert.ok(running.every((script) => script.getAttribute("nonce") === nonce));
  assert.equal(source.split("plotly.js (cartesian").length - 1, 1);
  for (const element of all("*"))
    for (const name of element.getAttributeNames())
      assert.ok(!/^on/i.test(name), element.outerHTML.slice(0, 200));
  assert.equal(page.querySelector("section .rich div")?.getAttribute("onclick"), null);
});

test("hostile text and markup stay inert", () => {
  const [study] = all("section");
  assert.equal(all("script:not([type])", study).length, 0);
  assert.equal(all('a[href^="javascript"]', study).length, 0);
  assert.ok(all("pre.text", study).some((pre) => pre.textContent === attack));
  const box = all(".rich > div", study).find((div) => div.textContent?.startsWith("d"));
  assert.equal(box?.getAttribute("style"), "color:red");
  assert.match(study.textContent ?? "", /\[image {2}\(x\) is not in the notebook\]/);
});

test("figures carry their data, and an image for print", () => {
  const figures = all(".figure");
  assert.equal(figures.length, 2);
  const spec = JSON.parse(figures[0].querySelector("script")?.textContent ?? "");
  assert.deepEqual(spec.data[0].y, [1, 2, 3]);
  assert.equal(spec.layout.title.text, "Curve &lt;/script&gt;&lt;script&gt;hacked = 1&lt;/script&gt;");
  assert.equal(all('.figure > img[src^="data:image/png;base64,"]').length, 2);
});

test("views run in a sandbox of their own", () => {
  const frames = all("iframe");
  assert.equal(frames.length, 1);
  assert.equal(frames[0].getAttribute("sandbox"), "allow-scripts");
  const [, nonce] = /'nonce-(\w+)'/.exec(source) ?? [];
  assert.equal(frames[0].getAttribute("srcdoc"), counter.replace("<script>", `<script nonce="${nonce}">`));
});

test("a frame from a notebook cannot widen its sandbox", () => {
  const hostile =
    '<iframe sandbox="allow-scripts allow-same-origin" srcdoc="<b>x</b>" onload="x" src="http://a"></iframe>';
  const made = JSDOM.fragment(cleanHtml(`${hostile}<iframe src="http://a"></iframe>`, "n"));
  const frames = [...made.querySelectorAll("iframe")];
  assert.equal(frames.length, 1);
  assert.equal(frames[0].getAttribute("sandbox"), "");
  assert.deepEqual(frames[0].getAttributeNames().sort(), ["loading", "sandbox", "srcdoc", "style", "title"]);
});

test("a frame that this user's library has not made runs no script and names no other host", () => {
  const network =
    '<link rel="preconnect" href="http://a"><meta http-equiv="refresh" content="0;url=http://a"><base href="http://a">' +
    "<style>b { color: red }</style><b>kept</b><script>new RTCPeerConnection()</script><img src=x onerror=y>" +
    '<a href="http://a" ping="http://a">go</a><object data="http://a"></object><iframe src="http://a"></iframe>';
  const made = view(network, { height: 10, alt: "x" }).html;
  const [, seal] = /data-modalscope-seal="(\w+)"/.exec(made) ?? [];
  assert.equal(seal?.length, 64);
  const forged = [
    made.replace(/ data-modalscope-seal="\w+"/, ""),
    made.replace(
      seal,
      seal.replace(/^./, (c) => (c === "0" ? "1" : "0")),
    ),
    made.replace("kept", "kept, and changed"),
    made.replace(seal, "é".repeat(64)),
  ];
  for (const markup of forged) {
    const frame = JSDOM.fragment(cleanHtml(markup, "n")).querySelector("iframe");
    const inside = new JSDOM(frame?.getAttribute("srcdoc") ?? "").window.document;
    assert.equal(frame?.getAttribute("sandbox"), "");
    assert.match(inside.body.textContent ?? "", /kept/);
    assert.equal(inside.querySelectorAll("style").length, 1);
    assert.equal(
      inside.querySelectorAll("script, link, meta, base, object, iframe, [ping], [onerror]").length,
      0,
    );
  }
  const own = JSDOM.fragment(cleanHtml(made, "n")).querySelector("iframe");
  assert.match(own?.getAttribute("srcdoc") ?? "", /<script nonce="n">/);
});

test("contents lead to every heading", () => {
  const links = all("nav a");
  assert.deepEqual(
    links.map((a) => a.textContent),
    ["Study δ", "Figures", "Second one"],
  );
  for (const link of all('a[href^="#"]'))
    assert.ok(page.getElementById(link.getAttribute("href")?.slice(1) ?? ""), link.outerHTML);
  const ids = all("[id]").map((element) => element.id);
  assert.equal(new Set(ids).size, ids.length);
});

test("each notebook shows how its run went and where it comes from", () => {
  assert.deepEqual(
    all("section").map((s) => s.getAttribute("data-status")),
    ["passed", "failed"],
  );
  assert.deepEqual(
    all("header .status").map((s) => s.textContent),
    ["passed", "failed"],
  );
  const terms = all("section:first-of-type dt").map(
    (dt) => `${dt.textContent}=${dt.nextElementSibling?.textContent}`,
  );
  assert.deepEqual(terms, [
    "seconds=12.5",
    "kernel=TypeScript",
    "parameter model=tiny",
    "provenance.checkpoint=sha256:abc",
  ]);
});

test("code is folded and coloured; parameters and failures are open", () => {
  const blocks = all("details.code");
  assert.deepEqual(
    blocks.map((block) => block.hasAttribute("open")),
    [true, false, false, false, false, false, true, false],
  );
  assert.equal(blocks[0].querySelector("code")?.textContent, "const seed: number = 1; // <b>");
  assert.equal(blocks[0].querySelector(".hljs-keyword")?.textContent, "const");
  assert.match(blocks[7].textContent ?? "", /not run/);
  const failed = all(".cell.failed");
  assert.equal(failed.length, 1);
  assert.equal(failed[0].querySelector("pre.error")?.textContent, "Error: no <b>\n  at line 2");
});

test("streams read as on a terminal", () => {
  assert.equal(all("pre.text")[0].textContent, "ready <b>\n");
  assert.equal(terminalText("a\rbc\r\nd\u001b[1;31me\u001b[0m\u001b]0;title\u0007f"), "bc\ndef");
  const merged = mergedOutputs([
    { output_type: "stream", name: "stdout", text: "a" },
    { output_type: "stream", name: "stdout", text: ["b", "c"] },
    { output_type: "stream", name: "stderr", text: "d" },
  ]);
  assert.deepEqual(
    merged.map((output) => "text" in output && output.text),
    ["abc", "d"],
  );
});

test("formulas become MathML with real letters; money stays money", () => {
  const fragment = JSDOM.fragment(
    markdownHtml("It costs $5 and $6.\n\n$W\\in\\mathbb{R}^{k}$\n\n$$\na_b\n$$\n\n`$x$`", "n"),
  );
  const formulas = [...fragment.querySelectorAll("math")];
  assert.deepEqual(
    formulas.map((math) => math.getAttribute("display")),
    [null, "block"],
  );
  assert.match(formulas[0].querySelector("msup")?.textContent ?? "", /^ℝk$/);
  assert.equal(fragment.querySelector("p")?.textContent, "It costs $5 and $6.");
  assert.equal(fragment.querySelector("code")?.textContent, "$x$");
  assert.match(mathHtml("\\mathbf{x1}\\mathcal{L}\\mathfrak{g}", false), />𝐱<.*>ℒ<.*>𝔤</s);
  assert.match(mathHtml("\\frac{1", false), /katex-error/);
  const aligned = JSDOM.fragment(markdownHtml("\\begin{align}\na&=1\\\\\nb&=2\n\\end{align}\nafter", "n"));
  assert.equal(aligned.querySelectorAll("mtr").length, 2);
  assert.equal(aligned.querySelector("p")?.textContent, "after");
});

test("status and provenance come from the file alone", () => {
  const read = (...cells: object[]) => statusOf(parseReadable(notebook(cells), "a"));
  assert.equal(read(code("a")), "passed");
  assert.equal(read(code("a"), code(" ", [], { execution_count: null })), "passed");
  assert.equal(read(code("a"), code("b", [], { execution_count: null })), "incomplete");
  const timed = {
    "iopub.execute_input": "2026-01-01T00:00:00.000Z",
    "shell.execute_reply": "2026-01-01T00:00:02.500Z",
  };
  assert.deepEqual(
    provenanceOf(parseReadable(notebook([code("a", [], { metadata: { execution: timed } })]), "a")),
    [["seconds", "2.5"]],
  );
});

test("an expected error and a skipped cell are no failure; a run that was cut short says why", () => {
  const error = { output_type: "error", ename: "Error", evalue: "x", traceback: [] };
  const tagged = (tag: string, more: object) => code("a", [], { metadata: { tags: [tag] }, ...more });
  const status = (...cells: object[]) => statusOf(parseReadable(notebook(cells), "a"));
  assert.equal(status(tagged("raises-exception", { outputs: [error] }), code("b")), "passed");
  assert.equal(status(tagged("skip-execution", { execution_count: null }), code("b")), "passed");
  assert.equal(status(tagged("other", { outputs: [error] }), code("b")), "failed");
  const papermill = { status: "timeout", error: { ename: "CellTimeoutError", evalue: "longer than 5 s" } };
  assert.deepEqual(provenanceOf(parseReadable(notebook([], { papermill }), "a")), [
    ["ended", "timeout: CellTimeoutError: longer than 5 s"],
  ]);
});

test("the banner of a run that failed leads to its place", () => {
  const banner = text(
    "<span>An Exception was encountered at '<a href=\"#papermill-error-cell\">In [2]</a>'.</span>",
  );
  const place = text('<span id="papermill-error-cell">here</span>');
  const one = { name: "a", notebook: parseReadable(notebook([banner, place]), "a") };
  const { document } = new JSDOM(reportPage([one, one])).window;
  const links = [...document.querySelectorAll<HTMLAnchorElement>("a[href$='-end']")].map((a) =>
    a.hash.slice(1),
  );
  assert.deepEqual(links, ["notebook-1-end", "notebook-2-end"]);
  for (const id of links) assert.match(document.getElementById(id)?.textContent ?? "", /here/);
});

test("code that a run has hidden is not shown, unless it failed", () => {
  const hidden = (source: string, outputs: object[] = []) =>
    code(source, outputs, { metadata: { jupyter: { source_hidden: true } } });
  const error = { output_type: "error", ename: "Error", evalue: "x", traceback: ["Error: x"] };
  const page = reportPage([
    { name: "a", notebook: parseReadable(notebook([hidden("unseen"), hidden("seen", [error])]), "a") },
  ]);
  const { document } = new JSDOM(page).window;
  assert.deepEqual(
    [...document.querySelectorAll("details.code code")].map((one) => one.textContent),
    ["seen"],
  );
});

test("what is not a notebook is refused", async () => {
  assert.throws(() => parseReadable("{", "x.ipynb"), /x\.ipynb is not a notebook.*not valid JSON/);
  assert.throws(() => parseReadable('{"nbformat": 3, "worksheets": []}', "x"), /format 3/);
  assert.throws(() => parseReadable("null", "x"), /lacks the field nbformat/);
  await assert.rejects(writeReport([], folder), /needs notebooks/);
  await assert.rejects(writeReport([join(folder, "none.ipynb")], folder), /ENOENT/);
});

test("one odd cell or output takes no other with it: the reason stands in its place", () => {
  const deep = "[".repeat(20_000) + "]".repeat(20_000);
  const json = notebook([
    text("before"),
    code("a", [
      { output_type: "display_data" },
      display({ "application/json": "DEEP" }),
      { output_type: "error", ename: "E", evalue: 1 },
      { output_type: "odd" },
      display({ "application/vnd.plotly.v1+json": { data: [null], layout: {} } }),
      display({ "text/html": "<div>".repeat(60_000) }),
      display({ "text/plain": "stays" }),
    ]),
    code("b", [], {
      metadata: { tags: [1, null, "parameters"], papermill: 5, execution: [], jupyter: null },
    }),
    { cell_type: "markdown", source: "![x](attachment:%zz.png) ![y](attachment:constructor)", metadata: {} },
    { cell_type: "markdown", source: "x", attachments: { "a.png": "text" } },
    text("after"),
  ])
    .replace('"DEEP"', deep)
    .replace(
      '{"cell_type":"markdown","source":"after"',
      'null,7,{},{"cell_type":"markdown","source":"after"',
    );
  const odd = { kernelspec: 3, papermill: { parameters: [1], error: 2, status: {} }, modalscope: "x" };
  const page = reportPage([
    {
      name: "odd",
      notebook: parseReadable(json.replace('"metadata":{}}', `"metadata":${JSON.stringify(odd)}}`), "odd"),
    },
    { name: "no notebook", problem: "It is <no> notebook." },
    { name: "good", notebook: parseReadable(second, "good") },
  ]);
  const { document } = new JSDOM(page).window;
  const problems = [...document.querySelectorAll(".problem")].map((one) => one.textContent);
  assert.deepEqual(problems, [
    "This output cannot be shown. It has no data.",
    "This output cannot be shown. It is nested too deeply.",
    "This output cannot be shown. It is an error without name, message or traceback.",
    'This output cannot be shown. It has the unknown type "odd".',
    "This output cannot be shown. This HTML is not shown: its elements are nested more than 512 deep.",
    "This cell cannot be shown. It has attachments that are not files by name.",
    "This cell cannot be shown. It is not an object.",
    "This cell cannot be shown. It is not an object.",
    "This cell cannot be shown. It has the unknown type undefined.",
    "This notebook cannot be shown. It is <no> notebook.",
  ]);
  assert.match(document.body.textContent ?? "", /before[\s\S]*stays[\s\S]*after[\s\S]*Second one/);
  assert.deepEqual(
    [...document.querySelectorAll("section")].map((one) => one.dataset.status),
    ["passed", "unreadable", "failed"],
  );
});

test("mutants of a notebook each give a page", () => {
  const count = rounds(20, 200);
  const random = seeded(13);
  const odd: unknown[] = [
    null,
    0,
    -1,
    "",
    "x",
    [],
    {},
    [null],
    { a: null },
    true,
    "<b",
    "%zz",
    1e308,
    [[[]]],
  ];
  for (let round = 0; round < count; round++) {
    const mutant = JSON.parse(random.uniform() < 0.5 ? first : second) as Record<string, unknown>;
    for (let i = 0; i < 1 + 3 * random.uniform(); i++) mutate(mutant, random, odd);
    let json = JSON.stringify(mutant);
    if (random.uniform() < 0.1) json = json.slice(0, Math.floor(json.length * random.uniform()));
    const page = reportOf(json);
    assert.match(page, /<\/html>\n$/, `round ${round}`);
    assert.match(page, /Second one/, `round ${round}`);
  }
});

/** The page of a mutant with a good notebook beside it. */
function reportOf(json: string): string {
  const good = { name: "good", notebook: parseReadable(second, "good") };
  try {
    return reportPage([{ name: "mutant", notebook: parseReadable(json, "mutant") }, good]);
  } catch (error) {
    assert.ok(error instanceof ModalscopeError, String(error));
    return reportPage([{ name: "mutant", problem: error.message }, good]);
  }
}

/** Replaces, deletes or adds a value at a random place. */
function mutate(root: Record<string, unknown>, random: Random, odd: readonly unknown[]): void {
  let place: Record<string, unknown> = root;
  for (;;) {
    const key = random.pick(Object.keys(place));
    if (key === undefined) return;
    const inner = place[key];
    if (
      typeof inner === "object" &&
      inner !== null &&
      Object.keys(inner).length > 0 &&
      random.uniform() < 0.8
    ) {
      place = inner as Record<string, unknown>;
      continue;
    }
    if (random.uniform() < 0.2 && !Array.isArray(place)) delete place[key];
    else place[key] = random.pick(odd);
    return;
  }
}

test("hostile text takes time in proportion to its length", () => {
  const kinds: Record<string, (n: number) => string> = {
    "nested elements": (n) => markdownOrProblem("<div>".repeat(n)),
    "unclosed formatting": (n) => markdownOrProblem("<b a=1><i b=2>".repeat(20) + "<p>x".repeat(n)),
    "dollars at the starts of lines": (n) => markdownHtml("$$a\n".repeat(n), "n"),
    "dollars in a line": (n) => markdownHtml("$$a ".repeat(n), "n"),
    environments: (n) => markdownHtml("\\begin{a}\n".repeat(n), "n"),
    images: (n) => cleanHtml("<img src=x>".repeat(n), "n"),
    "carriage returns": (n) => terminalText(`${"\r".repeat(50 * n)}x`),
  };
  for (const [kind, make] of Object.entries(kinds)) {
    const seconds = (n: number): number => {
      const start = process.cpuUsage();
      make(n);
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1e6;
    };
    seconds(200);
    const [small, large] = [seconds(1000), seconds(8000)];
    assert.ok(large < 0.2 + 24 * small, `${kind}: ${small} s for 1,000, ${large} s for 8,000`);
  }
});

function markdownOrProblem(markup: string): string {
  return guarded("output", () => markdownHtml(markup, "n"));
}
