import {
  barycentricMap,
  exactTransport,
  squaredDistanceCost,
  uniformWeights,
} from "../distance/optimal-transport.js";
import {
  asMatrix,
  checkSame,
  columnMeans,
  type Matrix,
  type MatrixLike,
  row,
  squaredNorm,
} from "../linalg/matrix.js";
import { projectOnto } from "../linalg/subspace.js";

/** Way of pairing the tokens of one text with those of another of another length. */
export type Alignment = "mean" | "transport";

/**
 * Vectors that each target token receives from a source text.
 *
 * - `mean`: the source's mean, one row `(1, d)` that holds for every token.
 * - `transport`: `Σ_s (π*_st / b_t) x_s`, `(T_target, d)`, with π* the exact optimal transport of squared distances between
 *   the two token clouds, uniform weights on both.
 * @param source `(T_source, d)`. @param target `(T_target, d)`.
 */
export async function alignSource(source: MatrixLike, target: MatrixLike, how: Alignment): Promise<Matrix> {
  const from = asMatrix(source, "The source's tokens");
  const to = asMatrix(target, "The target's tokens");
  checkSame("alignSource", from.shape[1], to.shape[1], "dimensions in source and target");
  if (how === "mean") return { data: columnMeans(from), shape: [1, from.shape[1]] };
  const [n, m] = [from.shape[0], to.shape[0]];
  const { plan } = await exactTransport(uniformWeights(n), uniformWeights(m), squaredDistanceCost(from, to));
  return barycentricMap(plan, from);
}

/**
 * The control for replacing a subspace's content: the same source's content of another subspace, `(T, d)` to add, scaled
 * token by token to the length that replacing the first one's would change:
 * `δ_t = ‖P_Z(s_t − h_t)‖ · u_t`, `u_t = P_R(s_t − h_t)/‖P_R(s_t − h_t)‖`.
 * @param tokens h `(T, d)`. @param source s `(T, d)`, or `(1, d)` for all tokens. @param basis V_Z `(k, d)`.
 * @param control V_R `(k, d)`.
 */
export function sameNormPatch(
  tokens: MatrixLike,
  source: MatrixLike,
  basis: MatrixLike,
  control: MatrixLike,
): Matrix {
  const h = asMatrix(tokens, "The tokens");
  const s = asMatrix(source, "The source");
  const [count, d] = h.shape;
  checkSame("sameNormPatch", s.shape[1], d, "dimensions in source and tokens");
  if (s.shape[0] !== 1) checkSame("sameNormPatch", s.shape[0], count, "rows in source and tokens");
  const change = { data: h.data.map((value, i) => s.data[i % s.data.length] - value), shape: h.shape };
  const wanted = projectOnto(change, basis);
  const given = projectOnto(change, control);
  for (let t = 0; t < count; t++) {
    const own = row(given, t);
    const factor = Math.sqrt(squaredNorm(row(wanted, t)) / squaredNorm(own));
    // A token that lies where the source does has nothing to change in either subspace.
    for (let j = 0; j < d; j++) own[j] *= Number.isFinite(factor) ? factor : 0;
  }
  return given;
}
