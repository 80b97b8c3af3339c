import { ModalscopeError } from "../../errors.js";
import { at0 } from "../../tensor.js";
import { asMatrix, checkSame, type MatrixLike, type NumericTensor, squaredNorm } from "../linalg/matrix.js";
import { multiplyTransposed } from "../linalg/products.js";
import { checkBasis } from "../linalg/subspace.js";

/** Shares of each layer's update in a fixed subspace and in its complement. */
export interface ResidualRatios {
  /** `(transitions)`: R(k), the mean over prompts of each prompt's ratio. */
  readonly ratio: Float64Array;
  /** `(transitions, prompts)`: each prompt's own ratio, for intervals and for one language at a time. */
  readonly perPrompt: Float64Array[];
  /**
   * `√(k/(d−k))`: what an update without preference gives (its energy divides as k to d−k). Not 1: with k=50 of d=2048
   * it is 0.158.
   */
  readonly chance: number;
}

/**
 * `R(l) = ‖P_Z Δh̄_l‖ / ‖P_{Z⊥} Δh̄_l‖`, `Δh̄_l = h̄(l+1) − h̄(l)`: pooling over tokens is linear, so the pooled update is
 * the difference of the pooled states.
 * @param states mean-pooled residual streams `(L, prompts, d)` in the order of the layers; L−1 transitions come out.
 * @param basis V_Z `(k, d)`, the same for all layers.
 */
export function residualRatios(states: NumericTensor, basis: MatrixLike): ResidualRatios {
  const v = asMatrix(basis, "The basis");
  checkBasis(v);
  const [k, d] = v.shape;
  if (states.shape.length !== 3 || states.shape[0] < 2) {
    throw new ModalscopeError(
      `The states have the shape (${states.shape.join(", ")}).`,
      "Mean-pooled states (layers, prompts, d) of at least two layers are needed.",
    );
  }
  checkSame("residualRatios", states.shape[2], d, "dimensions in the states and the basis");
  if (k >= d)
    throw new ModalscopeError(`The subspace fills the space (${k} of ${d}): nothing lies outside it.`);
  const prompts = states.shape[1];
  const perPrompt = Array.from({ length: states.shape[0] - 1 }, (_, l) => {
    const before = asMatrix(at0(states, l), `State ${l}`);
    const after = asMatrix(at0(states, l + 1), `State ${l + 1}`);
    const update = { data: after.data.map((value, i) => value - before.data[i]), shape: after.shape };
    const inside = multiplyTransposed(update, v);
    return Float64Array.from({ length: prompts }, (_, i) => {
      const z = squaredNorm(inside.data.subarray(i * k, (i + 1) * k));
      const whole = squaredNorm(update.data.subarray(i * d, (i + 1) * d));
      return Math.sqrt(z / Math.max(whole - z, 0));
    });
  });
  return {
    ratio: Float64Array.from(perPrompt, (ratios) => ratios.reduce((sum, r) => sum + r, 0) / prompts),
    perPrompt,
    chance: Math.sqrt(k / (d - k)),
  };
}
