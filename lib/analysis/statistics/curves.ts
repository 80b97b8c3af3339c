/** Measures read off curves of effects over layers, and the layers at which they are read. */

import { ModalscopeError } from "../../errors.js";
import { checkOptions, groupKeys, integer, number, numeric, type OptionChecks } from "../../options.js";
import { asMatrix, type MatrixLike, zeros } from "../linalg/matrix.js";
import { meanInterval } from "./clustered.js";
import type { Estimate } from "./intervals.js";
import { bootstrapPlace, type PlaceOptions, steepestRise } from "./places.js";

/** A step between neighbouring layers at which an effect grows again. */
export interface Rebound {
  /** The layer behind the step. */
  readonly layer: number;
  /** Growth of |δ|, in the effects' unit. */
  readonly size: number;
}

/**
 * The largest growth of |δ| from one layer to the next; undefined where it never grows.
 * @param effects `(layers)`.
 * @throws ModalscopeError with fewer than two layers.
 */
export function largestRebound(effects: ArrayLike<number>): Rebound | undefined {
  const sizes = Float64Array.from(effects, Math.abs);
  const layer = steepestRise(sizes);
  const size = sizes[layer] - sizes[layer - 1];
  return size > 0 ? { layer, size } : undefined;
}

/**
 * The effective visual depth `max{l : δ(l) ≥ τ}`: the last layer at which the effect is not below τ. Where the edit
 * harms at every layer no effect reaches a τ above 0: the set is empty and the depth undefined. For such curves see
 * {@link remainingDepth}.
 * @param effects `(layers)`.
 */
export function effectiveVisualDepth(effects: ArrayLike<number>, tau = 1e-6): number | undefined {
  for (let layer = effects.length - 1; layer >= 0; layer--) if (effects[layer] >= tau) return layer;
  return undefined;
}

/**
 * The first layer from which on no more than a share of the whole effect remains: the least `l` with `δ(l′)/δ(0) ≤ share`
 * for every `l′ ≥ l`; the number of layers where only an edit behind the last one would do. Always defined: an edit from
 * behind the last layer has no effect. A rebound over the share counts against it.
 * @param effects `(layers)`: of an edit from each layer on; that of layer 0 is the whole.
 * @throws ModalscopeError without layers, or for a share outside of 0–1.
 */
export function remainingDepth(effects: ArrayLike<number>, share = 0.5): number {
  if (effects.length === 0) throw new ModalscopeError("The curve has no layers.");
  if (!(share >= 0 && share < 1))
    throw new ModalscopeError(`The share is ${share}.`, "It must be from 0 to below 1.");
  const whole = effects[0];
  let depth = effects.length;
  while (depth > 0 && Math.sign(whole) * effects[depth - 1] <= share * Math.abs(whole)) depth--;
  return depth;
}

export interface DepthOptions extends Omit<PlaceOptions, "positions"> {
  /** Share of the whole effect that remains at most. Default 0.5. */
  readonly share?: number;
}

const DEPTH_OPTIONS: OptionChecks<DepthOptions> = {
  share: numeric,
  draws: integer(1),
  seed: integer(),
  clusters: groupKeys,
  level: number(0, 1),
};

/**
 * {@link remainingDepth} of the mean curve as a share of the depth, 0–1 (layer l of L begins at l/L), with its bootstrap
 * interval over samples. Undefined where the interval of the whole effect holds 0: of noise about 0 the last layers are
 * above any share, which would look like a late place.
 * @param effects `(n, layers)`: of each sample, two or more.
 */
export function bootstrapDepth(effects: MatrixLike, options: DepthOptions = {}): Estimate | undefined {
  checkOptions("bootstrapDepth", options, DEPTH_OPTIONS);
  const { share = 0.5, ...place } = options;
  const { data, shape } = asMatrix(effects, "The effects");
  const [n, layers] = shape;
  const { clusters, level } = place;
  const whole = meanInterval(
    Array.from({ length: n }, (_, i) => data[i * layers]),
    { clusters, level },
  );
  if (whole.low <= 0 && whole.high >= 0) return undefined;
  // The place behind the last layer, at which nothing is edited.
  const curves = zeros(n, layers + 1);
  for (let i = 0; i < n; i++) curves.data.set(data.subarray(i * layers, (i + 1) * layers), i * (layers + 1));
  const positions = Array.from({ length: layers + 1 }, (_, l) => l / layers);
  const find = (mean: Float64Array): number => remainingDepth(mean.subarray(0, layers), share);
  return bootstrapPlace(curves, find, { ...place, positions });
}
