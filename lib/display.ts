/** Functions that a kernel offers to the code in its cells, at `globalThis[Symbol.for("modalscope.display")]`. */

/** A result in several forms, by MIME type; the client takes the richest that it can draw. */
export type Bundle = Record<string, unknown>;

/** Outputs of the cell that runs. */
export interface Display {
  /** Shows a bundle; with a `displayId` it can be updated later. */
  display(bundle: Bundle, options?: { metadata?: Record<string, unknown>; displayId?: string }): void;
  /** Replaces what `display` showed under this id. */
  update(displayId: string, bundle: Bundle, metadata?: Record<string, unknown>): void;
  /** Empties the cell's output; with `wait`, when the next output arrives. */
  clear(wait?: boolean): void;
  /** True where the notebook's side draws the still images of figures, in the place of {@link STILL_TO_COME}. */
  readonly addsStills?: boolean;
}

/** MIME type of a figure with plotly's data. */
export const PLOTLY_MIME = "application/vnd.plotly.v1+json";

/** What a reader sees in a still's place where the run was killed before it was drawn. */
export const STILL_TO_COME = "<p>The run ended before it had drawn this figure.</p>";
