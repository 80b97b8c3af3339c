import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions, flag, type OptionChecks } from "../../options.js";
import { AXES, type Axes, figure, wholeTicks } from "../figure.js";
import type { Axis, Figure, Trace } from "../plotly.js";
import { colour, dash, symbol, translucent } from "../theme.js";
import { type Cell, cell } from "../values.js";
import { BAND, type Band } from "./intervals.js";
import { labelAxis } from "./label-axis.js";
import { bandNote, type Curve, curvesOf, type SeriesInput } from "./series.js";

/** Options of {@link lines} and {@link steps}. */
export interface LinesOptions extends Axes {
  /** Summary of samples `(positions, samples)` as a line and its band; the mean alone when left out. */
  readonly band?: Band;
  /** Markers at the values; by default where there are at most 60 positions. */
  readonly markers?: boolean;
}

const LINES_OPTIONS: OptionChecks<LinesOptions> = {
  ...AXES,
  band: BAND,
  markers: flag,
};

/**
 * Lines over an x axis, each with its interval band when it has one.
 *
 * @param input `(positions)` or `(positions, samples)`, once or by name; or series with `low` and `high`
 * @example lines({ hard, easy }, { x: "layer", y: "Δ log-probability (nats)", band: "bootstrap" })
 * @throws when lengths disagree or a series holds no finite number
 */
export function lines(input: SeriesInput, options: LinesOptions = {}): Figure {
  checkOptions("lines", options, LINES_OPTIONS);
  return drawn(curvesOf(input, "lines", options.band), options, "linear");
}

/** Like {@link lines}, with each value held until the next position: segments, thresholds, schedules. */
export function steps(input: SeriesInput, options: LinesOptions = {}): Figure {
  checkOptions("steps", options, LINES_OPTIONS);
  return drawn(curvesOf(input, "steps", options.band), options, "hv");
}

function drawn(given: readonly Curve[], options: LinesOptions, shape: "linear" | "hv"): Figure {
  const { curves, axis } = placed(given);
  const markers = options.markers ?? (shape === "linear" && curves.every((curve) => curve.x.length <= 60));
  return figure(
    // Bands first, so that no band covers a line.
    [
      ...curves.flatMap((curve, i) => bandTrace(curve, i, shape)),
      ...curves.map((curve, i) => lineTrace(curve, i, shape, markers)),
    ],
    {
      ...options,
      subtitle: options.subtitle ?? bandNote(curves, options.band),
      // A long legend would be cut off.
      height: options.height ?? Math.max(400, 130 + 19 * curves.length),
    },
    { showlegend: curves.some((curve) => curve.name !== ""), hovermode: "x unified", xaxis: axis },
  );
}

type PlacedCurve = Curve & { readonly x: readonly number[] };

/** Names on the x axis become places with tick texts; all series must then name the same places. */
function placed(curves: readonly Curve[]): { curves: readonly PlacedCurve[]; axis: Axis } {
  if (curves.every(isPlaced)) return { curves, axis: wholeTicks(curves.flatMap((curve) => curve.x)) };
  const labels = curves[0].x;
  const { positions, axis } = labelAxis(labels, labels.length);
  return {
    curves: curves.map((curve) => {
      if (curve.x.length !== labels.length || curve.x.some((name, i) => name !== labels[i]))
        throw new ModalscopeError(
          `lines: series "${curve.name}" names other places than series "${curves[0].name}".`,
          "Places with names are shared by all series of a figure.",
          "Give each series a value for every name, NaN where it has none.",
        );
      return { ...curve, x: positions };
    }),
    axis,
  };
}

const isPlaced = (curve: Curve): curve is PlacedCurve => typeof curve.x[0] !== "string";

function lineTrace(curve: PlacedCurve, index: number, shape: string, markers: boolean): Trace {
  const color = curve.color ?? colour(index);
  const { interval } = curve;
  const name = escapeLabel(curve.name);
  return {
    type: "scatter",
    mode: markers ? "lines+markers" : "lines",
    name,
    legendgroup: name,
    x: curve.x.map(cell),
    y: curve.y.map(cell),
    line: { color, width: 2.2, shape, dash: curve.dash ?? dash(index) },
    ...(markers ? { marker: { color, size: 6, symbol: symbol(index) } } : {}),
    ...(interval
      ? {
          customdata: interval.low.map((low, i) => [cell(low), cell(interval.high[i])]),
          hovertemplate: "%{y:.4~g} [%{customdata[0]:.4~g}, %{customdata[1]:.4~g}]",
        }
      : { hovertemplate: "%{y:.4~g}" }),
  };
}

/** The band as closed outlines, one for each unbroken run of positions: plotly's `tonexty` fills across gaps. */
function bandTrace(curve: PlacedCurve, index: number, shape: "linear" | "hv"): Trace[] {
  const { interval } = curve;
  if (!interval) return [];
  const whole = (i: number) => Number.isFinite(interval.low[i]) && Number.isFinite(interval.high[i]);
  const x: Cell[] = [];
  const y: Cell[] = [];
  for (const run of runs(curve.x.length, whole)) {
    const top = run.map((i) => [curve.x[i], interval.high[i]] as const);
    const bottom = run.map((i) => [curve.x[i], interval.low[i]] as const);
    const outline =
      shape === "hv" ? [...held(top), ...held(bottom).reverse()] : [...top, ...bottom.reverse()];
    if (x.length > 0) {
      x.push(null);
      y.push(null);
    }
    for (const [px, py] of outline) {
      x.push(cell(px));
      y.push(cell(py));
    }
  }
  const name = escapeLabel(curve.name);
  return [
    {
      type: "scatter",
      mode: "lines",
      name,
      legendgroup: name,
      showlegend: false,
      hoverinfo: "skip",
      x,
      y,
      line: { width: 0 },
      fill: "toself",
      fillcolor: translucent(curve.color ?? colour(index), 0.18),
    },
  ];
}

/** A polyline's points with the corners that holding each value until the next position adds. */
function held<X>(points: readonly (readonly [X, number])[]): (readonly [X, number])[] {
  return points.flatMap((point, i) => (i === 0 ? [point] : [[point[0], points[i - 1][1]] as const, point]));
}

/** Maximal runs of indices below `length` for which `keep` holds. */
function runs(length: number, keep: (index: number) => boolean): number[][] {
  const found: number[][] = [];
  for (let i = 0; i < length; i++) {
    if (!keep(i)) continue;
    if (i > 0 && keep(i - 1)) found[found.length - 1].push(i);
    else found.push([i]);
  }
  return found;
}
