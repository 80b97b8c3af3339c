import { ModalscopeError } from "../../errors.js";
import { escapeLabel } from "../../escape.js";
import { checkOptions, either, flag, integer, listOf, numeric, type OptionChecks } from "../../options.js";
import { AXES, type Axes, figure } from "../figure.js";
import type { Figure } from "../plotly.js";
import { colour } from "../theme.js";
import { extent, isNumbers, isTensor, numbersOf, type Values } from "../values.js";

/** Options of {@link histogram}. */
export interface HistogramOptions extends Axes {
  /** Number of equal bins, or their edges (one more than bins, rising). By default Freedman–Diaconis' rule. */
  readonly bins?: number | readonly number[];
  /** Bars whose areas sum to 1, so that samples of different sizes compare. */
  readonly density?: boolean;
}

/** Counts of a sample in bins. */
export interface Bins {
  /** One more than there are bins. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Values outside the edges or not finite. */
  readonly left: number;
}

const HISTOGRAM_OPTIONS: OptionChecks<HistogramOptions> = {
  ...AXES,
  bins: either(integer(1), listOf(numeric, 2)),
  density: flag,
};

/**
 * Distribution of one sample, or of several over the same bins.
 *
 * @param input samples, once or by name
 * @throws when a sample holds no finite number or the edges do not rise
 */
export function histogram(
  input: Values | Readonly<Record<string, Values>>,
  options: HistogramOptions = {},
): Figure {
  checkOptions("histogram", options, HISTOGRAM_OPTIONS);
  const samples = samplesOf(input);
  const edges = edgesOf(
    samples.flatMap(([, values]) => values),
    options.bins,
  );
  const centres = edges.slice(1).map((edge, i) => (edge + edges[i]) / 2);
  const widths = edges.slice(1).map((edge, i) => edge - edges[i]);
  const y = options.density ? "density" : "count";
  const binned = samples.map(([name, values]) => ({ name, ...binCounts(values, edges) }));
  const data = binned.map(({ name, counts }, i) => {
    const total = counts.reduce((a, b) => a + b, 0);
    return {
      type: "bar",
      name: escapeLabel(name),
      legendgroup: escapeLabel(name),
      x: centres,
      width: widths,
      y: options.density ? counts.map((count, j) => count / (total * widths[j] || 1)) : [...counts],
      marker: { color: colour(i), opacity: samples.length > 1 ? 0.6 : 0.9 },
      customdata: widths.map((_, j) => [edges[j], edges[j + 1], counts[j]]),
      hovertemplate: "%{customdata[0]:.4~g} to %{customdata[1]:.4~g}: %{customdata[2]}",
    };
  });
  return figure(
    data,
    { title: `Distribution of ${options.x ?? "value"}`, subtitle: note(binned), x: "value", y, ...options },
    {
      barmode: "overlay",
      bargap: 0,
      showlegend: samples.length > 1,
    },
  );
}

/** Counts of `values` between rising `edges`: each bin holds its left edge, the last one its right edge too. */
export function binCounts(values: readonly number[], edges: readonly number[]): Bins {
  const counts = new Array<number>(edges.length - 1).fill(0);
  let left = 0;
  for (const value of values) {
    if (!(value >= edges[0] && value <= edges[edges.length - 1])) {
      left++;
      continue;
    }
    // The last edge that is not above the value; edges need not be even.
    let low = 0;
    let high = counts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (edges[middle] <= value) low = middle;
      else high = middle - 1;
    }
    counts[low]++;
  }
  return { edges, counts, left };
}

function samplesOf(input: Values | Readonly<Record<string, Values>>): [string, number[]][] {
  const named: [string, Values][] = isNumbers(input) ? [["", input]] : Object.entries(input);
  if (named.length === 0)
    throw new ModalscopeError("histogram: no samples were given.", "There is nothing to draw.");
  return named.map(([name, values]) => [name, numbersOf(flat(values), `histogram: sample "${name}"`)]);
}

/** A histogram has no axes to keep: a tensor of any shape is one sample. */
function flat(values: Values): Values {
  return isTensor(values) ? { data: values.data, shape: [values.data.length] } : values;
}

function edgesOf(values: readonly number[], bins?: number | readonly number[]): number[] {
  if (typeof bins === "object") {
    if (bins.some((edge, i) => i > 0 && !(edge > bins[i - 1])))
      throw new ModalscopeError(`histogram: the edges [${bins.join(", ")}] do not rise.`, "", "Sort them.");
    return [...bins];
  }
  const [low, high] = extent(values);
  if (low === high) return [low - 0.5, low + 0.5];
  const count = bins ?? freedmanDiaconis(values, high - low);
  return Array.from({ length: count + 1 }, (_, i) => (i === count ? high : low + ((high - low) * i) / count));
}

/** Bin width 2·IQR/n^⅓ (Freedman & Diaconis 1981), at 5 to 80 bins. */
function freedmanDiaconis(values: readonly number[], range: number): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const iqr = sorted[Math.floor(sorted.length * 0.75)] - sorted[Math.floor(sorted.length * 0.25)];
  const width = (2 * iqr) / Math.cbrt(sorted.length);
  return width > 0 ? Math.min(80, Math.max(5, Math.ceil(range / width))) : 20;
}

function note(binned: readonly (Bins & { name: string })[]): string {
  const sizes = binned.map(({ name, counts }) => {
    const n = counts.reduce((a, b) => a + b, 0);
    return name ? `${name} n = ${n}` : `n = ${n}`;
  });
  const left = binned.reduce((sum, { left }) => sum + left, 0);
  return sizes.join(", ") + (left > 0 ? `; ${left} outside the bins or not finite` : "");
}
