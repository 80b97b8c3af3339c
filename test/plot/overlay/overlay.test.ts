/** Values over an image: where the cells are, what the page says, and what is left where no script runs. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { JSDOM } from "jsdom";
import { loadModel } from "../../../lib/model/index.js";
import { imageOverlay, type OverlayOptions, type OverlayValues } from "../../../lib/plot/index.js";
import { cellsOf, type ImageLayout } from "../../../lib/plot/overlay/cells.js";
import { isSealed } from "../../../lib/plot/show/view-seal.js";

const { createCanvas, Image } = createRequire(import.meta.url)(
  "@napi-rs/canvas",
) as typeof import("@napi-rs/canvas");

/** A white image of 2 × 3 tokens, as a tower without crops has it. */
const SIZE = { width: 90, height: 60 };
const white = { ...SIZE, data: new Uint8Array(SIZE.width * SIZE.height * 3).fill(255) };
const layout: ImageLayout = {
  ...SIZE,
  tiles: [{ kind: "whole" }],
  tokens: Array.from({ length: 6 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const box = [column * 30, row * 30, column * 30 + 30, row * 30 + 30] as const;
    return { kind: "patch", tile: 0, row, column, box } as const;
  }),
};
const values: OverlayValues = {
  data: Float32Array.from({ length: 24 }, (_, i) => 1e-3 * i ** 2),
  shape: [2, 2, 6],
};
const axes = [{ name: "layer", labels: [7, 9] }, { name: "head" }];

/** The page inside the frame, with its scripts running. */
function open(
  options: Partial<OverlayOptions> = {},
  given = values,
): { dom: JSDOM; html: string; source: string } {
  const { html } = imageOverlay(white, layout, given, {
    title: "t",
    axes: axes.slice(0, given.shape.length - 1),
    ...options,
  });
  const frame = new JSDOM(html).window.document.querySelector("iframe")!;
  const source = frame.getAttribute("srcdoc")!;
  assert.ok(isSealed(source, frame.getAttribute("data-modalscope-seal")));
  return { dom: new JSDOM(source, { runScripts: "dangerously" }), html, source };
}

const near = (got: string, want: readonly number[]): void => {
  const channels = [...got.matchAll(/\d+/g)].map(([n]) => Number(n)).slice(0, 3);
  assert.ok(
    channels.every((c, i) => Math.abs(c - want[i]) <= 3),
    `${got}, not ${want}`,
  );
};

describe("an image overlay", () => {
  it("reads out each value, by pointer, by keyboard and by slider", () => {
    const { dom } = open({ unit: "attention", initial: [1, 0] });
    const { document, Event, KeyboardEvent } = dom.window;
    const rects = [...document.querySelectorAll("rect")];
    const said = (): string => document.querySelector("#readout")!.textContent!;
    assert.match(said(), /arrow keys/);
    rects[4].dispatchEvent(new Event("pointermove", { bubbles: true }));
    assert.equal(said(), "row 1, column 1: attention 0.256");
    const svg = document.querySelector("svg")!;
    const press = (key: string): void => {
      svg.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
    };
    press("ArrowUp");
    const cursor = document.querySelector(".cursor")!;
    assert.deepEqual(
      ["x", "y", "width"].map((side) => cursor.getAttribute(side)),
      ["30", "0", "30"],
    );
    assert.equal(said(), "row 0, column 1: attention 0.169");
    press("ArrowRight");
    press("ArrowRight");
    assert.equal(said(), "row 0, column 2: attention 0.196");
    const [layer, head] = document.querySelectorAll<HTMLInputElement>("input[data-axis]");
    assert.equal(layer.getAttribute("aria-valuetext"), "9");
    head.value = "1";
    head.dispatchEvent(new Event("input"));
    assert.equal(said(), "row 0, column 2: attention 0.4");
    const ends = (): string[] => [...document.querySelectorAll(".legend span")].map((e) => e.textContent!);
    assert.deepEqual(ends(), ["0.324", "0.529"]);
    near(rects[5].getAttribute("fill")!, [253, 231, 37]);
    near(rects[0].getAttribute("fill")!, [68, 1, 84]);
    const shared = document.querySelector<HTMLInputElement>("#shared")!;
    shared.checked = true;
    shared.dispatchEvent(new Event("input"));
    assert.deepEqual(ends(), ["0", "0.529"]);
  });

  it("keeps every value to 1e-5 of its slice's range, and says where there is none", () => {
    const data = Float32Array.from({ length: 600 }, (_, i) => Math.sin(i) * 10 ** (i % 7));
    data[4] = Number.NaN;
    const { dom } = open({ axes: [] }, { data, shape: [100, 6] });
    const valueAt = dom.window.eval("valueAt") as (slice: number, token: number) => number;
    for (let slice = 0; slice < 100; slice++) {
      const own = [...data.subarray(6 * slice, 6 * slice + 6)];
      const seen = own.filter((v) => !Number.isNaN(v));
      const range = Math.max(...seen) - Math.min(...seen);
      own.forEach((want, token) => {
        const got = valueAt(slice, token);
        assert.ok(Number.isNaN(want) ? Number.isNaN(got) : Math.abs(got - want) <= 1e-5 * range);
      });
    }
  });

  it("has 0 in the middle of diverging colours, and a colour of its own for each category", () => {
    const diverging = open({ scale: "diverging" }, { data: [-1, 0, 4, 4, 4, 4], shape: [6] });
    const fills = (dom: JSDOM): string[] =>
      [...dom.window.document.querySelectorAll("rect[data-cell]")].map((rect) => rect.getAttribute("fill")!);
    near(fills(diverging.dom)[1], [247, 247, 247]);
    near(fills(diverging.dom)[2], [178, 24, 43]);
    const category = open({ scale: "category" }, { data: [0, 1, 127, 127, 2, 3], shape: [6] });
    const own = fills(category.dom);
    assert.equal(own[2], own[3]);
    assert.equal(new Set(own).size, 5);
    category.dom.window.document
      .querySelectorAll("rect")[2]
      .dispatchEvent(new category.dom.window.Event("pointermove", { bubbles: true }));
    assert.match(category.dom.window.document.querySelector("#readout")!.textContent!, /: 127$/);
    assert.throws(
      () => open({ scale: "category" }, { data: [0, 1.5, 0, 0, 0, 0], shape: [6] }),
      /1.5 is no category/,
    );
  });

  it("is a still image where no script runs", () => {
    const { html } = open({ initial: [1, 1] });
    const [, base64] = /<img src="data:image\/png;base64,([^"]*)"/.exec(html)!;
    const image = new Image();
    image.src = Buffer.from(base64, "base64");
    const canvas = createCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    assert.deepEqual([image.width, image.height], [760, 520]);
    const { data } = canvas.getContext("2d").getImageData(0, 0, 760, 520);
    // The largest value's yellow at 65 % over white fills a sixth of the image.
    const want = [253, 231, 37].map((c) => 0.65 * c + 0.35 * 255);
    let pixels = 0;
    for (let i = 0; i < data.length; i += 4)
      if (want.every((c, j) => Math.abs(data[i + j] - c) <= 2)) pixels++;
    assert.ok(pixels > 12_000, `${pixels} pixels`);
  });

  it("shows texts as they are, and reaches for nothing outside", () => {
    const nasty = `</script><img src=x onerror=alert(1)>"'&<b>`;
    const { dom, source, html } = open({
      title: nasty,
      subtitle: nasty,
      unit: nasty,
      axes: [{ name: nasty, labels: [nasty, "b"] }],
    });
    assert.equal(dom.window.document.querySelector("h1")!.textContent, nasty);
    assert.equal(dom.window.document.querySelector("label b")!.textContent, nasty);
    assert.equal(dom.window.document.querySelectorAll("img, h1 *").length, 0);
    assert.ok(source.includes("default-src 'none'") && !/https?:/.test(source));
    assert.equal(new JSDOM(html).window.document.querySelectorAll("img").length, 1);
  });

  it("refuses values and images that do not fit, and more than a notebook takes", () => {
    const overlay = (image: object, given: OverlayValues, options = {}): unknown =>
      imageOverlay(image as typeof white, layout, given, { title: "t", ...options });
    assert.throws(() => overlay(white, { data: [1, 2], shape: [2] }), /shape \(2\) and the image 6 tokens/);
    assert.throws(() => overlay({ ...white, width: 45, height: 120 }, values), /45×120 pixels/);
    assert.throws(() => overlay({ ...white, width: 9 }, values), /has 16200 values/);
    assert.throws(() => overlay(Buffer.from("no image"), values), /cannot be read as an image/);
    assert.throws(() => overlay(white, values, { initial: [2] }), /no place 2/);
    assert.throws(
      () => overlay(white, values, { axes: [{ name: "a", labels: ["x"] }] }),
      /1 labels and 2 places/,
    );
    const many = { data: new Float32Array(6 * 200_000), shape: [200_000, 6] };
    assert.throws(() => overlay(white, many), /1,200,000 values/);
  });
});

describe("cells over an image", () => {
  for (const [name, panels] of [
    ["tiny-llava-1.5", 1],
    ["tiny-qwen3-vl-moe", 1],
    ["tiny-gemma3", 1],
    ["tiny-llava-1.6", 2],
  ] as const) {
    it(`of ${name} cover what the model sees of it, each once`, async () => {
      const model = await loadModel(name, { threads: 1 });
      try {
        const image = { width: 48, height: 80, data: new Uint8Array(48 * 80 * 3) };
        const batch = await model.prepare([
          [
            {
              role: "user",
              content: [
                { type: "image", image },
                { type: "text", text: "what is it ?" },
              ],
            },
          ],
        ]);
        const own = batch.images![0].image;
        const { cells, panels: names, width, unseen } = cellsOf(own);
        assert.equal(names.length, panels);
        assert.equal(cells.length + unseen, own.tokens.length);
        const newlines = own.tokens.filter(({ kind }) => kind === "newline").length;
        assert.equal(cells.filter(({ box }) => box[0] >= 48).length, newlines);
        assert.equal(newlines > 0, width > 48);
        for (let panel = 0; panel < panels; panel++) {
          const inside = cells.filter((cell) => cell.panel === panel && cell.box[0] < 48);
          const area = inside.reduce((sum, { box: [x0, y0, x1, y1] }) => sum + (x1 - x0) * (y1 - y0), 0);
          const [left, top] = [0, 1].map((i) => Math.min(...inside.map(({ box }) => box[i])));
          const [right, bottom] = [2, 3].map((i) => Math.max(...inside.map(({ box }) => box[i])));
          assert.ok(Math.abs(area - (right - left) * (bottom - top)) < 0.02 * area, `${area}`);
        }
      } finally {
        await model.close();
      }
    });
  }
});
