import { escapeLabel } from "../../escape.js";
import { checkOptions, flag, type OptionChecks, oneOf, required, text, texts } from "../../options.js";
import { AXES, type Axes, figure } from "../figure.js";
import type { Figure, Trace } from "../plotly.js";
import { colour, quiet } from "../theme.js";
import { cell, requireLength } from "../values.js";
import { BAND, type Band } from "./intervals.js";
import { labelAxis } from "./label-axis.js";
import { bandNote, type Curve, curvesOf, type SeriesInput } from "./series.js";

/** Options of {@link bars}. */
export interface BarsOptions extends Axes {
  /** One name per value of each series. */
  readonly categories: readonly string[];
  /** Bars of one category side by side (the default), or on top of each other. */
  readonly mode?: "group" | "stack";
  /** Bars that run to the right, for long category names. `x` and `y` stay the titles of those axes. */
  readonly horizontal?: boolean;
  /** Summary of samples `(categories, samples)` as a bar and its error bar; the mean alone when left out. */
  readonly band?: Band;
  /** The value beside each bar, in d3-format: ".2f", ".0%". */
  readonly labels?: string;
}

const BARS_OPTIONS: OptionChecks<BarsOptions> = {
  ...AXES,
  categories: required(texts, "a list of strings"),
  mode: oneOf("group", "stack"),
  horizontal: flag,
  band: BAND,
  labels: text,
};

/**
 * Bars per category, grouped by series, with error bars where a series has intervals.
 *
 * @param input `(categories)` or `(categories, samples)`, once or by name; or series with `low` and `high`
 * @throws when a series and the categories differ in length, or a series holds no finite number
 */
export function bars(input: SeriesInput, options: BarsOptions): Figure {
  checkOptions("bars", options, BARS_OPTIONS);
  const { categories, horizontal = false, mode = "group" } = options;
  const curves = curvesOf(input, "bars", options.band);
  for (const curve of curves)
    requireLength(curve.y.length, categories.length, `bars: series "${curve.name}"`, "`categories`");
  const { positions, axis } = labelAxis(categories, categories.length);
  const categoryAxis = {
    ...axis,
    showgrid: false,
    zeroline: false,
    ...(horizontal ? { autorange: "reversed" } : {}),
  };
  const valueAxis = { zeroline: true };
  return figure(
    curves.map((curve, i) => barTrace(curve, i, positions, horizontal, options.labels)),
    {
      x: horizontal ? "value" : "category",
      y: horizontal ? "category" : "value",
      ...options,
      subtitle: options.subtitle ?? bandNote(curves, options.band),
    },
    {
      barmode: mode === "stack" ? "relative" : "group",
      bargap: 0.25,
      bargroupgap: 0.06,
      showlegend: curves.some((curve) => curve.name !== ""),
      xaxis: horizontal ? valueAxis : categoryAxis,
      yaxis: horizontal ? categoryAxis : valueAxis,
    },
  );
}

function barTrace(
  curve: Curve,
  index: number,
  positions: readonly number[],
  horizontal: boolean,
  labels?: string,
): Trace {
  const { interval } = curve;
  const name = escapeLabel(curve.name);
  const values = curve.y.map(cell);
  const along = horizontal ? "x" : "y";
  const [low, high] = ["0", "1"].map((end) => `%{customdata[${end}]:.4~g}`);
  return {
    type: "bar",
    orientation: horizontal ? "h" : "v",
    name,
    legendgroup: name,
    ...(horizontal ? { x: values, y: positions } : { x: positions, y: values }),
    marker: { color: curve.color ?? colour(index) },
    ...(interval
      ? {
          [`error_${along}`]: {
            type: "data",
            symmetric: false,
            array: interval.high.map((end, i) => cell(end - curve.y[i])),
            arrayminus: interval.low.map((end, i) => cell(curve.y[i] - end)),
            color: quiet,
            thickness: 1.5,
            width: 4,
          },
          customdata: interval.low.map((end, i) => [cell(end), cell(interval.high[i])]),
        }
      : {}),
    hovertemplate: `%{${along}:.4~g}${interval ? ` [${low}, ${high}]` : ""}`,
    ...(labels
      ? {
          texttemplate: `%{${along}:${labels}}`,
          textposition: interval ? "inside" : "outside",
          insidetextanchor: "start",
          textangle: 0,
          cliponaxis: false,
        }
      : {}),
  };
}
