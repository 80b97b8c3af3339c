/** Page of an overlay: the image with a cell for each token, sliders, and the number under the pointer. */
import { escapeHtml, jsonForScript, sourceForScript } from "../../escape.js";
import { viewDocument } from "../show/view-document.js";
import type { Cells } from "./cells.js";
import { client } from "./client.js";
import { colourOf, stopsOf } from "./colours.js";
import { encodeSlices, LEVELS, type OverlayScale, type Range, type Slices } from "./slices.js";

/** An axis before the tokens: a slider, and what stands beside it at each place. */
export interface OverlayAxis {
  readonly name: string;
  readonly labels: readonly string[];
}

/** All that a page or a still image shows. */
export interface Overlay {
  readonly title: string;
  readonly subtitle: string;
  readonly axes: readonly OverlayAxis[];
  /** Place of each slider at first. */
  readonly initial: readonly number[];
  readonly slices: Slices;
  readonly scale: OverlayScale;
  /** Name of the values. */
  readonly unit: string;
  readonly cells: Cells;
  /** Of the original image, in pixels. */
  readonly width: number;
  readonly height: number;
}

/** @param image a data URI @param sharp whether the image's pixels stay squares */
export function overlayPage(overlay: Overlay, image: string, sharp: boolean): string {
  const { title, subtitle, axes, slices, scale, cells, initial } = overlay;
  const data = {
    axes: axes.map(({ labels }) => ({ labels, length: labels.length })),
    cells: cells.cells.map(({ token, panel, box, label }) => ({
      token,
      panel,
      box: box.map(rounded),
      label,
    })),
    tokens: slices.tokens,
    values: encodeSlices(slices, scale),
    ranges: slices.ranges,
    whole: wholeRange(slices.ranges),
    stops: stopsOf(scale),
    scale,
    levels: LEVELS,
    unit: overlay.unit,
  };
  const body = `<div class="controls">
${axes.map((axis, i) => slider(axis, i, initial[i])).join("\n")}
<label>opacity <input type="range" id="opacity" min="0" max="1" step="0.05" value="0.65"></label>
${slices.ranges.length > 1 && scale !== "category" ? '<label><input type="checkbox" id="shared"> one scale for all</label>' : ""}
</div>
<main>${cells.panels.map((name, panel) => panelSvg(overlay, name, panel, image)).join("")}</main>
<footer><output id="readout" aria-live="polite"></output>${legend(scale)}</footer>`;
  const script = `const overlay = ${jsonForScript(data)};\n${sourceForScript(colourOf.toString())}\n${client}`;
  return viewDocument({ title, subtitle, css: css(sharp), body, script });
}

function wholeRange(ranges: readonly Range[]): Range {
  return [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))];
}

const rounded = (x: number): number => Math.round(100 * x) / 100;

function slider({ name, labels }: OverlayAxis, axis: number, value: number): string {
  const range = `type="range" data-axis="${axis}" min="0" max="${labels.length - 1}" step="1" value="${value}"`;
  return `<label>${escapeHtml(name)} <input ${range}><b></b></label>`;
}

function panelSvg(
  { cells, width, height, unit }: Overlay,
  name: string,
  panel: number,
  image: string,
): string {
  const rects = cells.cells.map(({ panel: own, box: [x0, y0, x1, y1] }, i) =>
    own === panel
      ? `<rect data-cell="${i}" x="${rounded(x0)}" y="${rounded(y0)}" width="${rounded(x1 - x0)}" height="${rounded(y1 - y0)}"/>`
      : "",
  );
  const label = `${name}${unit === "" ? "" : `: ${unit} of each token`}; arrow keys move over the tokens`;
  return (
    `<figure><svg viewBox="0 0 ${rounded(cells.width)} ${height}" tabindex="0" role="application" aria-label="${escapeHtml(label)}">` +
    `<image href="${image}" width="${width}" height="${height}" preserveAspectRatio="none"/>${rects.join("")}` +
    '<rect class="cursor under"/><rect class="cursor"/></svg>' +
    `${cells.panels.length > 1 ? `<figcaption>${escapeHtml(name)}</figcaption>` : ""}</figure>`
  );
}

function legend(scale: OverlayScale): string {
  if (scale === "category") return "";
  return `<div class="legend"><span></span><i style="background:linear-gradient(to right, ${stopsOf(scale).join(", ")})"></i><span></span></div>`;
}

const css = (sharp: boolean): string => `
figcaption, .legend { color: var(--quiet); margin: 0; }
.controls b { min-width: 2.5em; font-variant-numeric: tabular-nums; }
figcaption { text-align: center; }
figure { flex: 1; min-width: 0; margin: 0; display: flex; flex-direction: column; }
svg { flex: 1; min-height: 0; width: 100%; }
svg:focus-visible { outline: 2px solid light-dark(#0969da, #6cb6ff); }
image { image-rendering: ${sharp ? "pixelated" : "auto"}; }
.cursor { fill: none; stroke: #ffffff; stroke-width: 2; vector-effect: non-scaling-stroke; pointer-events: none; }
.cursor.under { stroke: #000000; stroke-width: 4; }
footer { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 16px; font-variant-numeric: tabular-nums; }
.legend { display: flex; align-items: center; gap: 6px; }
.legend i { display: block; width: 140px; height: 10px; }
`;
