/** Axes that carry names, such as tokens or tasks. */
import { escapeLabel } from "../../escape.js";
import type { Axis } from "../plotly.js";

/** Beyond this many, names are shown at every second place, every third … */
const MOST_LABELS = 64;

/** Positions of labels, and the axis that shows them. */
export interface LabelAxis {
  readonly positions: number[];
  readonly axis: Axis;
}

/**
 * Positions of named places, and the axis that shows the names. Plotly's own category axis would lay two
 * equal names, such as a token that occurs twice, on one place and read digits as numbers; so the places are
 * 0, 1, 2 … and the names are tick texts. Evenly rising numbers stay a numeric axis.
 *
 * @param labels one per place; 0, 1, 2 … when left out
 */
export function labelAxis(labels: readonly (string | number)[] | undefined, size: number): LabelAxis {
  const places = Array.from({ length: size }, (_, i) => i);
  if (labels === undefined) return { positions: places, axis: size <= 13 ? { dtick: 1 } : {} };
  if (evenlyRising(labels))
    return { positions: [...labels], axis: size <= 13 ? { tickvals: [...labels] } : {} };
  const every = Math.ceil(size / MOST_LABELS);
  const shown = places.filter((place) => place % every === 0);
  return {
    positions: places,
    axis: {
      tickmode: "array",
      tickvals: shown,
      ticktext: shown.map((place) => escapeLabel(String(labels[place]))),
      showgrid: false,
      tickangle: "auto",
    },
  };
}

function evenlyRising(labels: readonly (string | number)[]): labels is readonly number[] {
  const step = Number(labels[1]) - Number(labels[0]);
  return labels.every(
    (label, i) =>
      typeof label === "number" &&
      (i === 0 || (step > 0 && Math.abs(label - Number(labels[i - 1]) - step) < 1e-9 * Math.abs(step))),
  );
}
