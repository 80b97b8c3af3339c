import { ModalscopeError } from "../../errors.js";
import { checkOptions, integer, numeric, type OptionChecks, oneOf } from "../../options.js";
import { tensor } from "../../tensor.js";
import { symmetricRoot } from "../linalg/eigen.js";
import { asMatrix, type Matrix, type MatrixLike, squaredNorm, stack, zeros } from "../linalg/matrix.js";
import { gram, multiply } from "../linalg/products.js";
import { numericalRank, type TopEigenOptions, topRightSingular } from "../linalg/top-eigen.js";

/**
 * One layer's query and key projections, in the checkpoint's own layout.
 *
 * Their kernels `K_h = W_q,hᵀ W_k,g(h)` (d × d) give the scores `q·k = x̂_qᵀ K_h x̂_k` of the *normalised* block input x̂
 * without biases and at equal positions. A bias adds terms that depend on one side only, and no subspace holds them.
 * Rotary embeddings put a rotation between the two factors: row and column space of each kernel stay as they are, but
 * which of their directions is strongest can change with the distance. A model that normalises queries and keys head by
 * head (Qwen3, Gemma 3) multiplies both by gains (d_head) after it: multiply the rows by them first; the division by the
 * length is left out.
 */
export interface AttentionWeights {
  /** `q_proj.weight`, `(heads · d_head, d)`. */
  readonly query: MatrixLike;
  /** `k_proj.weight`, `(keyValueHeads · d_head, d)`. */
  readonly key: MatrixLike;
  readonly heads: number;
  /** Fewer than `heads` under grouped-query attention: head h reads key head ⌊h · keyValueHeads / heads⌋. */
  readonly keyValueHeads: number;
  /**
   * The factor `(d)` that the norm before attention multiplies by. Given, it is folded into both projections, and the
   * kernels act on the normalised stream before its gain; left out, they act on what the projections see. Gemma stores
   * its factor less 1: add it.
   */
  readonly gain?: ArrayLike<number>;
}

/** A layer's projections split by head, checked, and with the gain folded in. */
export interface HeadWeights {
  /** Per head, `(d_head, d)`. */
  readonly query: readonly Matrix[];
  /** Per key head, `(d_head, d)`. */
  readonly key: readonly Matrix[];
  /** Key head of each query head, `(heads)`. */
  readonly keyOf: readonly number[];
}

/** @throws ModalscopeError when shapes, head counts and gain do not fit together. */
export function splitHeads({ query, key, heads, keyValueHeads, gain }: AttentionWeights): HeadWeights {
  const q = asMatrix(query, "The query projection");
  const k = asMatrix(key, "The key projection");
  const d = q.shape[1];
  const headSize = q.shape[0] / heads;
  if (
    !Number.isInteger(headSize) ||
    !Number.isInteger(heads / keyValueHeads) ||
    k.shape[0] !== keyValueHeads * headSize ||
    k.shape[1] !== d
  ) {
    throw new ModalscopeError(
      `Query (${q.shape.join(", ")}) and key (${k.shape.join(", ")}) do not fit ${heads} heads over ${keyValueHeads} key heads.`,
      "They should be (heads · d_head, d) and (keyValueHeads · d_head, d).",
      "Weights are stored (out, in), as in the checkpoint: do not transpose them.",
    );
  }
  if (gain !== undefined && gain.length !== d) {
    throw new ModalscopeError(`The gain has ${gain.length} values for a width of ${d}.`);
  }
  const split = (w: Matrix, count: number): Matrix[] =>
    Array.from({ length: count }, (_, h) => {
      const data = w.data.slice(h * headSize * d, (h + 1) * headSize * d);
      if (gain !== undefined) for (let i = 0; i < data.length; i++) data[i] *= gain[i % d];
      return tensor(data, [headSize, d]);
    });
  return {
    query: split(q, heads),
    key: split(k, keyValueHeads),
    keyOf: Array.from({ length: heads }, (_, h) => Math.floor((h * keyValueHeads) / heads)),
  };
}

/**
 * Side of the kernels to span: `"key"` stacks the `K_h` one under the other and takes right singular vectors (what
 * is read *from* the attended tokens), `"query"` does so with their transposes (what the attending token reads with).
 */
export type KernelSide = "key" | "query";

/** Options of {@link zMask}. */
export interface ZMaskOptions extends TopEigenOptions {
  /** Default `"key"`, the side that the study's construction spans. */
  readonly side?: KernelSide;
}

const ZMASK_OPTIONS: OptionChecks<ZMaskOptions> = {
  side: oneOf("key", "query"),
  tolerance: numeric,
  block: numeric,
  maxApplications: numeric,
  seed: integer(),
};

/** A subspace read off attention weights. */
export interface ZMask {
  readonly side: KernelSide;
  /** V_Z `(k, d)`, orthonormal rows, the strongest direction first. */
  readonly basis: Matrix;
  /** The `k` singular values of the stacked kernels that belong to the rows. */
  readonly singularValues: Float64Array;
  /** All singular values, when the stack was small enough to decompose whole (`rankBound` ≤ 512). */
  readonly spectrum: Float64Array | undefined;
  /** Largest rank that the shapes allow: `min(d, key heads · d_head)`, or `min(d, heads · d_head)` on the query side. */
  readonly rankBound: number;
  /** Numerical rank from the whole spectrum where there is one, else `rankBound`. */
  readonly rank: number;
  /** Share of `Σσ²` over all directions that the first `k` hold. */
  readonly energy: number;
}

/** A mask may take up at most this share of the rank: see {@link zMask}. */
export const largestRankShare = 0.5;

/**
 * The subspace Z of a layer: the top-`k` right singular vectors of its heads' kernels stacked vertically, `(H·d, d)`.
 *
 * They are the top eigenvectors of `Σ_g W_k,gᵀ (Σ_{h∈g} W_q,h W_q,hᵀ) W_k,g = BᵀB` with
 * `B = [S_g^½ W_k,g]_g`, `S_g = Σ_{h∈g} W_q,h W_q,hᵀ` (d_head × d_head), so nothing of size d × d is formed; on the
 * query side `B = [T_g^½ W_q,h]_h` with `T_g = W_k,g W_k,gᵀ`.
 *
 * `k` must lie well below the rank, which is at most (key heads · d_head): here, at most half of it. Nearer the rank the
 * choice of the strongest directions chooses nothing, since Z becomes all that the heads can read at all, and its
 * complement what they cannot see; patching then compares reading with not reading.
 *
 * @param weights one layer's projections; whether the norm's gain is folded in is their `gain`.
 * @param k dimensions of Z.
 * @throws ModalscopeError when `k` exceeds half the rank.
 */
export function zMask(weights: AttentionWeights, k: number, options: ZMaskOptions = {}): ZMask {
  checkOptions("zMask", options, ZMASK_OPTIONS);
  const { side = "key", ...eigen } = options;
  const factor = kernelFactor(splitHeads(weights), side);
  const rankBound = Math.min(...factor.shape);
  checkSize(k, rankBound, side);
  const { vectors, singularValues, spectrum } = topRightSingular(factor, k, eigen);
  const rank = spectrum === undefined ? rankBound : numericalRank(spectrum);
  checkSize(k, rank, side);
  return {
    side,
    basis: vectors,
    singularValues,
    spectrum,
    rankBound,
    rank,
    energy: squaredNorm(singularValues) / squaredNorm(factor.data),
  };
}

/** `B` with `BᵀB = Σ_h K_hᵀ K_h` (key side) or `Σ_h K_h K_hᵀ` (query side). */
function kernelFactor({ query, key, keyOf }: HeadWeights, side: KernelSide): Matrix {
  if (side === "query") {
    const roots = key.map((w) => symmetricRoot(gram(w)));
    return stack(query.map((w, h) => multiply(roots[keyOf[h]], w)));
  }
  return stack(
    key.map((w, g) => {
      const size = w.shape[0];
      const sum = zeros(size, size);
      query.forEach((q, h) => {
        if (keyOf[h] === g)
          gram(q).data.forEach((value, i) => {
            sum.data[i] += value;
          });
      });
      return multiply(symmetricRoot(sum), w);
    }),
  );
}

function checkSize(k: number, rank: number, side: KernelSide): void {
  const largest = Math.floor(rank * largestRankShare);
  if (Number.isInteger(k) && k >= 1 && k <= largest) return;
  throw new ModalscopeError(
    `A mask of ${k} dimensions was asked for on the ${side} side, whose kernels have rank ${rank}.`,
    "From half the rank on, Z is nearly all that the heads can read and says nothing about what they prefer.",
    `Choose k from 1 to ${largest}.`,
  );
}

/** Share of each coordinate axis in the subspace, `(d)`: `Σ_i V_Z[i, j]²`, between 0 and 1, summing to `k`. */
export function axisEnergy(basis: MatrixLike): Float64Array {
  const { data, shape } = asMatrix(basis, "The basis");
  const energy = new Float64Array(shape[1]);
  data.forEach((value, i) => {
    energy[i % shape[1]] += value * value;
  });
  return energy;
}
