import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeHtml, escapeLabel, jsonForScript, sourceForScript } from "../../lib/escape.js";
import { figure, themed, titleOf } from "../../lib/plot/figure.js";
import { facets } from "../../lib/plot/marks/facets.js";
import { heatmap } from "../../lib/plot/marks/heatmap.js";
import { lines } from "../../lib/plot/marks/lines.js";
import { regions, rules } from "../../lib/plot/marks/rules.js";
import type { Layout } from "../../lib/plot/plotly.js";
import { palette, paperColour, template } from "../../lib/plot/theme.js";

/** Linear RGB of a hex colour. */
function linear(hex: string): number[] {
  return [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
}

const times = (m: number[][], v: number[]) => m.map((row) => row.reduce((sum, a, i) => sum + a * v[i], 0));

test("series colours stand out from both papers (WCAG contrast)", () => {
  const luminance = (hex: string) => times([[0.2126, 0.7152, 0.0722]], linear(hex))[0] + 0.05;
  for (const theme of ["light", "dark"] as const)
    for (const hex of palette) {
      const [a, b] = [luminance(hex), luminance(paperColour(theme))];
      assert.ok(Math.max(a, b) / Math.min(a, b) > 2.2, `${hex} on ${theme}`);
    }
});

test("series colours differ for colour-blind readers", () => {
  // Simulations at full severity: Machado, Oliveira & Fernandes 2009. Distances in OKLab × 100.
  const seen: Record<string, number[][]> = {
    all: [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    deutan: [
      [0.367322, 0.860646, -0.227968],
      [0.280085, 0.672501, 0.047413],
      [-0.01182, 0.04294, 0.968881],
    ],
    protan: [
      [0.152286, 1.052583, -0.204868],
      [0.114503, 0.786281, 0.099216],
      [-0.003882, -0.048116, 1.051998],
    ],
    tritan: [
      [1.255528, -0.076749, -0.178779],
      [-0.078411, 0.930809, 0.147602],
      [0.004733, 0.691367, 0.3039],
    ],
  };
  const toLms = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
  ];
  const toLab = [
    [0.2104542553, 0.793617785, -0.0040720468],
    [1.9779984951, -2.428592205, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.808675766],
  ];
  const lab = (hex: string, eye: number[][]) =>
    times(
      toLab,
      times(
        toLms,
        times(eye, linear(hex)).map((c) => Math.min(1, Math.max(0, c))),
      ).map(Math.cbrt),
    );
  for (const [name, eye] of Object.entries(seen))
    for (let i = 0; i < 6; i++)
      for (let j = 0; j < i; j++) {
        const distance = 100 * Math.hypot(...lab(palette[i], eye).map((v, k) => v - lab(palette[j], eye)[k]));
        assert.ok(distance > 7, `${palette[i]} and ${palette[j]} for ${name}: ${distance.toFixed(1)}`);
      }
});

test("text becomes inert in each place that it can go to", () => {
  const hostile = `<b onclick="x()">&'</script><!--`;
  assert.equal(escapeHtml(hostile), "&lt;b onclick=&quot;x()&quot;&gt;&amp;&#39;&lt;/script&gt;&lt;!--");
  assert.equal(escapeLabel("<s>\n\t&"), "&lt;s&gt;\\n\\t&amp;");
  const json = jsonForScript({ a: "</script><!--\u2028" });
  assert.ok(!json.includes("<"));
  assert.deepEqual(JSON.parse(json), { a: "</script><!--\u2028" });
  const source = sourceForScript('const a = "</script>"; const b = /<!--/;');
  assert.ok(!/<\/script|<!--/i.test(source));
  assert.deepEqual(new Function(`${source} return [a, b.test("<!--")]`)(), ["</script>", true]);
});

test("labels of a figure are text, and the title comes back as it was given", () => {
  const title = `Token <s> & ${"a long title ".repeat(9)}end`;
  const made = figure([], { title, x: "<i>x</i>", y: "a & b" });
  const text = made.layout.title?.text ?? "";
  assert.ok(text.includes("&lt;s&gt;") && text.includes("<br>"));
  assert.equal(titleOf(made), title);
  assert.equal(made.layout.xaxis?.title?.text, "&lt;i&gt;x&lt;/i&gt;");
});

test("a theme changes the template and nothing else", () => {
  const light = lines([1, 2]);
  const dark = themed(light, "dark");
  assert.deepEqual(dark.layout.template, template("dark"));
  assert.deepEqual({ ...dark.layout, template: 0 }, { ...light.layout, template: 0 });
  assert.notDeepEqual(template("dark"), template("light"));
});

test("rules and regions lie on the axis that they name", () => {
  const base = lines([1, 10, 100], { yLog: true });
  const { layout } = regions(rules(base, [{ y: 10, label: "<chance>" }, { x: 1 }]), {
    from: 0,
    to: 1.5,
    label: "early",
  });
  const [horizontal, vertical, region] = layout.shapes ?? [];
  assert.deepEqual(
    [horizontal.y0, horizontal.y1, horizontal.yref, horizontal.xref],
    [10, 10, "y", "x domain"],
  );
  assert.deepEqual([vertical.x0, vertical.x1, vertical.xref, vertical.yref], [1, 1, "x", "y domain"]);
  assert.deepEqual([region.x0, region.x1, region.type], [0, 1.5, "rect"]);
  const [label, early] = layout.annotations ?? [];
  assert.deepEqual([label.text, label.y], ["&lt;chance&gt;", 1]);
  assert.deepEqual([early.text, early.x], ["early", 0.75]);
  assert.equal(base.layout.shapes, undefined);
  const ends = rules(base, [
    { y: 1, label: "a", end: "left" },
    { y: 2, label: "b" },
  ]).layout.annotations as { x: number; xanchor: string }[];
  assert.deepEqual(
    ends.slice(-2).map(({ x, xanchor }) => [x, xanchor]),
    [
      [0, "left"],
      [1, "right"],
    ],
  );
  assert.throws(() => rules(base, { label: "nowhere" }), /one place of one axis/);
  assert.throws(() => rules(base, { x: 1, y: 1 }), /one place of one axis/);
  assert.throws(() => rules(base, { y: Number.NaN }), /one place of one axis/);
  assert.throws(() => regions(base, { from: 2, to: 1 }), /runs from 2 to 1/);
  assert.throws(() => regions(base, { from: 0, to: 1, color: "red" }), /#rrggbb/);
});

test("facets: panels tile the plane, share axes, legend and colours", () => {
  const panel = (k: number) =>
    rules(lines({ hard: [k, 2], easy: [0, 1] }, { x: "layer", y: "bits" }), { y: 1, label: "τ" });
  const made = facets({ "a<b": panel(0), b: panel(1), c: panel(2) }, { columns: 2, title: "All" });
  const { layout, data } = made;
  const domain = (name: string) => (layout[name] as { domain: number[] }).domain;
  assert.deepEqual(domain("xaxis")[0], 0);
  assert.deepEqual(domain("xaxis2")[1], 1);
  assert.deepEqual(domain("xaxis3"), domain("xaxis"));
  assert.ok(domain("xaxis")[1] < domain("xaxis2")[0] && domain("yaxis3")[1] < domain("yaxis")[0]);
  assert.deepEqual(domain("yaxis")[1], 1);
  assert.ok(Math.abs(domain("yaxis3")[0]) < 1e-12);
  assert.equal((layout.xaxis2 as Layout).matches, "x");
  assert.deepEqual(
    data.map((t) => t.xaxis),
    ["x", "x", "x2", "x2", "x3", "x3"],
  );
  assert.deepEqual(
    data.map((t) => t.showlegend),
    [true, true, false, false, false, false],
  );
  assert.deepEqual(
    layout.shapes?.map((s) => [s.xref, s.yref]),
    [
      ["x domain", "y"],
      ["x2 domain", "y2"],
      ["x3 domain", "y3"],
    ],
  );
  assert.equal(layout.annotations?.[0].text, "a&lt;b");

  const maps = facets([heatmap([[-1, 0]]), heatmap([[0, 5]])]).data;
  assert.deepEqual(
    maps.map((t) => [t.zmin, t.zmax, t.showscale]),
    [
      [-5, 5, true],
      [-5, 5, false],
    ],
  );
  assert.throws(() => facets([]), /no figures/);
  assert.throws(() => facets([made]), /has panels itself/);
  assert.throws(() => facets([panel(0)], { columns: 0 }), /columns of facets is 0/);
});
