import type { ColourName } from "../raster/colours.js";

export type ChartKind = "bar" | "line" | "pie";

/** A chart of some named values, all different. */
export interface ChartScene {
  readonly kind: ChartKind;
  /** Colours of the bars or slices; letters of a line's points. */
  readonly names: readonly string[];
  /** From 1 to 9, in the order that they are drawn. */
  readonly values: readonly number[];
  /** The colour of a line; bars and slices have their own. */
  readonly ink?: ColourName;
}
