import { ModalscopeError } from "../../errors.js";
import { checkOptions, type OptionChecks, oneOf } from "../../options.js";
import type { Axes } from "../figure.js";
import { AXES } from "../figure.js";
import type { Figure } from "../plotly.js";
import { lines } from "./lines.js";
import { curvesOf, type SeriesInput } from "./series.js";

/** Options of {@link spectrum}. */
export interface SpectrumOptions extends Axes {
  /** The values on a logarithmic axis, or the running share of variance (of their squares). */
  readonly show?: "values" | "variance";
}

const SPECTRUM_OPTIONS: OptionChecks<SpectrumOptions> = { ...AXES, show: oneOf("values", "variance") };

/**
 * Singular values by rank, 1 for the largest. They are sorted here.
 *
 * @param input singular values `(ranks)`, once or by name (of eigenvalues pass the square roots)
 * @throws when a value is negative
 */
export function spectrum(input: SeriesInput, options: SpectrumOptions = {}): Figure {
  checkOptions("spectrum", options, SPECTRUM_OPTIONS);
  const { show = "values", ...axes } = options;
  const curves = curvesOf(input, "spectrum").map(({ name, y, color, dash }) => {
    const sorted = y.filter(Number.isFinite).sort((a, b) => b - a);
    const least = sorted[sorted.length - 1];
    if (least < 0)
      throw new ModalscopeError(
        `spectrum: series "${name}" holds ${least}.`,
        "A singular value is not negative.",
      );
    // A zero has no place on a logarithmic axis: it becomes a gap.
    const shown =
      show === "values" ? sorted.map((value) => (value > 0 ? value : Number.NaN)) : varianceShare(sorted);
    return { name, x: sorted.map((_, i) => i + 1), y: shown, color, dash };
  });
  return show === "values"
    ? lines(curves, { title: "Singular values by rank", x: "rank", y: "singular value", yLog: true, ...axes })
    : lines(curves, {
        title: "Share of variance by rank",
        x: "rank",
        y: "variance of the first ranks (share)",
        yRange: [0, 1.02],
        yFormat: ".0%",
        ...axes,
      });
}

function varianceShare(values: readonly number[]): number[] {
  const total = values.reduce((sum, value) => sum + value * value, 0);
  let running = 0;
  return values.map((value) => {
    running += value * value;
    return running / total;
  });
}
