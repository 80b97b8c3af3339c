import { ModalscopeError } from "../../errors.js";
import { checkOptions, numeric, type OptionChecks } from "../../options.js";
import { asMatrix, type Matrix, type MatrixLike, zeros } from "../linalg/matrix.js";

/** Options of {@link segment}: a number of segments, or the price of each cut; exactly one of the two. */
export interface SegmentOptions {
  /** Number of segments. */
  readonly segments?: number;
  /** Added to the cost for each cut, in the series' squared units. */
  readonly penalty?: number;
  /** Fewest items in a segment. Default 1. */
  readonly shortest?: number;
}

const SEGMENT_OPTIONS: OptionChecks<SegmentOptions> = {
  segments: numeric,
  penalty: numeric,
  shortest: numeric,
};

/** A series cut into segments. */
export interface Segmentation {
  /** First item of each segment; the first is 0. */
  readonly starts: readonly number[];
  /** `(segments, d)`: mean of each segment. */
  readonly means: Matrix;
  /** Squared error within the segments, without penalties. */
  readonly cost: number;
}

/**
 * The segmentation of a series with the least `Σ_segments Σ_i ‖x_i − mean‖²` (plus `penalty` for each cut): exact, by
 * dynamic programming (Bellman 1961; optimal partitioning, Jackson et al. 2005). With several columns all are cut at
 * the same places. Of equal segmentations the one whose last cut comes first.
 * @param series `(n)` numbers, or `(n, d)`.
 */
export function segment(series: ArrayLike<number> | MatrixLike, options: SegmentOptions): Segmentation {
  checkOptions("segment", options, SEGMENT_OPTIONS);
  const x = columnOf(series);
  const n = x.shape[0];
  const { segments, penalty, shortest = 1 } = options;
  if ((segments === undefined) === (penalty === undefined)) {
    throw new ModalscopeError("segment needs a number of segments or a penalty, and not both.");
  }
  const most = segments ?? 1;
  if (!(shortest >= 1 && most >= 1 && most * shortest <= n)) {
    throw new ModalscopeError(
      `A series of ${n} cannot be cut into ${most} segments of ${shortest} or more.`,
      "",
      "Ask for fewer segments.",
    );
  }
  const error = withinError(x);
  const starts =
    segments === undefined ? cutAtPrice(n, error, penalty!, shortest) : cutInto(n, error, segments, shortest);
  const ends = [...starts.slice(1), n];
  const means = zeros(starts.length, x.shape[1]);
  starts.forEach((start, k) => {
    for (let i = start; i < ends[k]; i++)
      for (let j = 0; j < x.shape[1]; j++)
        means.data[k * x.shape[1] + j] += x.data[i * x.shape[1] + j] / (ends[k] - start);
  });
  return { starts, means, cost: starts.reduce((sum, start, k) => sum + error(start, ends[k]), 0) };
}

/** A series cut into straight pieces. */
export interface PiecewiseLine {
  /** First item of each piece; the first is 0. */
  readonly starts: readonly number[];
  /** `(n)`: the pieces' values. */
  readonly fitted: Float64Array;
  /** Squared error about the pieces. */
  readonly cost: number;
}

/**
 * The cut into straight pieces with the least squared error about each piece's own least-squares line; they need not
 * meet. Exact, as {@link segment}.
 * @param series `(n)`. @param options `segments`, and the fewest items in a piece (default 3: two make no line to err from).
 * @throws ModalscopeError when the series is too short.
 */
export function piecewiseLine(
  series: ArrayLike<number>,
  options: { readonly segments: number; readonly shortest?: number },
): PiecewiseLine {
  checkOptions("piecewiseLine", options, { segments: numeric, shortest: numeric });
  const { segments, shortest = 3 } = options;
  const n = series.length;
  if (!(shortest >= 1 && segments >= 1 && segments * shortest <= n))
    throw new ModalscopeError(
      `A series of ${n} cannot be cut into ${segments} straight pieces of ${shortest} or more.`,
      "",
      "Ask for fewer pieces.",
    );
  const line = lineThrough(series);
  const starts = cutInto(n, (start, end) => line(start, end).error, segments, shortest);
  const fitted = new Float64Array(n);
  let cost = 0;
  starts.forEach((start, k) => {
    const end = starts[k + 1] ?? n;
    const { at, slope, middle, error } = line(start, end);
    cost += error;
    for (let i = start; i < end; i++) fitted[i] = at + slope * (i - middle);
  });
  return { starts, fitted, cost };
}

/** Least-squares line through items start … end−1: its value at their middle, slope and squared error. */
function lineThrough(
  x: ArrayLike<number>,
): (start: number, end: number) => { at: number; slope: number; middle: number; error: number } {
  return (start, end) => {
    const n = end - start;
    const middle = (start + end - 1) / 2;
    let [sum, moment, spread] = [0, 0, 0];
    for (let i = start; i < end; i++) {
      sum += x[i];
      moment += (i - middle) * x[i];
      spread += (i - middle) ** 2;
    }
    const [at, slope] = [sum / n, spread === 0 ? 0 : moment / spread];
    let error = 0;
    for (let i = start; i < end; i++) error += (x[i] - at - slope * (i - middle)) ** 2;
    return { at, slope, middle, error };
  };
}

/** Fixed number of segments: best[k][end] over the last segment's start. */
function cutInto(n: number, error: ErrorOf, segments: number, shortest: number): number[] {
  let best = Float64Array.from({ length: n + 1 }, (_, end) =>
    end < shortest ? Number.POSITIVE_INFINITY : error(0, end),
  );
  const from: Int32Array[] = [];
  for (let k = 1; k < segments; k++) {
    const next = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
    const came = new Int32Array(n + 1);
    for (let end = (k + 1) * shortest; end <= n; end++) {
      for (let start = k * shortest; start + shortest <= end; start++) {
        const cost = best[start] + error(start, end);
        if (cost < next[end]) [next[end], came[end]] = [cost, start];
      }
    }
    from.push(came);
    best = next;
  }
  const starts: number[] = [];
  for (let k = from.length - 1, end = n; k >= 0; k--) {
    end = from[k][end];
    starts.unshift(end);
  }
  return [0, ...starts];
}

/** Any number of segments, each cut at a price. */
function cutAtPrice(n: number, error: ErrorOf, penalty: number, shortest: number): number[] {
  const best = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
  const came = new Int32Array(n + 1);
  best[0] = -penalty;
  for (let end = shortest; end <= n; end++) {
    for (let start = 0; start + shortest <= end; start++) {
      const cost = best[start] + penalty + error(start, end);
      if (cost < best[end]) [best[end], came[end]] = [cost, start];
    }
  }
  const starts: number[] = [];
  for (let end = n; end > 0; end = came[end]) starts.unshift(came[end]);
  return starts;
}

type ErrorOf = (start: number, end: number) => number;

/** Squared error about the mean of items start … end−1, from running sums: of centred values, so that little cancels. */
function withinError(x: Matrix): ErrorOf {
  const [n, d] = x.shape;
  const sums = new Float64Array((n + 1) * d);
  const squares = new Float64Array(n + 1);
  const mean = new Float64Array(d);
  for (let i = 0; i < n * d; i++) mean[i % d] += x.data[i] / n;
  for (let i = 0; i < n; i++) {
    squares[i + 1] = squares[i];
    for (let j = 0; j < d; j++) {
      const value = x.data[i * d + j] - mean[j];
      sums[(i + 1) * d + j] = sums[i * d + j] + value;
      squares[i + 1] += value * value;
    }
  }
  return (start, end) => {
    let explained = 0;
    for (let j = 0; j < d; j++) explained += (sums[end * d + j] - sums[start * d + j]) ** 2;
    return Math.max(0, squares[end] - squares[start] - explained / (end - start));
  };
}

function columnOf(series: ArrayLike<number> | MatrixLike): Matrix {
  const flat = !("shape" in series) && typeof series[0] === "number";
  const rows = flat ? Array.from(series as ArrayLike<number>, (value) => [value]) : (series as MatrixLike);
  return asMatrix(rows, "The series");
}
