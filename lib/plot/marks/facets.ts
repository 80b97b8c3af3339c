import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions, integer, number, type OptionChecks, oneOf, text } from "../../options.js";
import { heading } from "../figure.js";
import type { Axis, Figure, Layout, Placed, Trace } from "../plotly.js";
import { extent } from "../values.js";

/** Options of {@link facets}. */
export interface FacetsOptions {
  /** Title over all panels; none when left out. */
  readonly title?: string;
  /** A line under the title. */
  readonly subtitle?: string;
  /** Panels side by side; up to 3 by default, and 2 for four figures. */
  readonly columns?: number;
  /** Axes with one range in all panels, so that they compare. `true` for both (the default), or one. */
  readonly share?: boolean | "x" | "y";
  /** Height of a panel in pixels; 240 when left out. */
  readonly panelHeight?: number;
}

interface Panel {
  readonly title: string;
  readonly figure: Figure;
  readonly row: number;
  readonly column: number;
  /** Plotly's axis suffix: "" for the first panel, "2", "3" … */
  readonly suffix: string;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** Space between panels, in pixels: room for a panel's title above, and tick labels and an axis title below. */
const GAP = { x: 64, y: 84 };
/** The inner width that the horizontal gap is a share of; the real one follows the page. */
const USUAL_WIDTH = 680;

const FACETS_OPTIONS: OptionChecks<FacetsOptions> = {
  title: text,
  subtitle: text,
  columns: integer(1),
  share: oneOf(true, false, "x", "y"),
  panelHeight: number(1),
};

/**
 * Small multiples: figures as panels of one, named by their keys or titles. Series of one name share one
 * legend entry, heatmaps share one colour scale.
 *
 * @throws when there are no figures, or one already has panels
 */
export function facets(
  input: readonly Figure[] | Readonly<Record<string, Figure>>,
  options: FacetsOptions = {},
): Figure {
  checkOptions("facets", options, FACETS_OPTIONS);
  const named: [string, Figure][] = isFigures(input)
    ? input.map((figure) => [titleText(figure), figure])
    : Object.entries(input).map(([name, figure]) => [escapeLabel(name), figure]);
  const height = options.panelHeight ?? 240;
  const panels = arrange(
    named,
    options.columns ?? (named.length === 4 ? 2 : Math.min(3, named.length)),
    height,
  );
  const rows = panels[panels.length - 1].row + 1;
  const head = heading(options.title ?? "", options.subtitle);
  const margin = { ...head.margin, t: (options.title ? head.margin.t : 24) + 26 };
  return {
    data: sharedColours(sharedLegend(panels.flatMap(panelTraces)), panels),
    layout: {
      ...named[0][1].layout,
      ...head,
      margin,
      height: rows * height + (rows - 1) * GAP.y + margin.t + margin.b,
      ...Object.assign({}, ...panels.map((panel) => panelAxes(panel, panels, options.share ?? true))),
      shapes: panels.flatMap((panel) => moved(panel, "shapes")),
      annotations: panels.flatMap((panel) => [panelTitle(panel), ...moved(panel, "annotations")]),
      showlegend: named.some(([, figure]) => figure.layout.showlegend === true),
    },
  };
}

function arrange(named: readonly [string, Figure][], columns: number, height: number): Panel[] {
  if (named.length === 0)
    throw new ModalscopeError("facets: no figures were given.", "There is nothing to draw.");
  const rows = Math.ceil(named.length / columns);
  const gapX = GAP.x / USUAL_WIDTH;
  const gapY = GAP.y / (rows * height + (rows - 1) * GAP.y);
  const width = (1 - gapX * (columns - 1)) / columns;
  const tall = (1 - gapY * (rows - 1)) / rows;
  return named.map(([title, figure], i) => {
    if ("xaxis2" in figure.layout)
      throw new ModalscopeError(
        `facets: figure ${i} has panels itself.`,
        "",
        "Pass the figures that it was made of.",
      );
    const row = Math.floor(i / columns);
    const column = i % columns;
    const left = column * (width + gapX);
    const top = 1 - row * (tall + gapY);
    return {
      title,
      figure,
      row,
      column,
      suffix: i === 0 ? "" : `${i + 1}`,
      x: [left, left + width],
      y: [top - tall, top],
    };
  });
}

function panelTraces(panel: Panel): Trace[] {
  return panel.figure.data.map((trace) => ({
    ...trace,
    xaxis: `x${panel.suffix}`,
    yaxis: `y${panel.suffix}`,
  }));
}

/** Axis titles stand at the outer edges when axes are shared, as their tick labels do in each panel. */
function panelAxes(panel: Panel, panels: readonly Panel[], share: boolean | "x" | "y"): Layout {
  const { suffix, figure, row, column } = panel;
  const sharesX = share === true || share === "x";
  const sharesY = share === true || share === "y";
  const lowest = !panels.some((other) => other.column === column && other.row > row);
  const other = { x: "y", y: "x" } as const;
  const placed = (name: "x" | "y", shares: boolean, outer: boolean): Axis => {
    const { title, ...rest } = figure.layout[`${name}axis`] ?? {};
    return {
      ...rest,
      ...(outer || !shares ? { title } : {}),
      domain: [...panel[name]],
      anchor: `${other[name]}${suffix}`,
      ...(shares && suffix !== "" ? { matches: name } : {}),
      // Plotly takes one constraint per axis: the scale anchor of the first panel holds for those that match it.
      ...("scaleanchor" in rest
        ? { scaleanchor: shares && suffix !== "" ? undefined : `${other[name]}${suffix}` }
        : {}),
    };
  };
  return {
    [`xaxis${suffix}`]: placed("x", sharesX, lowest),
    [`yaxis${suffix}`]: placed("y", sharesY, column === 0),
  };
}

/** Shapes or annotations of a panel's figure, bound to the panel's axes. */
function moved(panel: Panel, kind: "shapes" | "annotations"): Placed[] {
  const rebind = (ref?: string) => ref?.replace(/^([xy])(?= domain$|$)/, `$1${panel.suffix}`);
  return (panel.figure.layout[kind] ?? []).map((item) => ({
    ...item,
    xref: rebind(item.xref),
    yref: rebind(item.yref),
  }));
}

function panelTitle(panel: Panel): Placed {
  return {
    text: panel.title,
    showarrow: false,
    xref: `x${panel.suffix} domain`,
    yref: `y${panel.suffix} domain`,
    x: 0,
    y: 1,
    xanchor: "left",
    yanchor: "bottom",
    yshift: 4,
    font: { size: 13 },
  };
}

/** One legend entry per name: the first trace that would show one. */
function sharedLegend(traces: readonly Trace[]): Trace[] {
  const seen = new Set<string>();
  return traces.map((trace) => {
    if (trace.showlegend === false || !trace.name) return trace;
    const first = !seen.has(trace.name);
    seen.add(trace.name);
    return { ...trace, showlegend: first };
  });
}

/** Heatmaps on one colour scale, so that a colour means the same number in each panel; one colour bar. */
function sharedColours(traces: readonly Trace[], panels: readonly Panel[]): Trace[] {
  const maps = traces.filter((trace) => trace.type === "heatmap");
  if (maps.length === 0) return [...traces];
  const [zmin, zmax] = extent(maps.flatMap(({ zmin = Number.NaN, zmax = Number.NaN }) => [zmin, zmax]));
  const symmetric = zmin < 0 && zmax > 0;
  const reach = Math.max(-zmin, zmax);
  const bottom = Math.min(...panels.map((panel) => panel.y[0]));
  return traces.map((trace) => {
    if (trace.type !== "heatmap") return trace;
    return {
      ...trace,
      zmin: symmetric ? -reach : zmin,
      zmax: symmetric ? reach : zmax,
      showscale: trace === maps[0],
      colorbar: { ...trace.colorbar, len: 1 - bottom, y: (1 + bottom) / 2 },
    };
  });
}

function titleText(figure: Figure): string {
  return (figure.layout.title?.text ?? "").replace(/<br>/g, " ");
}

const isFigures = (input: readonly Figure[] | Readonly<Record<string, Figure>>): input is readonly Figure[] =>
  Array.isArray(input);
