/** The look of figures: one palette for both themes, so that a figure's data need not change with the page. */

import { ModalscopeError } from "../errors.js";

/** Background that a figure is drawn for. */
export type Theme = "light" | "dark";

/**
 * Series colours: Okabe & Ito's colour-blind-safe palette (https://jfly.uni-koeln.de/color/) without black
 * and yellow, which vanish on one of the two backgrounds. Symbols tell series apart as well.
 */
export const palette: readonly string[] = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#e69f00",
  "#808080",
];

/** Marker symbols, one per series colour, so that no series is told by its colour alone. */
export const symbols: readonly string[] = [
  "circle",
  "square",
  "diamond",
  "triangle-up",
  "x",
  "triangle-down",
  "cross",
];

/** Rule lines, thresholds and other quiet ink; readable on both backgrounds. */
export const quiet = "#7d8590";

/** Inter is drawn into images; a browser without it takes its own sans serif. */
export const fontFamily = "Inter, Open Sans, Segoe UI, Helvetica, Arial, sans-serif";

export const colour = (index: number): string => palette[index % palette.length];
export const symbol = (index: number): string => symbols[index % symbols.length];

/** Beyond the palette's colours lines are told apart by their dashes. */
export const dash = (index: number): string =>
  ["solid", "dash", "dot"][Math.floor(index / palette.length) % 3];

/** `#rrggbb` with an opacity, as `rgba(…)`. */
export function translucent(hex: string, opacity: number): string {
  if (!/^#[0-9a-f]{6}$/i.test(hex))
    throw new ModalscopeError(`"${hex}" is not a colour that can be faded.`, "", 'Write it as "#rrggbb".');
  const channel = (from: number) => Number.parseInt(hex.slice(from, from + 2), 16);
  return `rgba(${channel(1)}, ${channel(3)}, ${channel(5)}, ${opacity})`;
}

interface Ink {
  readonly paper: string;
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  readonly axis: string;
  /** Diverging colours: blue for the least value, red for the largest, close to the paper in the middle. */
  readonly diverging: readonly string[];
}

const inks: Readonly<Record<Theme, Ink>> = {
  light: {
    paper: "#ffffff",
    text: "#1f2328",
    muted: "#59636e",
    grid: "#e7eaee",
    axis: "#aeb6bf",
    // ColorBrewer's RdBu.
    diverging: ["#2166ac", "#4393c3", "#92c5de", "#f7f7f7", "#f4a582", "#d6604d", "#b2182b"],
  },
  dark: {
    paper: "#15191f",
    text: "#e2e7ed",
    muted: "#a3adb8",
    grid: "#2a313a",
    axis: "#59636e",
    diverging: ["#a9d6f5", "#5fa8da", "#2f6a98", "#232a33", "#a1453c", "#e2735e", "#ffc4ad"],
  },
};

export const paperColour = (theme: Theme): string => inks[theme].paper;

/** Viridis at nine stops: even steps in lightness, also for colour-blind readers and in grey print. */
export const viridis: readonly (readonly [number, string])[] = [
  "#440154",
  "#472d7b",
  "#3b528b",
  "#2c728e",
  "#21918c",
  "#28ae80",
  "#5ec962",
  "#addc30",
  "#fde725",
].map((hex, i) => [i / 8, hex] as const);

/** The plotly template of a theme. Colour scales live here too, so that heatmaps follow the theme. */
export function template(theme: Theme): Record<string, unknown> {
  const ink = inks[theme];
  const axis = {
    automargin: true,
    exponentformat: "power",
    gridcolor: ink.grid,
    linecolor: ink.axis,
    showline: true,
    ticks: "outside",
    ticklen: 4,
    tickcolor: ink.axis,
    tickfont: { color: ink.muted, size: 12 },
    title: { font: { size: 13 }, standoff: 10 },
    zeroline: false,
    zerolinecolor: ink.axis,
  };
  const colorbar = {
    outlinewidth: 0,
    thickness: 12,
    ticklen: 4,
    ticks: "outside",
    tickcolor: ink.axis,
    tickfont: { color: ink.muted, size: 11 },
    title: { side: "right", font: { size: 12 } },
  };
  return {
    layout: {
      colorway: [...palette],
      colorscale: {
        sequential: viridis,
        sequentialminus: viridis,
        diverging: ink.diverging.map((hex, i) => [i / 6, hex]),
      },
      coloraxis: { colorbar },
      font: { family: fontFamily, size: 13, color: ink.text },
      title: { font: { size: 17 }, subtitle: { font: { size: 13, color: ink.muted } } },
      paper_bgcolor: ink.paper,
      plot_bgcolor: ink.paper,
      hoverlabel: { bgcolor: ink.paper, bordercolor: ink.axis, font: { color: ink.text, size: 12 } },
      // Below the figure at every width: beside it, it would leave a narrow page no room.
      legend: {
        orientation: "h",
        yref: "container",
        y: 0,
        yanchor: "bottom",
        x: 0,
        font: { size: 12 },
        tracegroupgap: 0,
        bgcolor: "rgba(0,0,0,0)",
      },
      xaxis: { ...axis },
      yaxis: { ...axis, zeroline: true },
      annotationdefaults: { font: { color: ink.muted, size: 12 } },
    },
    data: {
      heatmap: [{ colorbar }],
      histogram: [{ marker: { line: { color: ink.paper, width: 0.5 } } }],
    },
  };
}
