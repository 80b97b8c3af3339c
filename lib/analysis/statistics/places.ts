import { ModalscopeError } from "../../errors.js";
import { checkOptions, groupKeys, integer, number, type OptionChecks, sequence } from "../../options.js";
import { asMatrix, checkSame, type MatrixLike } from "../linalg/matrix.js";
import { type BootstrapOptions, bootstrap, type Estimate } from "./intervals.js";

export interface PlaceOptions extends BootstrapOptions {
  /** Positions of the curves' values, such as depths, `(positions)`. Default 0, 1, 2 … */
  readonly positions?: ArrayLike<number>;
  /** Cluster of each curve, `(n)`: clusters are drawn, not curves. */
  readonly clusters?: ArrayLike<number | string>;
}

const PLACE_OPTIONS: OptionChecks<PlaceOptions> = {
  positions: sequence,
  clusters: groupKeys,
  draws: integer(1),
  level: number(0, 1),
  seed: integer(),
};

/**
 * A place on the mean of curves, such as that of its peak, with its bootstrap interval over curves. Where the mean is flat the
 * place is anywhere, and the interval says so.
 * @param curves `(n, positions)`. @param find index of the place on a mean curve, `(positions)`.
 */
export function bootstrapPlace(
  curves: MatrixLike,
  find: (mean: Float64Array) => number,
  options: PlaceOptions = {},
): Estimate {
  checkOptions("bootstrapPlace", options, PLACE_OPTIONS);
  const { positions, clusters, ...bootstrapping } = options;
  const { data, shape } = asMatrix(curves, "The curves");
  const [n, width] = shape;
  if (positions) checkSame("bootstrapPlace", positions.length, width, "positions");
  if (clusters) checkSame("bootstrapPlace", clusters.length, n, "clusters and curves");
  const members = new Map<number | string, number[]>();
  for (let i = 0; i < n; i++) {
    const key = clusters?.[i] ?? i;
    members.set(key, [...(members.get(key) ?? []), i]);
  }
  const groups = [...members.values()];
  return bootstrap(
    groups.length,
    (drawn) => {
      const sum = new Float64Array(width);
      let count = 0;
      for (const group of drawn)
        for (const i of groups[group]) {
          for (let j = 0; j < width; j++) sum[j] += data[i * width + j];
          count++;
        }
      const index = find(sum.map((value) => value / count));
      return positions ? positions[index] : index;
    },
    bootstrapping,
  );
}

/** Index of the largest value of a curve; the first of equal ones. */
export function argmax(curve: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < curve.length; i++) if (curve[i] > curve[best]) best = i;
  return best;
}

/**
 * Index of the value behind a curve's largest rise over `over` positions; the first of equal ones.
 * @throws ModalscopeError when the curve is no longer than that.
 */
export function steepestRise(curve: ArrayLike<number>, over = 1): number {
  if (!(over >= 1 && curve.length > over))
    throw new ModalscopeError(`A curve of ${curve.length} values has no rise over ${over} positions.`);
  return over + argmax(Array.from({ length: curve.length - over }, (_, i) => curve[i + over] - curve[i]));
}
