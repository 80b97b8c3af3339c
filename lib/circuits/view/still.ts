/** Still images of the views, for clients that run no scripts. */
import { escapeHtml } from "../../escape.js";
import { type Image, image as imageFile, type OverlaySource, rasterise } from "../../plot/index.js";
import type { FeatureCorpus } from "../dashboard/corpus.js";
import type { FeatureDashboard } from "../dashboard/dashboard.js";
import type { GraphJson } from "./graph-json.js";
import type { GraphLayout, PlacedNode } from "./layout.js";
import { nodePatches, patchesData } from "./patches-data.js";

const INK = "#1f2328";
const QUIET = "#59636e";
const [UP, DOWN] = ["#0072b2", "#d55e00"];
const FONT = 'font-family="Inter, sans-serif"';
/** Strongest edges that a still draws. */
const EDGES = 120;
const TITLE = 34;
const WIDTH = 760;

/** PNG of the graph with its strongest edges, and with the likeliest answer's edges from image patches below it. */
export function graphStill(
  graph: GraphJson,
  layout: GraphLayout,
  { title, images }: { readonly title: string; readonly images: readonly OverlaySource[] },
): Uint8Array {
  const { links } = graph;
  const placeOf = new Map(layout.nodes.map((placed) => [placed.node.node_id, placed]));
  const strongest = [...links].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, EDGES);
  const most = Math.max(...strongest.map(({ weight }) => Math.abs(weight)), 1e-30);
  const edges = strongest.map(({ source, target, weight }) => {
    const [a, b] = [placeOf.get(source)!, placeOf.get(target)!];
    const share = Math.abs(weight) / most;
    return `<path d="M${a.x} ${a.y}L${b.x} ${b.y}" stroke="${weight < 0 ? DOWN : UP}" stroke-width="${(0.5 + 3 * share).toFixed(2)}" stroke-opacity="${(0.25 + 0.6 * share).toFixed(2)}"/>`;
  });
  const { width, height, columns, lines } = layout;
  const bottom = height - 58;
  const texts = [
    ...lines.map(({ label, y }) => text(label, 34, y + 4, 'text-anchor="end"')),
    ...columns.map(({ label, x }) =>
      text(label, 0, 0, `transform="translate(${x + 4} ${bottom}) rotate(-60)" text-anchor="end"`),
    ),
  ];
  const body = [...edges, ...layout.nodes.map(shapeOf), ...texts].join("");
  const whole = Math.max(width, WIDTH);
  const below = patchesBelow(graph, images);
  const total = TITLE + height + (below === "" ? 0 : PATCHES + 2 * LINE);
  return rasterise(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${whole}" height="${total}" viewBox="0 0 ${whole} ${total}">` +
      `<rect width="100%" height="100%" fill="#ffffff"/>${heading(title)}<g transform="translate(0 ${TITLE})">${body}</g>` +
      `<g transform="translate(14 ${TITLE + height})">${below}</g></svg>`,
    1,
  );
}

/** Height of the images under a graph. */
const PATCHES = 220;

/** Under colours of edges an image has none of its own. */
const GREY = '<filter id="grey"><feColorMatrix type="saturate" values="0"/></filter>';

/** The images side by side, each patch in the colour and strength of its edge to the likeliest answer. */
function patchesBelow(graph: GraphJson, images: readonly OverlaySource[]): string {
  const patches = patchesData(graph, images);
  const node = graph.nodes[patches?.first ?? -1];
  const own = node && nodePatches(graph, node.node_id);
  if (!patches || !own) return "";
  const most = own.cells.reduce((m, [, weight]) => Math.max(m, Math.abs(weight)), 1e-30);
  let x = 0;
  const shown = patches.images.map(({ uri, width, height }, image) => {
    const scale = PATCHES / height;
    const cells = own.cells.flatMap(([patch, weight]) => {
      const cell = patches.cells[patch];
      if (cell?.[0] !== image) return [];
      const [, x0, y0, x1, y1] = cell;
      const opacity = ((0.85 * Math.abs(weight)) / most).toFixed(3);
      return `<rect x="${x0}" y="${y0}" width="${x1 - x0}" height="${y1 - y0}" fill="${weight < 0 ? DOWN : UP}" fill-opacity="${opacity}"/>`;
    });
    const ground = uri
      ? `<image href="${uri}" width="${width}" height="${height}" preserveAspectRatio="none" style="image-rendering:pixelated" filter="url(#grey)" opacity="0.7"/>`
      : `<rect width="${width}" height="${height}" fill="none" stroke="${QUIET}"/>`;
    const placed = `<g transform="translate(${x} ${LINE}) scale(${scale})">${ground}${cells.join("")}</g>`;
    x += width * scale + 10;
    return placed;
  });
  const caption = `edges from image patches to ${node.clerp ?? ""}: blue raises it, orange lowers it`;
  return GREY + text(caption, 0, 8) + shown.join("");
}

function shapeOf({ kind, x, y }: PlacedNode): string {
  const fill = kind === "logit" ? INK : kind === "token" ? "#d1d9e0" : "#ffffff";
  const ink = `fill="${fill}" stroke="${INK}"${kind === "error" || kind === "other" ? ' stroke-dasharray="2 2"' : ""}`;
  if (kind === "feature") return `<circle cx="${x}" cy="${y}" r="5" ${ink}/>`;
  return `<rect x="${x - 5}" y="${y - 5}" width="10" height="10" ${ink}/>`;
}

const LINE = 18;
const SHOWN = 3;

/** The features' labels, frequencies and first examples as text. */
export function dashboardStill(
  dashboards: readonly FeatureDashboard[],
  { rows }: FeatureCorpus,
  title: string,
): Image {
  const lines = dashboards.flatMap(({ layer, feature, label, frequency, imageShare, examples }) => [
    text(`layer ${layer}, feature ${feature}: ${label?.label || "no label"}`, 14, 0, "", INK),
    text(`active at ${percent(frequency)} of tokens, ${percent(imageShare)} of it on images`, 14, 0),
    ...examples.slice(0, SHOWN).map(({ row, peak, value }) => {
      const around = rows[row].tokens.slice(Math.max(0, peak - 8), peak + 1);
      return text(`${value.toPrecision(3)}  ${around.map((token) => token.text).join("")}`, 28, 0);
    }),
  ]);
  const height = TITLE + lines.length * LINE + LINE;
  const placed = lines.map((line, i) => `<g transform="translate(0 ${TITLE + (i + 1) * LINE})">${line}</g>`);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">` +
    `<rect width="100%" height="100%" fill="#ffffff"/>${heading(title)}${placed.join("")}</svg>`;
  return imageFile(rasterise(svg, 1), { alt: title, width: WIDTH });
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const heading = (title: string): string => text(title, 14, 22, 'font-size="17"', INK);

function text(content: string, x: number, y: number, attributes = "", fill = QUIET): string {
  const size = attributes.includes("font-size") ? "" : 'font-size="12"';
  const shown = content.replace(/\s+/g, " ").slice(0, 110);
  return `<text x="${x}" y="${y}" fill="${fill}" ${size} ${FONT} ${attributes}>${escapeHtml(shown)}</text>`;
}
