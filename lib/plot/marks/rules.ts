import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { anything, checkOptions, type OptionChecks, oneOf, text } from "../../options.js";
import type { Figure, Placed } from "../plotly.js";
import { colour, quiet, translucent } from "../theme.js";
import { listOf } from "../values.js";

/** A straight line at one place of an axis: a chance level, a threshold, a chosen layer. */
export interface Rule {
  /** Place on the horizontal axis: a vertical line. Give `x` or `y`. */
  readonly x?: number;
  /** Place on the vertical axis: a horizontal line. */
  readonly y?: number;
  /** Text at the line's end. */
  readonly label?: string;
  /** End of a horizontal line at which its label stands; "right" when left out. */
  readonly end?: "left" | "right";
  /** A CSS colour; grey when left out. */
  readonly color?: string;
  /** Stroke; "dash" when left out. */
  readonly dash?: "solid" | "dash" | "dot";
}

/** A stretch of an axis, shaded: a segment found by change points, a window of layers. */
export interface Region {
  /** The lower end. */
  readonly from: number;
  /** The upper end. */
  readonly to: number;
  /** Axis that the ends lie on; "x" when left out. */
  readonly axis?: "x" | "y";
  /** Text inside the region. */
  readonly label?: string;
  /** `#rrggbb`; the palette's next colour when left out. It is drawn faintly. */
  readonly color?: string;
}

const RULE: OptionChecks<Rule> = {
  x: anything,
  y: anything,
  label: text,
  end: oneOf("left", "right"),
  color: text,
  dash: oneOf("solid", "dash", "dot"),
};
const REGION: OptionChecks<Region> = {
  from: anything,
  to: anything,
  axis: oneOf("x", "y"),
  label: text,
  color: text,
};

/**
 * Draws rules over a figure. On a logarithmic axis a place is given as its value, like the data.
 * @throws when a rule has neither place, both, or one that is not finite
 */
export function rules(figure: Figure, list: Rule | readonly Rule[]): Figure {
  const all = listOf(list);
  for (const rule of all) checkOptions("A rule", rule, RULE);
  const shapes = all.map((rule) => {
    const { vertical, at } = placeOf(rule);
    return {
      type: "line",
      layer: "above",
      line: { color: rule.color ?? quiet, width: 1.5, dash: rule.dash ?? "dash" },
      ...(vertical
        ? { xref: "x", x0: at, x1: at, yref: "y domain", y0: 0, y1: 1 }
        : { yref: "y", y0: at, y1: at, xref: "x domain", x0: 0, x1: 1 }),
    };
  });
  const labels = all.flatMap((rule): Placed[] => {
    if (!rule.label) return [];
    const { vertical, at } = placeOf(rule);
    return [
      vertical
        ? note(rule.label, besideX(figure, at, 0), "left", "bottom")
        : note(rule.label, besideY(figure, at, rule.end), rule.end ?? "right", "bottom"),
    ];
  });
  return withLayout(figure, shapes, labels);
}

/**
 * Shades stretches of an axis, under the data.
 * @throws when a region's ends are not finite or lie the wrong way round
 */
export function regions(figure: Figure, list: Region | readonly Region[]): Figure {
  const all = listOf(list);
  for (const region of all) checkOptions("A region", region, REGION);
  const shapes = all.map((region, i) => {
    if (!(region.from <= region.to) || !Number.isFinite(region.to - region.from))
      throw new ModalscopeError(
        `regions: region ${i} runs from ${region.from} to ${region.to}.`,
        "",
        "Give rising ends.",
      );
    const axis = region.axis ?? "x";
    const other = axis === "x" ? "y" : "x";
    return {
      type: "rect",
      layer: "below",
      line: { width: 0 },
      fillcolor: translucent(region.color ?? colour(i), 0.15),
      [`${axis}ref`]: axis,
      [`${axis}0`]: region.from,
      [`${axis}1`]: region.to,
      [`${other}ref`]: `${other} domain`,
      [`${other}0`]: 0,
      [`${other}1`]: 1,
    };
  });
  const labels = all.flatMap((region): Placed[] => {
    if (!region.label) return [];
    const middle = (region.from + region.to) / 2;
    return [
      region.axis === "y"
        ? note(region.label, besideY(figure, middle), "right", "middle")
        : note(region.label, besideX(figure, middle, 1), "center", "top"),
    ];
  });
  return withLayout(figure, shapes, labels);
}

function placeOf(rule: Rule): { vertical: boolean; at: number } {
  const at = rule.x ?? rule.y;
  if ((rule.x === undefined) === (rule.y === undefined) || at === undefined || !Number.isFinite(at))
    throw new ModalscopeError(
      `rules: a rule has x = ${rule.x} and y = ${rule.y}.`,
      "It is drawn at one place of one axis.",
      "Give a finite x (a vertical line) or a finite y (a horizontal one).",
    );
  return { vertical: rule.x !== undefined, at };
}

const isLog = (figure: Figure, axis: "x" | "y"): boolean => figure.layout[`${axis}axis`]?.type === "log";

/** On a logarithmic axis plotly takes a shape's place as the value, but an annotation's as its exponent. */
const labelPlace = (figure: Figure, axis: "x" | "y", at: number): number =>
  isLog(figure, axis) ? Math.log10(at) : at;

/** A label's place at `at` of the horizontal axis, at the bottom (0) or the top (1) of the figure. */
const besideX = (figure: Figure, at: number, y: 0 | 1): Placed => ({
  xref: "x",
  x: labelPlace(figure, "x", at),
  yref: "y domain",
  y,
});

/** A label's place at `at` of the vertical axis, at an end of the figure. */
const besideY = (figure: Figure, at: number, end: "left" | "right" = "right"): Placed => ({
  yref: "y",
  y: labelPlace(figure, "y", at),
  xref: "x domain",
  x: end === "left" ? 0 : 1,
});

function note(text: string, place: Placed, xanchor: string, yanchor: string): Placed {
  return {
    text: escapeLabel(text),
    showarrow: false,
    font: { size: 11 },
    borderpad: 2,
    xanchor,
    yanchor,
    ...place,
  };
}

function withLayout(figure: Figure, shapes: readonly Placed[], annotations: readonly Placed[]): Figure {
  const { layout } = figure;
  return {
    data: figure.data,
    layout: {
      ...layout,
      shapes: [...(layout.shapes ?? []), ...shapes],
      annotations: [...(layout.annotations ?? []), ...annotations],
    },
  };
}
