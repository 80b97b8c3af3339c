import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, test } from "node:test";
import { JSDOM } from "jsdom";
import { STILL_TO_COME } from "../../../lib/display.js";
import { toPng } from "../../../lib/plot/draw/draw.js";
import { figure } from "../../../lib/plot/figure.js";
import { lines } from "../../../lib/plot/marks/lines.js";
import { formatInterval, formatP, formatShare } from "../../../lib/plot/numbers.js";
import { cleanHtml } from "../../../lib/plot/report/clean.js";
import { html, image, markdown, rawHtml, view } from "../../../lib/plot/show/content.js";
import type { Bundle, Display } from "../../../lib/plot/show/display.js";
import { barLine, durationText, progressBar } from "../../../lib/plot/show/progress.js";
import { plotlySource, save } from "../../../lib/plot/show/save.js";
import { bundleOf, show } from "../../../lib/plot/show/show.js";
import { type Table, table, tableHtml, tableText } from "../../../lib/plot/show/table.js";

const require = createRequire(import.meta.url);
const KEY = Symbol.for("modalscope.display");
const SIGNAL = Symbol.for("modalscope.signal");
const kernel = globalThis as { [KEY]?: Display; [SIGNAL]?: AbortSignal };
const parsed = (markup: unknown): DocumentFragment => JSDOM.fragment(String(markup));

interface Sent {
  readonly kind: "display" | "update";
  readonly id?: string;
  readonly bundle: Bundle;
}

function fakeKernel(): Sent[] {
  const sent: Sent[] = [];
  kernel[KEY] = {
    display: (bundle, options) => sent.push({ kind: "display", id: options?.displayId, bundle }),
    update: (id, bundle) => sent.push({ kind: "update", id, bundle }),
    clear: () => {},
  };
  return sent;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plot-"));
});
afterEach(() => {
  delete kernel[KEY];
  rmSync(folder, { recursive: true });
});

test("a figure leaves its image to a notebook's side that draws it", () => {
  const sent = fakeKernel();
  const shown = lines([1, 2, 3]);
  show(shown);
  kernel[KEY] = { ...(kernel[KEY] as Display), addsStills: true };
  show(shown);
  assert.deepEqual(sent[1].bundle, { ...sent[0].bundle, "text/html": STILL_TO_COME });
  assert.deepEqual(bundleOf(shown), sent[0].bundle);
});

test("a figure is shown as plotly's JSON with an image that needs no trust", () => {
  const sent = fakeKernel();
  show(lines([1, 2, 3], { title: "Loss <b>" }));
  const { bundle } = sent[0];
  assert.deepEqual(Object.keys(bundle).sort(), ["application/vnd.plotly.v1+json", "text/html", "text/plain"]);
  const plotly = bundle["application/vnd.plotly.v1+json"] as { data: unknown[]; config: object };
  assert.deepEqual(JSON.parse(JSON.stringify(plotly)).data[0].y, [1, 2, 3]);
  assert.deepEqual(plotly.config, { responsive: true, displaylogo: false, showSendToCloud: false });
  const fragment = parsed(bundle["text/html"]);
  const image = fragment.firstElementChild as HTMLImageElement;
  assert.equal(fragment.childElementCount, 1);
  assert.equal(image.alt, "Loss <b>");
  const bytes = Buffer.from(image.src.replace("data:image/png;base64,", ""), "base64");
  // A PNG of 1520 × 800: its size stands at bytes 16 to 23.
  assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)], [1520, 800]);
  assert.equal(bundle["text/plain"], "Figure: Loss <b> (scatter)");
});

test("a figure that only a browser can draw says so in its fallback", () => {
  const bundle = bundleOf(figure([{ type: "scatter3d" }], { title: "<x>" }));
  assert.match(String(bundle["text/html"]), /^<p>&lt;x&gt;: this figure \(scatter3d\)/);
});

test("outside a kernel, one line says what would be shown", (context) => {
  const log = context.mock.method(console, "log", () => {});
  show(
    lines([1, 2], { title: "Loss" }),
    table([{ a: 1 }], { caption: "Numbers" }),
    markdown("# Title\nmore"),
    "text",
  );
  assert.deepEqual(
    log.mock.calls.map((call) => call.arguments),
    [["Figure: Loss (scatter)"], ["Table: Numbers (1 rows)"], ["# Title …"], ["text"]],
  );
});

test("other things are shown as text", () => {
  assert.deepEqual(bundleOf("a <b>"), { "text/plain": "a <b>" });
  assert.deepEqual(bundleOf(markdown("# a")), { "text/markdown": "# a", "text/plain": "# a" });
  assert.equal(bundleOf({ a: [1, 2] })["text/plain"], "{ a: [ 1, 2 ] }");
  assert.match(
    String(bundleOf({ shape: [2], data: Float32Array.of(1, 2) })["text/plain"]),
    /^Tensor \(2\) Float32Array/,
  );
  assert.equal(bundleOf(undefined)["text/plain"], "undefined");
});

test("html escapes what is put into it, and takes html as it is", () => {
  const inner = html`<i>${"<script>alert(1)</script>"}</i>`;
  const made = html`<p title="${'" onclick="x'}">${inner}${[inner, " & "]}${undefined}</p>`;
  const element = parsed(made.html).firstElementChild as Element;
  assert.deepEqual(element.getAttributeNames(), ["title"]);
  assert.equal(element.querySelectorAll("i").length, 2);
  assert.equal(element.querySelectorAll("script").length, 0);
  assert.equal(made.text, "<script>alert(1)</script> <script>alert(1)</script> &");
  assert.equal(rawHtml("<b>x</b>").html, "<b>x</b>");
});

test("images are known by their bytes", () => {
  const png = toPng(lines([1, 2]), { width: 100, height: 80, scale: 1 });
  const shown = parsed(bundleOf(image(png, { alt: 'a "map"', width: 50 }))["text/html"]).firstElementChild;
  assert.deepEqual([shown?.getAttribute("alt"), shown?.getAttribute("width")], ['a "map"', "50"]);
  assert.ok(shown?.getAttribute("src")?.startsWith("data:image/png;base64,iVBOR"));
  assert.equal(image(Buffer.from('<?xml version="1.0"?><svg/>')).mime, "image/svg+xml");
  assert.equal(image(Buffer.from([0xff, 0xd8, 0xff, 0xe0])).mime, "image/jpeg");
  assert.throws(() => image(Buffer.from("hello")), /not an image.*"hello"/);
});

test("a view is a sandboxed frame over its fallback", () => {
  const document = '<script>alert("1 & 2")</script>';
  const fragment = parsed(view(document, { height: 200, alt: "a <graph>" }).html);
  const frame = fragment.querySelector("iframe");
  assert.equal(frame?.getAttribute("sandbox"), "allow-scripts");
  assert.equal(frame?.getAttribute("srcdoc"), document);
  assert.equal(fragment.querySelector("p")?.textContent, "a <graph>");
  assert.equal(fragment.querySelectorAll("script").length, 0);
});

const rows = [
  { token: "<s>", Δ: -0.123456, n: 12 },
  { token: "数字", Δ: 1.5e-7, n: 1_234_567, extra: null },
  { token: "a\nb", Δ: Number.NaN, n: 0 },
];

test("a table escapes its cells and counts the rows it leaves out", () => {
  const made = table(rows, { caption: "Tokens & <more>", limit: 2 });
  const fragment = parsed(tableHtml(made));
  const texts = (selector: string) =>
    [...fragment.querySelectorAll(selector)].map((element) => element.textContent);
  assert.deepEqual(texts("th"), ["token", "Δ", "n", "extra"]);
  assert.deepEqual(texts("td"), ["<s>", "−0.1235", "12", "", "数字", "1.500e-7", "1234567", ""]);
  assert.deepEqual(texts("caption"), ["Tokens & <more>"]);
  assert.deepEqual(texts("p"), ["… and 1 more rows of 3"]);
  assert.match(tableHtml(made), /<td style="text-align:right;white-space:nowrap">−0\.1235/);
});

test("cells of a table that is too wide for a narrow page name their columns", () => {
  const cellsOf = (made: Table): Element[] => [...parsed(tableHtml(made)).querySelectorAll("td")];
  const columnsIn = (made: Table): (string | null)[] =>
    cellsOf(made).map((cell) => cell.getAttribute("data-column"));
  const sentence = "a sentence of several words which needs a line or more ".repeat(2);
  const wide = table([{ claim: sentence, measured: sentence, "5 % <": "0.5" }]);
  assert.deepEqual(columnsIn(wide), ["claim", "measured", "5 % <"]);
  assert.ok(parsed(tableHtml(wide)).querySelector("table.wide"));
  assert.deepEqual(columnsIn(table([{ item: "checkpoint", value: "f".repeat(64) }])), [null, null]);
  const [, hash] = cellsOf(table([{ item: "checkpoint", value: "f".repeat(64) }]));
  assert.match(hash.getAttribute("style")!, /overflow-wrap:anywhere/);
  // A report keeps the name.
  assert.match(cleanHtml(tableHtml(wide), ""), /<td data-column="5 % <"/);
});

test("a table as text lines up, East Asian letters counted as two columns", () => {
  assert.equal(
    tableText(table(rows, { columns: ["token", "Δ"] })),
    ["token         Δ", "─────  ────────", "<s>     −0.1235", "数字   1.500e-7", "a\\nb        NaN"].join(
      "\n",
    ),
  );
});

test("an empty cell of a spanning column belongs to the one above it", () => {
  const made = table(
    [
      { claim: "first", test: "a" },
      { claim: "", test: "b" },
      { claim: "", test: "" },
      { claim: "second", test: "c" },
    ],
    { spanning: ["claim"] },
  );
  const cells = [...parsed(tableHtml(made)).querySelectorAll("td")];
  assert.deepEqual(
    cells.map((cell) => [cell.textContent, cell.getAttribute("rowspan")]),
    [
      ["first", "3"],
      ["a", null],
      ["b", null],
      ["", null],
      ["second", "1"],
      ["c", null],
    ],
  );
  assert.throws(
    () => table([{ claim: "x" }], { spanning: ["clam"] }),
    /no column "clam".*Did you mean "claim"/,
  );
});

test("a wide table as text breaks long cells between words", () => {
  const textOf = (a: string): string => tableText(table([{ a, n: 1 }], { columns: ["a", "n"] }));
  const [, , first, second, third] = textOf(`${"word ".repeat(25)}end`).split("\n");
  assert.equal(first, `${"word ".repeat(12).trimEnd()}  1`);
  assert.equal(second, "word ".repeat(12).trimEnd());
  assert.equal(third, "word end");
  assert.equal(textOf("word ".repeat(20).trimEnd()).split("\n").length, 3);
});

test("tables take formats, data frames, and name wrong columns", () => {
  const share = (value: unknown) => `${Math.round(Number(value) * 100)}%`;
  assert.deepEqual(table([{ a: 0.25 }], { format: { a: share } }).cells, [["25%"]]);
  const measured = { estimate: 0.42, low: 0.3149, high: 0.55 };
  assert.equal(formatInterval(measured), "0.420 [0.315, 0.550]");
  assert.equal(formatInterval(measured, 2), "0.42 [0.31, 0.55]");
  assert.equal(formatShare({ ...measured, n: 50 }), "21/50 = 42% [31%, 55%]");
  assert.deepEqual([0.0004, 0.001, 0.0456].map(formatP), ["p < 0.001", "p = 0.001", "p = 0.046"]);
  const { DataFrame } = require("danfojs-node") as {
    DataFrame: new (data: object) => { columns: string[]; values: unknown };
  };
  const frame = new DataFrame({ layer: [0, 1], accuracy: [0.5, 0.75] });
  assert.deepEqual(table(frame).cells, [
    ["0", "0.5000"],
    ["1", "0.7500"],
  ]);
  assert.match(
    String(bundleOf(frame)["text/html"]),
    /<td style="text-align:right;white-space:nowrap">0\.7500/,
  );
  assert.throws(() => table([{ layer: 1 }], { columns: ["layr"] }), /no column "layr".*Did you mean "layer"/);
  assert.throws(() => table([{ layer: 1 }], { format: { x: String } }), /no column "x"/);
  assert.throws(() => table({ columns: ["a"], values: 3 }), /neither rows nor a data frame/);
});

test("figures are saved by their file's ending", () => {
  const made = lines([1, 2, 3], { title: "A </script> title" });
  for (const ending of ["html", "svg", "png", "json"]) save(made, join(folder, `new/figure.${ending}`));
  const read = (ending: string) => readFileSync(join(folder, `new/figure.${ending}`));
  assert.deepEqual(JSON.parse(read("json").toString()).data[0].y, [1, 2, 3]);
  assert.equal(read("png").subarray(1, 4).toString(), "PNG");
  assert.match(read("svg").toString(), /^<svg/);
  const page = new JSDOM(read("html").toString()).window.document;
  assert.equal(page.title, "A </script> title");
  assert.equal(page.querySelectorAll("script").length, 2);
  assert.equal(page.body.textContent?.includes('</script> title"'), false);
  assert.throws(() => save(made, "figure.pdf"), /\.html, \.svg, \.png, \.json/);
});

test("plotly comes whole only where a figure needs it", () => {
  const flat = plotlySource([lines([1, 2])]);
  const deep = plotlySource([figure([{ type: "scatter3d" }], {})]);
  assert.ok(flat.length < deep.length / 2);
  for (const source of [flat, deep]) assert.ok(!/<\/script|<!--/i.test(source));
});

test("a progress bar stays in one place, is throttled, and ends with time and memory", () => {
  const sent = fakeKernel();
  let now = 0;
  const bar = progressBar("sweep", { now: () => now });
  for (let done = 0; done <= 100; done++) {
    now = done * 20;
    bar(done, 100, "layer");
  }
  bar.done();
  // At most one line in 100 ms of the 2000 ms, and the last one.
  assert.equal(sent.length, 21);
  assert.equal(sent[0].kind, "display");
  assert.ok(sent.slice(1).every(({ kind, id }) => kind === "update" && id === sent[0].id));
  assert.equal(
    sent[10].bundle["text/plain"],
    "sweep: layer ━━━━━━━━━━━━────────────  50% 50/100, 50/s, 1.0 s left",
  );
  assert.match(
    String(sent.at(-1)?.bundle["text/plain"]),
    /^sweep: layer: 100\/100 in 2\.0 s, memory [\d.]+ [GM]B \(peak [\d.]+ [GM]B\)$/,
  );
  bar(1, 2, "");
  assert.equal(sent.at(-1)?.kind, "display");
  assert.notEqual(sent.at(-1)?.id, sent[0].id);
});

test("a progress bar counts whole steps, and is drawn to the part of one", () => {
  assert.equal(
    barLine({ label: "checkpoints", done: 1.5, total: 4, elapsed: 3000 }),
    "checkpoints ━━━━━━━━━───────────────  37% 1/4, 2.0 s each, 5.0 s left",
  );
});

test("a progress bar of several calls keeps its place in one run of a cell", () => {
  const sent = fakeKernel();
  const bar = progressBar("measure");
  const runs = [new AbortController().signal, new AbortController().signal];
  try {
    for (const run of runs) {
      kernel[SIGNAL] = run;
      for (const call of ["first", "second"]) bar(1, 1, call);
    }
  } finally {
    delete kernel[SIGNAL];
  }
  assert.deepEqual(
    sent.map(({ kind }) => kind),
    ["display", "update", "display", "update"],
  );
  assert.deepEqual([sent[1].id, sent[3].id], [sent[0].id, sent[2].id]);
  assert.notEqual(sent[0].id, sent[2].id);
});

test("outside a kernel progress goes to a stream: overwritten on a terminal, sparse in a log", () => {
  for (const isTTY of [true, false]) {
    const stream = Object.assign(new PassThrough(), { isTTY });
    let now = 0;
    const bar = progressBar("run", { stream, now: () => now });
    for (let done = 1; done <= 30; done++) {
      now += 1000;
      bar(done, 30, "");
    }
    const text = String(stream.read());
    assert.equal(text.split("\n").length - 1, isTTY ? 1 : 3, JSON.stringify(text));
    assert.equal(text.split("\r\x1b[2K").length - 1, isTTY ? 30 : 0);
    assert.match(text, /run: 30\/30 in 29 s, memory/);
  }
});

test("durations and bars read well", () => {
  assert.deepEqual([0.04, 9.96, 59.6, 200, 7500].map(durationText), [
    "0.0 s",
    "10 s",
    "1 min 0 s",
    "3 min 20 s",
    "2 h 5 min",
  ]);
  assert.equal(barLine({ label: "a", done: 0, total: 4, elapsed: 0 }), `a ${"─".repeat(24)}   0% 0/4`);
  assert.match(barLine({ label: "a", done: 1, total: 4, elapsed: 8000 }), /1\/4, 8\.0 s each, 24 s left$/);
  // What was done before does not make it look fast.
  const resumed = { label: "a", done: 902, total: 1000, from: 900, elapsed: 4000 };
  assert.match(barLine(resumed), /902\/1000, 2\.0 s each, 3 min 16 s left$/);
});
