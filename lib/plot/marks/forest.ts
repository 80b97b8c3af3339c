import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions } from "../../options.js";
import { concepts } from "../concepts.js";
import { AXES, type Axes, figure, wrap } from "../figure.js";
import type { Figure, Placed, Trace } from "../plotly.js";
import { colour, quiet, translucent } from "../theme.js";
import { extent } from "../values.js";

/** One value with its interval, and what chance gives in its place. */
export interface ForestRow {
  readonly name: string;
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** Ends of what nulls gave: shuffles, random sets of the same size. */
  readonly null?: readonly [low: number, high: number];
  /** Limits that the interval is held against, as thin lines in the row. */
  readonly limits?: readonly number[];
  /** Rows of a group share a colour and an entry in the legend. */
  readonly group?: string;
  /** `#rrggbb`; that of the group's place in the palette when left out. */
  readonly color?: string;
}

/** Characters of a row's name in one line. */
const NAME_COLUMNS = 34;
const ROW_HEIGHT = 30;
/** Half of the height of a row's band and limits, in rows. */
const HALF = 0.4;

/**
 * A forest plot: one row for each condition, its value as a point, its interval as a line, the null as a grey band.
 * @throws ModalscopeError without rows, and for an interval that does not hold its value
 */
export function forest(rows: readonly ForestRow[], options: Axes = {}): Figure {
  checkOptions("forest", options, AXES);
  if (rows.length === 0)
    throw new ModalscopeError("forest: no rows were given.", "There is nothing to draw.");
  rows.forEach(checkRow);
  const groups = [...new Set(rows.map(({ group = "" }) => group))];
  const names = rows.map(({ name }) => wrap(name, NAME_COLUMNS).map(escapeLabel).join("<br>"));
  const shapes = rows.flatMap((row, i): Placed[] => [
    ...(row.null ? [bandOf(row.null, i)] : []),
    ...(row.limits ?? []).map((limit) => limitOf(limit, i)),
  ]);
  // Rows that are groups of their own are named beside the axis.
  const legend = groups.length > 1 && rows.some(({ name, group }) => group !== name);
  return figure(
    groups.map((group, g) => groupTrace(rows, group, g)),
    {
      y: "",
      xRange: rangeOf(rows),
      height: 130 + ROW_HEIGHT * rows.length + (legend ? 30 : 0),
      ...options,
    },
    {
      showlegend: legend,
      shapes,
      yaxis: {
        tickmode: "array",
        tickvals: rows.map((_, i) => i),
        ticktext: names,
        range: [rows.length - 0.5, -0.5],
        showgrid: false,
        zeroline: false,
      },
      xaxis: { zeroline: true },
    },
  );
}

function checkRow({ name, estimate, low, high }: ForestRow): void {
  if (!(low <= estimate && estimate <= high && Number.isFinite(high - low)))
    throw new ModalscopeError(
      `forest: "${name}" is ${estimate} [${low}, ${high}].`,
      "A value lies within the finite ends of its interval.",
    );
}

/** Shapes do not widen plotly's own range: the nulls' bands and the limits would be cut off. */
function rangeOf(rows: readonly ForestRow[]): readonly [number, number] {
  const ends = rows.flatMap((row) => [row.low, row.high, ...(row.null ?? []), ...(row.limits ?? [])]);
  const [low, high] = extent([0, ...ends]);
  const room = 0.05 * (high - low || 1);
  return [low - room, high + room];
}

function groupTrace(rows: readonly ForestRow[], group: string, index: number): Trace {
  const own = rows.flatMap((row, i) => ((row.group ?? "") === group ? [{ row, i }] : []));
  const colors = own.map(({ row }) => row.color ?? colour(index));
  return {
    type: "scatter",
    mode: "markers",
    name: escapeLabel(group),
    x: own.map(({ row }) => row.estimate),
    y: own.map(({ i }) => i),
    marker: { color: colors, size: 9 },
    // A share of 1 lies on the edge.
    cliponaxis: false,
    error_x: {
      type: "data",
      symmetric: false,
      array: own.map(({ row }) => row.high - row.estimate),
      arrayminus: own.map(({ row }) => row.estimate - row.low),
      color: colors[0],
      thickness: 2,
      width: 5,
    },
    customdata: own.map(({ row }) => [row.low, row.high]),
    hovertemplate: "%{x:.4~g} [%{customdata[0]:.4~g}, %{customdata[1]:.4~g}]",
  };
}

function bandOf([low, high]: readonly [number, number], row: number): Placed {
  return {
    type: "rect",
    layer: "below",
    // Nulls that all gave the same have no width.
    line: { width: 2, color: translucent(concepts.null, 0.3) },
    fillcolor: translucent(concepts.null, 0.3),
    xref: "x",
    x0: low,
    x1: high,
    yref: "y",
    y0: row - HALF,
    y1: row + HALF,
  };
}

function limitOf(at: number, row: number): Placed {
  return {
    type: "line",
    layer: "below",
    line: { width: 1.5, color: quiet },
    xref: "x",
    x0: at,
    x1: at,
    yref: "y",
    y0: row - HALF,
    y1: row + HALF,
  };
}
