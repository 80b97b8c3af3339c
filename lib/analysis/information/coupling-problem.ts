import { logDeterminant, solveCholeskyInto, solveLowerInto, tryCholeskyInto } from "../linalg/cholesky.js";
import { identity, type Matrix, squaredNorm, transpose, transposeInto, zeros } from "../linalg/matrix.js";
import { gram, gramInto, multiply, multiplyTransposedInto } from "../linalg/products.js";
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
 * Matrices that everything about a point is computed in: with a few unknowns, new arrays would cost more than the arithmetic.
 * `xT` and the like are `x` transposed.
 */
function workspace(p: number, q: number, d: number) {
  return {
    open: zeros(p, p),
    noise: zeros(p, p),
    misfit: zeros(p, d),
    solvedMisfit: zeros(p, d),
    solvedMisfitT: zeros(d, p),
    information: zeros(d, d),
    signal: zeros(d, d),
    sigmaT: zeros(q, p),
    top: zeros(p, d),
    topT: zeros(d, p),
    bottom: zeros(q, d),
    bottomT: zeros(d, q),
    cx: zeros(d, p),
    cxT: zeros(p, d),
    cy: zeros(d, q),
    cyT: zeros(q, d),
    solved: zeros(p, q),
    solvedT: zeros(q, p),
    identity: identity(p),
    n11: zeros(p, p),
    n12: zeros(p, q),
    n22: zeros(q, q),
    d11: zeros(p, p),
    d12: zeros(p, q),
    d22: zeros(q, q),
    q11: zeros(p, p),
    q12: zeros(p, q),
    s11: zeros(p, p),
    s12: zeros(p, q),
    gradient: new Float64Array(p * q),
    hessian: zeros(p * q, p * q),
  };
}

type Workspace = ReturnType<typeof workspace>;

/**
 * Information `½ log |I + Hᵀ N(Σ)⁻¹ H|` in nats that two Gaussian channels, `H = [Hx; Hy]`, give about a white target
 * when their white noises are coupled by Σ `(p, q)`, `N = [[I, Σ], [Σᵀ, I]]`. It is convex in Σ. The barrier is
 * `−½ log |N|`. All is computed from `I − ΣΣᵀ` and `Hx − Σ·Hy`, which stay accurate where N becomes singular.
 */
export class CouplingProblem implements BarrierProblem {
  private readonly hyTransposed: Matrix;
  /** `I + HyᵀHy`. */
  private readonly withoutX: Matrix;
  private readonly work: Workspace;

  /** @param hx `(p, d)`. @param hy `(q, d)`. */
  constructor(
    private readonly hx: Matrix,
    private readonly hy: Matrix,
  ) {
    this.hyTransposed = transpose(hy);
    this.withoutX = addToDiagonal(gram(this.hyTransposed), 1);
    this.work = workspace(hx.shape[0], hy.shape[0], hx.shape[1]);
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

  /** The next call overwrites gradient and Hessian. */
  derivatives(x: Float64Array, mu: number): Derivatives {
    const at = this.couple(x)!;
    const { work } = this;
    const { cx, cy } = this.estimator(at);
    // N⁻¹ in blocks, and D = N⁻¹ − (HHᵀ + N)⁻¹ as CᵀC, without cancellation.
    const solved = solveCholeskyInto(at.noise, at.sigma, work.solved);
    solveCholeskyInto(at.noise, work.identity, work.n11);
    for (let i = 0; i < x.length; i++) work.n12.data[i] = -solved.data[i];
    const n22 = multiplyTransposedInto(work.sigmaT, transposeInto(solved, work.solvedT), work.n22);
    addToDiagonal(n22, 1);
    const [tx, ty] = [transposeInto(cx, work.cxT), transposeInto(cy, work.cyT)];
    gramInto(tx, work.d11);
    multiplyTransposedInto(tx, ty, work.d12);
    gramInto(ty, work.d22);
    const { gradient, n12, d12 } = work;
    for (let i = 0; i < x.length; i++) gradient[i] = -(d12.data[i] + mu * n12.data[i]);
    return { value: barrierValue(at, mu), gradient, hessian: couplingHessian(work, at.sigma.shape, mu) };
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
    const { hx, hy, work } = this;
    const sigma: Matrix = { data: x, shape: [hx.shape[0], hy.shape[0]] };
    const open = gramInto(sigma, work.open);
    for (let i = 0; i < open.data.length; i++) open.data[i] = -open.data[i];
    const noise = tryCholeskyInto(addToDiagonal(open, 1), work.noise);
    if (noise === undefined) return undefined;
    const misfit = multiplyTransposedInto(sigma, this.hyTransposed, work.misfit);
    for (let i = 0; i < misfit.data.length; i++) misfit.data[i] = hx.data[i] - misfit.data[i];
    const half = transposeInto(solveLowerInto(noise, misfit, work.solvedMisfit), work.solvedMisfitT);
    const information = gramInto(half, work.information);
    for (let i = 0; i < information.data.length; i++) information.data[i] += this.withoutX.data[i];
    const signal = tryCholeskyInto(information, work.signal);
    return signal && { sigma, noise, misfit, signal };
  }

  /** `C = L⁻¹ Hᵀ N⁻¹` in blocks `(d, p)` and `(d, q)`, L the signal's factor: `L⁻ᵀC` is the best linear estimate. */
  private estimator({ sigma, noise, misfit, signal }: Coupled): { readonly cx: Matrix; readonly cy: Matrix } {
    const { hy, work } = this;
    const top = transposeInto(solveCholeskyInto(noise, misfit, work.top), work.topT);
    const bottom = multiplyTransposedInto(transposeInto(sigma, work.sigmaT), top, work.bottom);
    for (let i = 0; i < bottom.data.length; i++) bottom.data[i] = hy.data[i] - bottom.data[i];
    return {
      cx: solveLowerInto(signal, top, work.cx),
      cy: solveLowerInto(signal, transposeInto(bottom, work.bottomT), work.cy),
    };
  }
}

function barrierValue({ signal, noise }: Coupled, mu: number): number {
  return 0.5 * (logDeterminant(signal) - mu * logDeterminant(noise));
}

/**
 * Second derivatives in Σ, its lower triangle `(pq, pq)`: with Q = N⁻¹ − D they are
 * `(1+μ)(N₁₁⊗N₂₂ + N₁₂N₁₂ crossed) − (Q₁₁⊗Q₂₂ + Q₁₂Q₁₂ crossed)`, written in D so that nothing cancels.
 */
function couplingHessian(work: Workspace, [p, q]: readonly number[], mu: number): Matrix {
  const [n11, n12, n22] = [work.n11.data, work.n12.data, work.n22.data];
  const [d11, d12, d22] = [work.d11.data, work.d12.data, work.d22.data];
  const [q11, q12, s11, s12] = [work.q11.data, work.q12.data, work.s11.data, work.s12.data];
  for (let k = 0; k < n11.length; k++) {
    q11[k] = n11[k] - d11[k];
    s11[k] = d11[k] + mu * n11[k];
  }
  for (let k = 0; k < n12.length; k++) {
    q12[k] = n12[k] - d12[k];
    s12[k] = d12[k] + mu * n12[k];
  }
  const out = work.hessian;
  const size = p * q;
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

/** In place. */
function addToDiagonal(a: Matrix, value: number): Matrix {
  const n = a.shape[0];
  for (let i = 0; i < n; i++) a.data[i * n + i] += value;
  return a;
}

/** `a −= b`, in place. */
function subtract(a: Matrix, b: Matrix): void {
  for (let i = 0; i < a.data.length; i++) a.data[i] -= b.data[i];
}
