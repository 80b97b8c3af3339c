import assert from "node:assert/strict";
import { test } from "node:test";
import { createCanvas, loadImage } from "@napi-rs/canvas";
import { JSDOM } from "jsdom";
import { rasterise, toPng, toSvg } from "../../../lib/plot/draw/draw.js";
import { piecesByFont, textWidth } from "../../../lib/plot/draw/fonts.js";
import { figure } from "../../../lib/plot/figure.js";
import { bars } from "../../../lib/plot/marks/bars.js";
import { facets } from "../../../lib/plot/marks/facets.js";
import { heatmap } from "../../../lib/plot/marks/heatmap.js";
import { lines } from "../../../lib/plot/marks/lines.js";
import { rules } from "../../../lib/plot/marks/rules.js";
import { scatter } from "../../../lib/plot/marks/scatter.js";
import type { Figure } from "../../../lib/plot/plotly.js";
import { colour, paperColour } from "../../../lib/plot/theme.js";

/** The figure without decoration, so that its plot area is x from 50 to 350 and y from 50 to 250 of 400 × 300. */
function bare({ data, layout }: Figure): Figure {
  const plain = (axis: unknown) => ({ ...(axis as object), automargin: false, visible: false });
  return {
    data: data.map((trace) => ({ ...trace, showscale: trace.type === "heatmap" ? false : undefined })),
    layout: {
      ...layout,
      title: undefined,
      showlegend: false,
      margin: { l: 50, r: 50, t: 50, b: 50 },
      xaxis: plain(layout.xaxis),
      yaxis: plain(layout.yaxis),
    },
  };
}

const size = { width: 400, height: 300 };

async function pixels(
  png: Uint8Array,
): Promise<{ width: number; height: number; at(x: number, y: number): string }> {
  const image = await loadImage(Buffer.from(png));
  const context = createCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  return {
    width: image.width,
    height: image.height,
    at: (x, y) => {
      const start = 4 * (y * image.width + x);
      return `#${[...data.subarray(start, start + 3)].map((v) => v.toString(16).padStart(2, "0")).join("")}`;
    },
  };
}

const parsed = (svg: string): Document => new JSDOM(svg, { contentType: "image/svg+xml" }).window.document;

test("a line's points lie where its axes put them", () => {
  const made = bare(lines([0, 1, 0.5, 0.25], { xRange: [0, 3], yRange: [0, 1] }));
  const document = parsed(toSvg(made, size));
  const path = document.querySelector(".scatterlayer .js-line")?.getAttribute("d") ?? "";
  // 300 px for 3 units from the left, 200 px for 1 unit from the bottom; plotly leaves out points on a straight line.
  assert.deepEqual(path.match(/-?[\d.]+,-?[\d.]+/g), ["0,200", "100,0", "200,100", "300,150"]);
  assert.equal(document.querySelectorAll(".scatterlayer .points path").length, 4);
});

test("a gap in a line is a gap in its path", () => {
  const document = parsed(toSvg(lines([0, 1, Number.NaN, 3, 4]), size));
  assert.equal(document.querySelectorAll(".scatterlayer .js-line").length, 2);
});

test("heatmap cells have sharp edges and the scale's colours", async () => {
  const map = bare(
    heatmap([
      [-1, 1],
      [0, Number.NaN],
    ]),
  );
  for (const scale of [1, 2]) {
    const png = await pixels(
      toPng({ ...map, data: [{ ...map.data[0], xgap: 0, ygap: 0 }] }, { ...size, scale }),
    );
    assert.deepEqual([png.width, png.height], [400 * scale, 300 * scale]);
    const at = (x: number, y: number) => png.at(x * scale, y * scale);
    // Cells of 150 × 100 px, row 0 at the top.
    for (const [x, y] of [
      [55, 55],
      [125, 100],
      [197, 147],
    ])
      assert.equal(at(x, y), "#2166ac", `at ${x}, ${y}`);
    for (const [x, y] of [
      [203, 55],
      [275, 100],
      [345, 147],
    ])
      assert.equal(at(x, y), "#b2182b", `at ${x}, ${y}`);
    assert.equal(at(125, 200), "#f7f7f7");
    assert.equal(at(275, 200), paperColour("light"));
    assert.equal(at(20, 20), paperColour("light"));
  }
});

test("bars are as high as their values", async () => {
  const png = await pixels(
    toPng(bare(bars([1, 0.5], { categories: ["a", "b"], yRange: [0, 1] })), { ...size, scale: 1 }),
  );
  assert.equal(png.at(125, 55), colour(0));
  assert.equal(png.at(275, 145), paperColour("light"));
  assert.equal(png.at(275, 155), colour(0));
  assert.equal(png.at(200, 240), paperColour("light"));
});

test("a rule lies at its value, also on a logarithmic axis", async () => {
  const base = lines({ y: [1, 1], color: "#ffffff" }, { yLog: true, yRange: [1, 100], markers: false });
  const made = bare(rules(base, { y: 10, color: "#d55e00", dash: "solid" }));
  const png = await pixels(toPng(made, { ...size, scale: 1 }));
  assert.notEqual(png.at(200, 150), paperColour("light"));
  assert.equal(png.at(200, 140), paperColour("light"));
});

test("the dark theme has dark paper", async () => {
  const png = await pixels(toPng(lines([1, 2]), { ...size, theme: "dark", scale: 1 }));
  assert.equal(png.at(2, 2), paperColour("dark"));
});

test("text is drawn with the packaged font, whatever the machine has", async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><rect width="200" height="40" fill="#fff"/><text x="0" y="30" font-size="30" font-family="Inter, Open Sans">WWWW <tspan font-family="KaTeX_Main">⊥</tspan></text></svg>';
  const png = await pixels(rasterise(svg, 1));
  const inked = (from: number, to: number) => {
    for (let x = from; x < to; x++) for (let y = 0; y < 40; y++) if (png.at(x, y) < "#808080") return true;
    return false;
  };
  const [word, all] = [textWidth("WWWW", 30), textWidth("WWWW ⊥", 30)];
  // Inter's W is 1.02 em wide (2096 of 2048 units); its advance is what the font file says.
  assert.ok(Math.abs(word / (4 * 30) - 1.02) < 0.02, `W is ${word / 120} em`);
  assert.ok(inked(0, 30) && inked(Math.floor(word) - 20, Math.floor(word)));
  assert.ok(inked(Math.floor(word) + 4, Math.ceil(all)), "⊥ comes from the second font");
  assert.ok(!inked(Math.ceil(all) + 8, 200));
});

test("exponents stand above their base, by places and not by dy", () => {
  const made = lines([1, 1e-7, 1e-14], { yLog: true });
  const document = parsed(toSvg(made));
  assert.equal(document.querySelectorAll("[dy]").length, 0);
  const label = [...document.querySelectorAll(".ytick text")].find((text) =>
    text.textContent?.startsWith("10−"),
  );
  const [base, exponent] = [...(label?.querySelectorAll("tspan") ?? [])];
  assert.equal(base?.textContent, "10");
  assert.match(exponent?.textContent ?? "", /^−\d+$/);
  const place = (element: Element, name: string) => Number(element.getAttribute(name));
  assert.ok(place(exponent, "y") < place(base, "y") - 3);
  const size = Number(/font-size: ([\d.]+)px/.exec(base.getAttribute("style") ?? "")?.[1]);
  assert.ok(Math.abs(place(exponent, "x") - place(base, "x") - textWidth("10", size)) < 0.02);
});

test("a sign that Inter lacks is drawn in the second font, its neighbours in Inter", () => {
  // Coverage by fontTools: Inter lacks ∈ and ⊥, KaTeX_Main has them; neither has 词.
  assert.deepEqual(piecesByFont("Z⊥∈ δ词"), [
    { text: "Z", family: undefined },
    { text: "⊥∈", family: "KaTeX_Main" },
    { text: " δ词", family: undefined },
  ]);
  const title = parsed(toSvg(lines([1, 2], { x: "Z⊥" }))).querySelector(".xtitle");
  const spans = [...(title?.querySelectorAll("tspan") ?? [])];
  assert.deepEqual(
    spans.map((span) => [span.textContent, span.getAttribute("style")?.includes("KaTeX")]),
    [
      ["Z", false],
      ["⊥", true],
    ],
  );
});

test("long labels get the room that they need", () => {
  const left = (categories: string[]) => {
    const document = parsed(toSvg(bars([1, 2], { categories, horizontal: true }), { width: 700 }));
    return Number(document.querySelector(".plotclip")?.querySelector("rect")?.getAttribute("width"));
  };
  const [short, long] = [left(["a", "b"]), left(["a", "a much longer name of a feature"])];
  const added = textWidth("a much longer name of a feature", 12) - textWidth("a", 12);
  assert.ok(
    Math.abs(short - long - added) < 25,
    `the plot shrank by ${short - long}, the label grew by ${added}`,
  );
});

test("hostile labels stay text", () => {
  const name = '<a href="javascript:alert(1)">x</a><script>alert(1)</script>';
  const made = lines({ [name]: [1, 2], other: [2, 1] }, { title: name, x: name });
  const document = parsed(toSvg(made));
  assert.equal(document.querySelectorAll("a, script").length, 0);
  assert.equal(document.querySelector(".legendtext")?.textContent, name);
  assert.ok(document.querySelector(".gtitle")?.textContent?.startsWith('<a href="javascript'));
});

test("every panel of facets draws its own traces", () => {
  const panel = lines({ a: [1, 2, 3], b: [3, 2, 1] });
  const document = parsed(toSvg(facets({ one: panel, two: panel, three: panel })));
  assert.equal(document.querySelectorAll(".subplot").length, 3);
  assert.equal(document.querySelectorAll(".scatterlayer .js-line").length, 6);
  assert.equal(document.querySelectorAll(".legendtext").length, 2);
});

test("two figures drawn after each other do not disturb each other", () => {
  const first = scatter({ x: [1, 2], y: [1, 2] });
  const json = JSON.stringify(first);
  const svg = toSvg(first);
  toSvg(heatmap([[1, 2]]));
  assert.ok(toSvg(first) === svg);
  assert.equal(JSON.stringify(first), json);
});

test("what needs a browser is said", () => {
  const made = figure([{ type: "scatter3d", x: [1], y: [1], z: [1] }], {});
  assert.throws(() => toSvg(made), {
    name: "ModalscopeError",
    message: /scatter3d.*cannot be drawn.*\.html or \.json/,
  });
});
