import { ModalscopeError } from "../../errors.js";
import { checkOptions, flag } from "../../options.js";
import { type AttentionWeights, splitHeads } from "../language-subspace/z-mask.js";
import { symmetricEigenvalues, symmetricRoot } from "../linalg/eigen.js";
import {
  asMatrix,
  centreRows,
  checkSame,
  type Matrix,
  type MatrixLike,
  squaredNorm,
  transpose,
} from "../linalg/matrix.js";
import { gram, multiply, multiplyTransposed } from "../linalg/products.js";
import { checkBasis, subspaceOverlap } from "../linalg/subspace.js";
import { singularValues } from "../linalg/svd.js";

/**
 * Effective rank `exp(H(p))`, `p = σ/‖σ‖₁`, H in nats (Roy & Vetterli 2007): between 1 and the number of nonzero σ.
 * It takes singular values, not their squares. Check: σ=(3,4) gives 1.9796.
 * @throws ModalscopeError when none is positive.
 */
export function effectiveRankOf(spectrum: ArrayLike<number>): number {
  const values = Array.from(spectrum);
  const total = values.reduce((sum, value) => sum + value, 0);
  if (!(total > 0) || values.some((value) => value < 0)) {
    throw new ModalscopeError(
      "The effective rank was asked of a spectrum that is all 0 or has negative values.",
      "Singular values are at least 0, and at least one must be positive.",
    );
  }
  return Math.exp(
    values.reduce((h, value) => h - (value > 0 ? (value / total) * Math.log(value / total) : 0), 0),
  );
}

/**
 * Effective rank of a cloud of vectors `(n, d)`.
 * @param centre whether the rows' mean is subtracted first. It must be said, because it matters greatly: the mean of a
 * residual stream is often its largest direction by far, and holds the uncentred rank near 1.
 */
export function effectiveRank(x: MatrixLike, { centre }: { readonly centre: boolean }): number {
  const rows = asMatrix(x, "The data");
  return effectiveRankOf(singularValues(centre ? centreRows(rows) : rows));
}

/**
 * Singular values of each head's kernel `W_q,hᵀ W_k,g` (d × d, rank ≤ d_head), `(heads)` arrays of `d_head` values, largest
 * first. As roots of the eigenvalues of `S_q^½ S_k S_q^½` with `S = W Wᵀ` (d_head × d_head): no d × d matrix is formed, and
 * values below 1e-8 of the largest are noise.
 */
export function headKernelSpectra(weights: AttentionWeights): Float64Array[] {
  const { query, key, keyOf } = splitHeads(weights);
  const keyGrams = key.map(gram);
  return query.map((w, h) => {
    const root = symmetricRoot(gram(w));
    const inner = multiply(multiply(root, keyGrams[keyOf[h]]), root);
    return symmetricEigenvalues(symmetrised(inner)).map((value) => Math.sqrt(Math.max(value, 0)));
  });
}

/** Rounding leaves a product of symmetric matrices symmetric only to 1e-16. */
function symmetrised(a: Matrix): Matrix {
  const mirrored = transpose(a);
  return { data: a.data.map((value, i) => (value + mirrored.data[i]) / 2), shape: a.shape };
}

/** Energy of vectors in a subspace and its complement, beside that of random directions. */
export interface EnergyShare {
  /** `‖X V_Zᵀ‖² / ‖X‖²`: the vectors' squared length that lies in the subspace. */
  readonly share: number;
  /** `k/d`, the expectation for vectors without preference. */
  readonly chance: number;
  /** `share / chance`: below 1 when the vectors avoid the subspace. */
  readonly ratio: number;
  /** Each vector's own share, `(n)`; NaN for a vector of length 0. */
  readonly perVector: Float64Array;
}

/**
 * Energy of vectors `(n, d)` in the subspace `basis (k, d)`, squared lengths pooled over the vectors. For an FFN's
 * write directions pass its `down_proj.weight` `(d, inner)` with `columns: true`: each column is one neuron's.
 */
export function energyInSubspace(
  x: MatrixLike,
  basis: MatrixLike,
  options: { readonly columns?: boolean } = {},
): EnergyShare {
  checkOptions("energyInSubspace", options, { columns: flag });
  const { columns = false } = options;
  const given = asMatrix(x, "The vectors");
  const vectors = columns ? transpose(given) : given;
  const v = asMatrix(basis, "The basis");
  checkSame("energyInSubspace", vectors.shape[1], v.shape[1], "dimensions in the vectors and the basis");
  checkBasis(v);
  const [k, d] = v.shape;
  const inside = multiplyTransposed(vectors, v);
  const perVector = Float64Array.from({ length: vectors.shape[0] }, (_, i) => {
    const whole = squaredNorm(vectors.data.subarray(i * d, (i + 1) * d));
    return squaredNorm(inside.data.subarray(i * k, (i + 1) * k)) / whole;
  });
  const whole = squaredNorm(vectors.data);
  if (whole === 0) throw new ModalscopeError("The energy of vectors was asked for that are all 0.");
  const share = squaredNorm(inside.data) / whole;
  return { share, chance: k / d, ratio: (share * d) / k, perVector };
}

/** Overlap of each layer's subspace with the next one's (see {@link subspaceOverlap}), `(layers − 1)`. */
export function neighbourOverlaps(bases: readonly MatrixLike[]): Float64Array {
  return Float64Array.from(bases.slice(1).map((basis, i) => subspaceOverlap(bases[i], basis).overlap));
}

/** The largest fall of a sequence from one item to the next. */
export interface SharpestDrop {
  /** The fall is from `values[index]` to `values[index + 1]`. */
  readonly index: number;
  /** `values[index] − values[index + 1]`; negative when the sequence only rises. */
  readonly drop: number;
}

/** The largest single-step fall of a sequence; the first of equals. */
export function sharpestDrop(values: ArrayLike<number>): SharpestDrop {
  if (values.length < 2) throw new ModalscopeError("A drop needs at least two values.");
  let best = { index: 0, drop: values[0] - values[1] };
  for (let i = 1; i + 1 < values.length; i++) {
    if (values[i] - values[i + 1] > best.drop) best = { index: i, drop: values[i] - values[i + 1] };
  }
  return best;
}

/** Distances of translations against distances of different problems. */
export interface PairedSeparation {
  /** Mean `‖a_i − b_i‖`: the same problem in two languages. */
  readonly paired: number;
  /** Mean `‖a_i − b_j‖`, i ≠ j: different problems in two languages. */
  readonly unpaired: number;
  /** `paired / unpaired`: below 1 when content is nearer than chance; the lower, the better content separates. */
  readonly ratio: number;
}

/**
 * Separation of pairs by pooled vectors: row i of `a (n, d)` belongs to row i of `b (n, d)`. Project both first
 * (projectOnto, ablate) to compare Z with Z⊥.
 */
export function pairedSeparation(a: MatrixLike, b: MatrixLike): PairedSeparation {
  const [x, y] = [asMatrix(a, "The first set"), asMatrix(b, "The second set")];
  checkSame("pairedSeparation", x.shape[0], y.shape[0], "rows");
  checkSame("pairedSeparation", x.shape[1], y.shape[1], "dimensions");
  const [n, d] = x.shape;
  if (n < 2) throw new ModalscopeError("Separation needs at least two pairs.");
  let paired = 0;
  let unpaired = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < d; p++) sum += (x.data[i * d + p] - y.data[j * d + p]) ** 2;
      if (i === j) paired += Math.sqrt(sum) / n;
      else unpaired += Math.sqrt(sum) / (n * (n - 1));
    }
  }
  return { paired, unpaired, ratio: paired / unpaired };
}
