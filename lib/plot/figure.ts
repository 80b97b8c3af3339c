/** A figure is plain data in plotly's terms: what to draw, and how it is laid out. */
import { ModalscopeError } from "../errors.js";
import { escapeLabel } from "../escape.js";
import { flag, number, type OptionChecks, pair, text } from "../options.js";
import type { Axis, Figure, Layout, Margin, Title, Trace } from "./plotly.js";
import { type Theme, template } from "./theme.js";
import { extent } from "./values.js";

/** Options of every mark: the titles, with units, and the scales. */
export interface Axes {
  /** Defaults to "y by x". */
  readonly title?: string;
  /** A line under the title, such as what an interval is and how many samples it has. */
  readonly subtitle?: string;
  /** Title of the horizontal axis, with its unit. */
  readonly x?: string;
  /** Title of the vertical axis, with its unit. */
  readonly y?: string;
  /** Ends of the horizontal axis, as values; the data's extent when left out. */
  readonly xRange?: readonly [number, number];
  /** Ends of the vertical axis, as values; the data's extent when left out. */
  readonly yRange?: readonly [number, number];
  /** A logarithmic horizontal axis. */
  readonly xLog?: boolean;
  /** A logarithmic vertical axis. */
  readonly yLog?: boolean;
  /** Tick labels of the horizontal axis in d3-format: ".0%" for shares, ".2f" for two decimals. */
  readonly xFormat?: string;
  /** Tick labels of the vertical axis in d3-format. */
  readonly yFormat?: string;
  /** In pixels; 400 when left out. The width follows the page. */
  readonly height?: number;
}

/** Checks of what every mark takes. */
export const AXES: OptionChecks<Axes> = {
  title: text,
  subtitle: text,
  x: text,
  y: text,
  xRange: pair,
  yRange: pair,
  xLog: flag,
  yLog: flag,
  xFormat: text,
  yFormat: text,
  height: number(1),
};

/** Characters of a title that fit a line of the usual width. */
const TITLE_COLUMNS = 78;
const SUBTITLE_COLUMNS = 104;

/**
 * A figure with titles, axes and the default look around `data`.
 * `xaxis`, `yaxis` and the other entries of `layout` are merged over what `axes` gives.
 */
export function figure(data: readonly Trace[], axes: Axes, layout: Layout = {}): Figure {
  const { xaxis, yaxis, ...rest } = layout;
  const x = axes.x ?? "index";
  const y = axes.y ?? "value";
  return {
    data,
    layout: {
      ...heading(axes.title ?? `${y} by ${x}`, axes.subtitle),
      template: template("light"),
      autosize: true,
      height: axes.height ?? 400,
      xaxis: { ...axis(x, axes.xRange, axes.xLog, axes.xFormat), ...xaxis },
      yaxis: { ...axis(y, axes.yRange, axes.yLog, axes.yFormat), ...yaxis },
      ...rest,
    },
  };
}

/** Plotly's settings in a page. Its button that uploads a figure's data to a server is left out. */
export const plotlyConfig: Readonly<Record<string, unknown>> = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false,
};

/** `figure` in another theme. */
export function themed(figure: Figure, theme: Theme): Figure {
  return { data: figure.data, layout: { ...figure.layout, template: template(theme) } };
}

/** The title as it was given, for a file name or a line of text; empty when the figure has none. */
export function titleOf(figure: Figure): string {
  const text = figure.layout.title?.text ?? "";
  return text
    .replace(/<br>/g, " ")
    .replace(/<[^>]*>/g, "")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&");
}

/** The title block, and a top margin that holds it. */
export function heading(title: string, subtitle?: string): { title: Title; margin: Margin } {
  const titleLines = wrap(title, TITLE_COLUMNS);
  const subtitleLines = subtitle ? wrap(subtitle, SUBTITLE_COLUMNS) : [];
  return {
    title: {
      text: titleLines.map(escapeLabel).join("<br>"),
      ...(subtitle ? { subtitle: { text: subtitleLines.map(escapeLabel).join("<br>") } } : {}),
      x: 0,
      xref: "container",
      xanchor: "left",
      y: 1,
      yref: "container",
      yanchor: "top",
      // Plotly anchors one line by its top, but several by the first one's baseline.
      pad: { t: titleLines.length > 1 ? 27 : 14, l: 16 },
    },
    margin: {
      t: 26 + 22 * titleLines.length + (subtitle ? 14 + 17 * subtitleLines.length : 0),
      r: 24,
      b: 48,
      l: 56,
    },
  };
}

/** Breaks `text` at spaces into lines of at most `columns` characters where words allow it. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function axis(title: string, range?: readonly [number, number], log?: boolean, format?: string): Axis {
  if (range && !(range.every(Number.isFinite) && (!log || range.every((end) => end > 0))))
    throw new ModalscopeError(
      `The range of the axis "${title}" runs from ${range[0]} to ${range[1]}.`,
      log ? "A logarithmic axis has positive numbers only." : "Its ends have to be numbers.",
    );
  return {
    title: { text: escapeLabel(title) },
    ...(log ? { type: "log" } : {}),
    // Plotly wants the ends of a logarithmic axis as exponents.
    ...(range ? { range: log ? range.map(Math.log10) : [...range] } : {}),
    ...(format ? { tickformat: format } : {}),
  };
}

/** Settings of an axis whose positions are whole numbers, such as layers: no tick between two of them. */
export function wholeTicks(positions: readonly number[]): Axis {
  const [low, high] = extent(positions);
  return positions.every(Number.isInteger) && high - low <= 12 ? { dtick: 1 } : {};
}
