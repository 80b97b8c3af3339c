/**
 * Plotly without a browser: its cartesian bundle inside jsdom, with a real canvas for heatmaps and measured
 * text. Loaded when the first figure is drawn (about 0.9 s), then kept.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Canvas } from "@napi-rs/canvas";
import type { DOMWindow } from "jsdom";
import { ModalscopeError } from "../../errors.js";
import { seeded } from "../../random.js";
import type { Figure } from "../plotly.js";
import { canvasModule } from "./fonts.js";
import { provideSelectors } from "./selectors.js";
import { type Box, ownBox, placedBox } from "./svg-boxes.js";
import { placeRuns } from "./text-runs.js";

const require = createRequire(import.meta.url);

interface Plotly {
  newPlot(element: Element, data: unknown, layout: unknown, config: object): Promise<unknown>;
  purge(element: Element): void;
  Snapshot: { toSVG(element: Element, format: "svg"): string };
}

interface Host {
  readonly window: DOMWindow;
  readonly plotly: Plotly;
}

/** Trace types of plotly's cartesian bundle. (Asking plotly for them takes it half a second.) */
export const drawableTypes: readonly string[] = [
  "bar",
  "box",
  "contour",
  "heatmap",
  "histogram",
  "histogram2d",
  "histogram2dcontour",
  "image",
  "pie",
  "scatter",
  "scatterternary",
  "violin",
];

let loaded: Host | undefined;

/**
 * Draws `figure` at a size in pixels. Plotly's promise is not waited for: without fonts to load, maps or
 * MathJax it has drawn everything, or thrown, when it returns, so a cell can show a figure without `await`.
 */
export function drawSvg(figure: Figure, width: number, height: number): string {
  const { window, plotly } = host();
  // Plotly names its parts by chance. With the same names each time, the same figure gives the same file, and
  // jsdom's cache of selectors, which holds on to what they found, does not grow from figure to figure.
  (window.eval("Math") as Math).random = seeded(1).uniform;
  const element = window.document.createElement("div");
  window.document.body.append(element);
  try {
    // Plotly writes into what it is given, so it gets a copy.
    const { data, layout } = structuredClone(figure);
    const settings = { ...layout, width, height, autosize: false };
    const told = plotly.newPlot(element, data, settings, { staticPlot: true, logging: 0 });
    // What it could not draw at once it notes here; errors in drawing have been thrown by now.
    if ((element as unknown as { _promises?: unknown[] })._promises?.length)
      throw new ModalscopeError(
        "This figure refers to something that has to be loaded.",
        "",
        "Use data: addresses in it.",
      );
    // All that is left is to tell listeners, of whom there are none, and for which the element will be gone.
    told.catch(() => {});
    for (const text of element.querySelectorAll("text")) placeRuns(text);
    return plotly.Snapshot.toSVG(element, "svg");
  } finally {
    plotly.purge(element);
    element.remove();
  }
}

function host(): Host {
  loaded ??= load();
  return loaded;
}

function load(): Host {
  const { JSDOM } = require("jsdom") as typeof import("jsdom");
  const { window } = new JSDOM("<!DOCTYPE html><body></body>", {
    pretendToBeVisual: true,
    runScripts: "outside-only",
  });
  provideLayout(window);
  provideCanvas(window);
  provideSelectors(window);
  window.eval(readFileSync(require.resolve("plotly.js-cartesian-dist"), "utf8"));
  return { window, plotly: (window as unknown as { Plotly: Plotly }).Plotly };
}

/** jsdom lays nothing out; plotly asks for the sizes of text and of its own container. */
function provideLayout(window: DOMWindow): void {
  const rect = (box: Box) => ({
    ...box,
    x: box.left,
    y: box.top,
    width: box.right - box.left,
    height: box.bottom - box.top,
  });
  const nowhere: Box = { left: 0, top: 0, right: 0, bottom: 0 };
  Object.assign(window.Element.prototype, {
    getBoundingClientRect(this: Element) {
      return rect(this instanceof window.SVGElement ? placedBox(this) : nowhere);
    },
  });
  Object.assign(window.SVGElement.prototype, {
    getBBox(this: Element) {
      return rect(ownBox(this));
    },
    getComputedTextLength(this: Element) {
      return rect(ownBox(this)).width;
    },
  });
  Object.assign(window, { matchMedia: () => ({ matches: false, addListener() {}, addEventListener() {} }) });
  Object.assign(window.URL, { createObjectURL: () => "" });
}

function provideCanvas(window: DOMWindow): void {
  const { createCanvas } = canvasModule();
  const canvases = new WeakMap<HTMLCanvasElement, Canvas>();
  const canvasOf = (element: HTMLCanvasElement): Canvas => {
    const known = canvases.get(element);
    if (known && known.width === element.width && known.height === element.height) return known;
    const fresh = createCanvas(element.width || 1, element.height || 1);
    canvases.set(element, fresh);
    return fresh;
  };
  Object.assign(window.HTMLCanvasElement.prototype, {
    getContext(this: HTMLCanvasElement) {
      return canvasOf(this).getContext("2d");
    },
    toDataURL(this: HTMLCanvasElement) {
      return canvasOf(this).toDataURL("image/png");
    },
  });
}
