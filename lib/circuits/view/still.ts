/** Still images of the views, for clients that run no scripts. */
import { escapeHtml } from "../../escape.js";
import { type Image, image as imageFile, rasterise } from "../../plot/index.js";
import type { FeatureCorpus } from "../dashboard/corpus.js";
import type { FeatureDashboard } from "../dashboard/dashboard.js";
import type { GraphJson } from "./graph-json.js";
import type { GraphLayout, PlacedNode } from "./layout.js";

const INK = "#1f2328";
const QUIET = "#59636e";
const [UP, DOWN] = ["#0072b2", "#d55e00"];
const FONT = 'font-family="Inter, sans-serif"';
/** Strongest edges that a still draws. */
const EDGES = 120;
const TITLE = 34;
const WIDTH = 760;

/** PNG of the graph with its strongest edges. */
export function graphStill({ links }: GraphJson, layout: GraphLayout, title: string): Uint8Array {
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
  return rasterise(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${whole}" height="${height + TITLE}" viewBox="0 0 ${whole} ${height + TITLE}">` +
      `<rect width="100%" height="100%" fill="#ffffff"/>${heading(title)}<g transform="translate(0 ${TITLE})">${body}</g></svg>`,
    1,
  );
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
