import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions, flag, labels, type OptionChecks, oneOf, pair, text } from "../../options.js";
import { AXES, type Axes, figure } from "../figure.js";
import type { Figure } from "../plotly.js";
import { viridis } from "../theme.js";
import { cell, extent, type Matrix, requireLength, rowsOf } from "../values.js";
import { labelAxis } from "./label-axis.js";

/** Options of {@link heatmap}. */
export interface HeatmapOptions extends Axes {
  /** One label per row; 0, 1, 2 … when left out. */
  readonly rows?: readonly (string | number)[];
  /** One label per column; 0, 1, 2 … when left out. */
  readonly columns?: readonly (string | number)[];
  /** Quantity that the colours show, with its unit: the colour bar's title. */
  readonly value?: string;
  /** `diverging` has its middle colour at 0; by default it is taken when values lie on both sides of 0. */
  readonly colors?: "sequential" | "diverging";
  /** Values at the ends of the colours. A diverging range is widened to be symmetric. */
  readonly range?: readonly [number, number];
  /** Writes the values into the cells, in d3-format: ".2f". */
  readonly annotate?: string;
  /** Side of row 0; the top when left out, as a matrix is written. */
  readonly first?: "top" | "bottom";
  /** Square cells, for grids of image patches. */
  readonly square?: boolean;
}

const HEATMAP_OPTIONS: OptionChecks<HeatmapOptions> = {
  ...AXES,
  rows: labels,
  columns: labels,
  value: text,
  colors: oneOf("sequential", "diverging"),
  range: pair,
  annotate: text,
  first: oneOf("top", "bottom"),
  square: flag,
};

/**
 * A matrix `(rows, columns)` as coloured cells. Cells that are not finite stay blank.
 *
 * @throws when labels and matrix disagree in size, or no number is finite
 */
export function heatmap(matrix: Matrix, options: HeatmapOptions = {}): Figure {
  checkOptions("heatmap", options, HEATMAP_OPTIONS);
  const rows = rowsOf(matrix, "heatmap");
  const height = rows.length;
  const width = rows[0].length;
  if (options.rows) requireLength(options.rows.length, height, "heatmap: `rows`", "the matrix's first axis");
  if (options.columns)
    requireLength(options.columns.length, width, "heatmap: `columns`", "the matrix's second axis");
  const { low, high, diverging } = colourRange(rows, options);
  const columns = labelAxis(options.columns, width);
  const lines = labelAxis(options.rows, height);
  const label = options.value ?? "value";
  const place = (axis: "x" | "y", title: string) => `${escapeLabel(title)} %{${axis}}`;
  const x = options.x ?? "column";
  const y = options.y ?? "row";
  return figure(
    [
      {
        type: "heatmap",
        z: rows.map((row) => row.map(cell)),
        x: columns.positions,
        y: lines.positions,
        zmin: low,
        zmax: high,
        // The template's scale: its diverging one whenever the range crosses 0, so say it where that is not wanted.
        ...(diverging || low >= 0 || high <= 0 ? { autocolorscale: true } : { colorscale: viridis }),
        ...(width * height <= 300 ? { xgap: 1, ygap: 1 } : {}),
        colorbar: { title: { text: escapeLabel(label) } },
        hoverongaps: false,
        hovertemplate: `${place("x", x)}<br>${place("y", y)}<br>${escapeLabel(label)} %{z:.4~g}<extra></extra>`,
        ...(options.annotate ? { texttemplate: `%{z:${options.annotate}}`, textfont: { size: 11 } } : {}),
      },
    ],
    { title: `${label} by ${y} and ${x}`, ...options, x, y },
    {
      xaxis: { ...columns.axis, showgrid: false, ...(options.square ? { constrain: "domain" } : {}) },
      yaxis: {
        ...lines.axis,
        showgrid: false,
        zeroline: false,
        ...(options.first === "bottom" ? {} : { autorange: "reversed" }),
        ...(options.square ? { scaleanchor: "x", constrain: "domain" } : {}),
      },
    },
  );
}

function colourRange(
  rows: number[][],
  options: HeatmapOptions,
): { low: number; high: number; diverging: boolean } {
  const [low, high] = options.range ?? extent(rows.flat());
  if (!(low <= high))
    throw new ModalscopeError(
      `heatmap: \`range\` runs from ${low} to ${high}.`,
      "Its ends are swapped or not numbers.",
    );
  const diverging = options.colors === undefined ? low < 0 && high > 0 : options.colors === "diverging";
  if (!diverging) return low === high ? { low, high: low + 1, diverging } : { low, high, diverging };
  const reach = Math.max(Math.abs(low), Math.abs(high)) || 1;
  return { low: -reach, high: reach, diverging };
}
