import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions, flag, number, type OptionChecks, text } from "../../options.js";
import { AXES, type Axes, figure } from "../figure.js";
import type { Figure, Trace } from "../plotly.js";
import { colour, quiet, symbol, viridis } from "../theme.js";
import { cell, listOf, numbersOf, requireLength, type Values } from "../values.js";

/** A group of points. */
export interface Points {
  /** Entry in the legend. */
  readonly name?: string;
  /** Horizontal places, `(points)`. */
  readonly x: Values;
  /** Vertical places, `(points)`. */
  readonly y: Values;
  /** A number per point that colours it, such as its layer. */
  readonly value?: Values;
  /** A text per point, shown when the pointer is on it. */
  readonly labels?: readonly string[];
  /** Joins the points in order: a path through layers. */
  readonly path?: boolean;
}

/** Options of {@link scatter}. */
export interface ScatterOptions extends Axes {
  /** Quantity that the colours of `value` show, with its unit. */
  readonly value?: string;
  /** Diameter in pixels; by default 7, and 5 from 500 points on. */
  readonly size?: number;
  /** One unit is as long on both axes, for projections whose distances mean something. */
  readonly equal?: boolean;
}

const SCATTER_OPTIONS: OptionChecks<ScatterOptions> = { ...AXES, value: text, size: number(0), equal: flag };

/**
 * Points in a plane, coloured by group or by a value.
 *
 * @throws when the parts of a group differ in length, or one holds no finite number
 */
export function scatter(input: Points | readonly Points[], options: ScatterOptions = {}): Figure {
  checkOptions("scatter", options, SCATTER_OPTIONS);
  const groups = listOf(input);
  if (groups.length === 0)
    throw new ModalscopeError("scatter: no points were given.", "There is nothing to draw.");
  const coloured = groups.some((group) => group.value !== undefined);
  const traces = groups.flatMap((group, i) =>
    group.value && group.name
      ? [pointsTrace(group, i, options), legendEntry(group, i)]
      : [pointsTrace(group, i, options)],
  );
  return figure(
    traces,
    { x: "x", y: "y", ...options },
    {
      showlegend: groups.some((group) => group.name !== undefined),
      hovermode: "closest",
      // One colour axis for all groups, so that a colour means the same number in each.
      ...(coloured
        ? {
            coloraxis: {
              colorscale: viridis,
              colorbar: { title: { text: escapeLabel(options.value ?? "value") } },
            },
          }
        : {}),
      ...(coloured && groups.some((group) => group.name) ? { legend: { orientation: "h", y: -0.2 } } : {}),
      yaxis: options.equal ? { scaleanchor: "x", zeroline: false } : { zeroline: false },
    },
  );
}

/** A group whose colours are values has no colour of its own: its legend entry shows the symbol in grey. */
function legendEntry(group: Points, index: number): Trace {
  const name = escapeLabel(group.name ?? "");
  return {
    type: "scatter",
    mode: group.path ? "lines+markers" : "markers",
    name,
    legendgroup: name,
    x: [null],
    y: [null],
    line: { color: colour(index), width: 1 },
    marker: { color: quiet, size: 8, symbol: symbol(index) },
  };
}

function pointsTrace(group: Points, index: number, options: ScatterOptions): Trace {
  const what = `scatter: group "${group.name ?? index}"`;
  const x = numbersOf(group.x, `${what}, x`);
  const y = numbersOf(group.y, `${what}, y`);
  requireLength(y.length, x.length, `${what}, y`, "x");
  const value = group.value && numbersOf(group.value, `${what}, value`);
  if (value) requireLength(value.length, x.length, `${what}, value`, "x");
  if (group.labels) requireLength(group.labels.length, x.length, `${what}, labels`, "x");
  const color = colour(index);
  const name = escapeLabel(group.name ?? "");
  return {
    type: "scatter",
    mode: group.path ? "lines+markers" : "markers",
    name,
    legendgroup: name,
    ...(value ? { showlegend: false } : {}),
    x: x.map(cell),
    y: y.map(cell),
    ...(group.path ? { line: { color, width: 1 } } : {}),
    marker: {
      size: options.size ?? (x.length > 500 ? 5 : 7),
      symbol: symbol(index),
      opacity: x.length > 500 ? 0.65 : 0.85,
      ...(value ? { color: value.map(cell), coloraxis: "coloraxis" } : { color }),
    },
    ...(group.labels ? { text: group.labels.map(escapeLabel) } : {}),
    hovertemplate:
      "%{x:.4~g}, %{y:.4~g}" +
      (value ? `<br>${escapeLabel(options.value ?? "value")} %{marker.color:.4~g}` : "") +
      (group.labels ? "<br>%{text}" : ""),
  };
}
