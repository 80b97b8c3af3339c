import assert from "node:assert/strict";
import { test } from "node:test";
import { type DOMWindow, JSDOM } from "jsdom";
import { provideSelectors } from "../../../lib/plot/draw/selectors.js";
import { seeded } from "../../../lib/random.js";

const NAMES = ["g", "text", "tspan", "clipPath"];
const CLASSES = ["trace", "scatter", "js-line", "y", "ytick", "line"];

/** Nested elements, each with a number, so that those of two documents can be compared. */
function drawing(random: ReturnType<typeof seeded>, count: { n: number }, depth = 0): string {
  const pick = (from: readonly string[]): string => from[random.int(from.length)];
  const name = pick(NAMES);
  const classes = Array.from({ length: random.int(4) }, () => pick(CLASSES)).join(
    random.int(2) ? " " : "\n ",
  );
  const inner =
    depth > 4 ? "" : Array.from({ length: random.int(4) }, () => drawing(random, count, depth + 1)).join("x");
  return `<${name} n="${count.n++}"${classes === "" ? "" : ` class="${classes}"`}>${inner}</${name}>`;
}

test("look-ups by name and classes find what jsdom's own engine finds, in its order", () => {
  const random = seeded(1);
  const count = { n: 0 };
  const page = `<body><div class="y trace"><svg>${Array.from({ length: 6 }, () => drawing(random, count)).join("")}</svg></div>`;
  const windows: DOMWindow[] = [new JSDOM(page).window, new JSDOM(page).window];
  provideSelectors(windows[1]);
  const names = ["", ...NAMES, "div", "svg", "DIV", "b"];
  const ends = ["", ...CLASSES.map((one) => `.${one}`), ".trace.scatter", ".scatter.trace.y", ".none"];
  const selectors = [
    ...names.flatMap((name) => ends.map((end) => name + end)).filter((selector) => selector !== ""),
    ...["g g.trace", "g, text", "g > text", "[n='3']", "#id", "*", ":first-child"],
  ];
  let found = 0;
  for (const selector of selectors) {
    const [own, walked] = windows.map(({ document }) =>
      [document, ...document.querySelectorAll("svg, svg > *, svg > * > *")].map((root) => [
        [...root.querySelectorAll(selector)].map((one) => one.getAttribute("n") ?? one.tagName),
        root.querySelector(selector)?.getAttribute("n"),
      ]),
    );
    assert.deepEqual(walked, own, selector);
    found += own.flat(2).length;
  }
  assert.ok(count.n > 100 && found > 2000, `${count.n} elements, ${found} finds`);
});
