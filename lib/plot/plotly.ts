/**
 * Plotly's JSON, as far as this library reads or changes it; all other fields pass through. Reference:
 * https://plotly.com/javascript/reference/.
 */

/** Fields that are handed on without being looked at. */
interface OtherFields {
  readonly [field: string]: unknown;
}

/** Something drawn from data: a line, bars, a heatmap. */
export interface Trace extends OtherFields {
  /** "scatter" when left out. */
  readonly type?: string;
  /** Entry in the legend. */
  readonly name?: string;
  readonly showlegend?: boolean;
  /** Axes that it lies on: "x", "x2" …; the first when left out. */
  readonly xaxis?: string;
  readonly yaxis?: string;
  /** Of a heatmap: the values at the ends of its colours. */
  readonly zmin?: number;
  readonly zmax?: number;
  readonly colorbar?: OtherFields;
}

/** Title of a figure, an axis or a colour bar. */
export interface Title extends OtherFields {
  readonly text?: string;
}

/** A horizontal or vertical axis. */
export interface Axis extends OtherFields {
  readonly title?: Title;
  /** "linear", "log" or "category". */
  readonly type?: string;
  /** Axis whose unit is as long as this one's. */
  readonly scaleanchor?: string;
}

/** A line or rectangle (a shape), or a text (an annotation), at a place of two axes. */
export interface Placed extends OtherFields {
  /** "x", "x2" …, "x domain" for shares of the axis' length, or "paper". */
  readonly xref?: string;
  readonly yref?: string;
}

/** Margins in pixels: top, right, bottom, left. */
export interface Margin {
  readonly t: number;
  readonly r: number;
  readonly b: number;
  readonly l: number;
}

/** Layout of a figure; the axes of panels are `xaxis2`, `yaxis2` and so on. */
export interface Layout extends OtherFields {
  readonly title?: Title;
  readonly height?: number;
  readonly margin?: Margin;
  readonly xaxis?: Axis;
  readonly yaxis?: Axis;
  readonly shapes?: readonly Placed[];
  readonly annotations?: readonly Placed[];
  readonly showlegend?: boolean;
}

/** Plotly JSON. Marks return one, and functions such as `rules` and `facets` take and return them. */
export interface Figure {
  readonly data: readonly Trace[];
  readonly layout: Layout;
}
