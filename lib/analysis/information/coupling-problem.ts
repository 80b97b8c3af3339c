import { logDeterminant, solveCholesky, solveLower, tryCholesky } from "../linalg/cholesky.js";
import { identity, type Matrix, squaredNorm, transpose, zeros } from "../linalg/matrix.js";
import { gram, multiply, multiplyTransposed } from "../linalg/products.js";
import { thinSvd } from "../linalg/svd.js";
import type { BarrierProblem, Derivatives } from "./central-path.js";

/** Matrices from which the information at a coupling is computed. */
interface Coupled {
  /** Σ `(p, q)`. */
  readonly sigma: Matrix;
  /** Factor of `I − ΣΣᵀ`, `(p, p)`. */
  readonly noise: Matrix;
  /** `Hx − Σ·Hy`, `(p, d)`. */
  readonly misfit: Matrix;
  /** Factor of `I + Hᵀ N⁻¹ H`, `(d, d)`. */
  readonly signal: Matrix;
}

/**
 * Information `½ log |I + Hᵀ N(Σ)⁻¹ H|` in nats that two Gaussian channels, `H = [Hx; Hy]`, give about a white target
 * when their white noises are coupled by Σ `(p, q)`, `N = [[I, Σ], [Σᵀ, I]]`. It is convex in Σ. The barrier is
 * `−½ log |N|`. All is computed from `I − ΣΣᵀ` and `Hx − Σ·Hy`, which stay accurate where N becomes singular.
 */
export class CouplingProblem implements BarrierProblem {
  private readonly hyTransposed: Matrix;
  /** `I + HyᵀHy`. */
  private readonly withoutX: Matrix;

  /** @param hx `(p, d)`. @param hy `(q, d)`. */
  constructor(
    private readonly hx: Matrix,
    private readonly hy: Matrix,
  ) {
    this.hyTransposed = transpose(hy);
    this.withoutX = addToDiagonal(gram(this.hyTransposed), 1);
  }

  value(x: Float64Array, mu: number): number | undefined {
    const at = this.couple(x);
    return at && barrierValue(at, mu);
  }

  /** `I + Hᵀ N⁻¹ H`, the precision of the target given both sources, `(d, d)`; undefined where N is singular. */
  targetPrecision(x: Float64Array): Matrix | undefined {
    const at = this.couple(x);
    return at && gram(at.signal);
  }

  derivatives(x: Float64Array, mu: number): Derivatives {
    const at = this.couple(x)!;
    const { cx, cy } = this.estimator(at);
    // N⁻¹ in blocks, and D = N⁻¹ − (HHᵀ + N)⁻¹ as CᵀC, without cancellation.
    const solved = solveCholesky(at.noise, at.sigma);
    const n11 = solveCholesky(at.noise, identity(at.sigma.shape[0]));
    const n12 = solved.data.map((value) => -value);
    const n22 = addToDiagonal(multiply(transpose(at.sigma), solved), 1);
    const [tx, ty] = [transpose(cx), transpose(cy)];
    const [d11, d12, d22] = [gram(tx), multiplyTransposed(tx, ty), gram(ty)];
    return {
      value: barrierValue(at, mu),
      gradient: n12.map((value, i) => -(d12.data[i] + mu * value)),
      hessian: couplingHessian([n11.data, n12, n22.data], [d11.data, d12.data, d22.data], at.sigma.shape, mu),
    };
  }

  /**
   * Lower bound in nats of the minimum over all Σ with `σmax ≤ 1`: for any F and C = [Cx Cy],
   * `½(2 log|F| + d − ‖F − C·H‖² − ‖C‖² − 2‖CxᵀCy‖_*)`, the dual of the max-det programme
   * (Vandenberghe, Boyd and Wu 1998). It follows from bounding the error covariance of every linear estimate of the
   * target, `F⁻¹C`, under the worst noise; F and C are taken from the best estimate at `x`.
   */
  lowerBound(x: Float64Array): number {
    const at = this.couple(x)!;
    const { cx, cy } = this.estimator(at);
    const d = at.signal.shape[0];
    const miss = transpose(at.signal);
    subtract(miss, multiply(cx, this.hx));
    subtract(miss, multiply(cy, this.hy));
    const nuclear = thinSvd(multiply(transpose(cx), cy)).singularValues.reduce((sum, s) => sum + s, 0);
    const noise = squaredNorm(cx.data) + squaredNorm(cy.data) + 2 * nuclear;
    return 0.5 * (logDeterminant(at.signal) + d - squaredNorm(miss.data) - noise);
  }

  /** Undefined where N is not positive definite. */
  private couple(x: Float64Array): Coupled | undefined {
    const sigma: Matrix = { data: x, shape: [this.hx.shape[0], this.hy.shape[0]] };
    const open = gram(sigma);
    for (let i = 0; i < open.data.length; i++) open.data[i] = -open.data[i];
    const noise = tryCholesky(addToDiagonal(open, 1));
    if (noise === undefined) return undefined;
    const misfit: Matrix = { data: Float64Array.from(this.hx.data), shape: this.hx.shape };
    subtract(misfit, multiplyTransposed(sigma, this.hyTransposed));
    const information = gram(transpose(solveLower(noise, misfit)));
    for (let i = 0; i < information.data.length; i++) information.data[i] += this.withoutX.data[i];
    const signal = tryCholesky(information);
    return signal && { sigma, noise, misfit, signal };
  }

  /** `C = L⁻¹ Hᵀ N⁻¹` in blocks `(d, p)` and `(d, q)`, L the signal's factor: `L⁻ᵀC` is the best linear estimate. */
  private estimator({ sigma, noise, misfit, signal }: Coupled): { readonly cx: Matrix; readonly cy: Matrix } {
    const top = solveCholesky(noise, misfit);
    const bottom: Matrix = { data: Float64Array.from(this.hy.data), shape: this.hy.shape };
    subtract(bottom, multiply(transpose(sigma), top));
    return { cx: solveLower(signal, transpose(top)), cy: solveLower(signal, transpose(bottom)) };
  }
}

function barrierValue({ signal, noise }: Coupled, mu: number): number {
  return 0.5 * (logDeterminant(signal) - mu * logDeterminant(noise));
}

/** Blocks (1,1), (1,2) and (2,2) of a symmetric matrix. */
type Blocks = readonly [Float64Array, Float64Array, Float64Array];

/**
 * Second derivatives in Σ, its lower triangle `(pq, pq)`: with Q = N⁻¹ − D they are
 * `(1+μ)(N₁₁⊗N₂₂ + N₁₂N₁₂ crossed) − (Q₁₁⊗Q₂₂ + Q₁₂Q₁₂ crossed)`, written in D so that nothing cancels.
 */
function couplingHessian(
  [n11, n12, n22]: Blocks,
  [d11, d12, d22]: Blocks,
  [p, q]: readonly number[],
  mu: number,
): Matrix {
  const q11 = n11.map((value, i) => value - d11[i]);
  const q12 = n12.map((value, i) => value - d12[i]);
  const s11 = d11.map((value, i) => value + mu * n11[i]);
  const s12 = d12.map((value, i) => value + mu * n12[i]);
  const size = p * q;
  const out = zeros(size, size);
  for (let i = 0; i < p; i++) {
    for (let a = 0; a < q; a++) {
      const start = (i * q + a) * size;
      for (let j = 0; j <= i; j++) {
        const s = s11[i * p + j];
        const r = q11[i * p + j];
        const n = n12[j * q + a];
        const d = d12[j * q + a];
        for (let b = 0; b < q; b++) {
          out.data[start + j * q + b] =
            s * n22[a * q + b] + r * d22[a * q + b] + s12[i * q + b] * n + q12[i * q + b] * d;
        }
      }
    }
  }
  return out;
}

function addToDiagonal(a: Matrix, value: number): Matrix {
  const n = a.shape[0];
  for (let i = 0; i < n; i++) a.data[i * n + i] += value;
  return a;
}

/** `a −= b`, in place. */
function subtract(a: Matrix, b: Matrix): void {
  for (let i = 0; i < a.data.length; i++) a.data[i] -= b.data[i];
}
