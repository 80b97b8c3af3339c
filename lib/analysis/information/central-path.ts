import { ModalscopeError } from "../../errors.js";
import { solveCholesky, tryCholesky } from "../linalg/cholesky.js";
import { dot, type Matrix } from "../linalg/matrix.js";

/** A smooth convex objective with a logarithmic barrier of weight `mu` at the edge of its domain. */
export interface BarrierProblem {
  /** Objective plus `mu` times the barrier at `x (n)`; undefined outside of the domain. */
  value(x: Float64Array, mu: number): number | undefined;
  /** {@link value} at `x` in the domain, its gradient and Hessian. */
  derivatives(x: Float64Array, mu: number): Derivatives;
}

export interface Derivatives {
  readonly value: number;
  /** `(n)`. */
  readonly gradient: Float64Array;
  /** `(n, n)`; its lower triangle is enough. */
  readonly hessian: Matrix;
}

export interface CentralPathEnd {
  readonly x: Float64Array;
  /** Newton steps taken. */
  readonly steps: number;
}

/** Weight of the barrier at the start, and the factor by which it falls. */
const firstMu = 0.01;
const shrink = 0.02;
/** Beyond this many unknowns the Hessian and its factor fill over 0.3 GB. */
const maxUnknowns = 4096;
/** Usual are 10 to 40. */
const maxSteps = 500;

/**
 * Minimises by following the central path (Boyd and Vandenberghe 2004, §11.3): damped Newton steps at one weight of the
 * barrier, then at a smaller one. Newton's steps do not depend on the units of the variables, so no step size is chosen.
 * @param start in the domain. @param lastMu weight at which the path ends.
 * @throws ModalscopeError when Newton's method does not converge, or there are over 4096 variables.
 */
export function followCentralPath(
  problem: BarrierProblem,
  start: Float64Array,
  lastMu: number,
): CentralPathEnd {
  if (start.length > maxUnknowns) {
    throw new ModalscopeError(
      `The union information is a minimum over ${start.length} unknowns.`,
      `It is computed for up to ${maxUnknowns}, as of 64 by 64 dimensions.`,
      "Keep fewer principal components, or merge outcomes.",
    );
  }
  let x = start;
  let steps = 0;
  for (let mu = Math.max(firstMu, lastMu); ; mu = Math.max(mu * shrink, lastMu)) {
    // On the way a point near the path is enough; the end must lie on it.
    const tolerance = mu > lastMu ? 0.1 * mu : 1e-6 * mu;
    for (let onPath = false; !onPath; ) {
      const { moved, decrement } = newtonStep(problem, x, mu);
      if (++steps > maxSteps) refuse();
      // Where rounding hides any descent, the point is as good as float64 allows; the caller's certificate judges it.
      onPath = moved === undefined || decrement < tolerance;
      x = moved ?? x;
    }
    if (mu === lastMu) return { x, steps };
  }
}

/**
 * One Newton step, halved as long as that descends further: a step that is only short enough to descend ends so near to
 * the edge that the next ones crawl back. `decrement` is the decrease that the quadratic model promises.
 */
function newtonStep(
  problem: BarrierProblem,
  x: Float64Array,
  mu: number,
): { moved: Float64Array | undefined; decrement: number } {
  const { value: before, gradient, hessian } = problem.derivatives(x, mu);
  const step = solveCholesky(factorOf(hessian), { data: gradient, shape: [x.length, 1] }).data;
  const decrement = 0.5 * dot(gradient, step);
  let best: { moved: Float64Array; value: number } | undefined;
  for (let length = 1; length > 1e-10; length *= 0.5) {
    const moved = x.map((value, i) => value - length * step[i]);
    const value = problem.value(moved, mu);
    if (best !== undefined && !(value! < best.value)) break;
    if (value !== undefined && value <= before - 0.2 * length * decrement) best = { moved, value };
  }
  return { moved: best?.moved, decrement };
}

/** Factor of the Hessian; where rounding makes it indefinite, of the Hessian with a raised diagonal. */
function factorOf(hessian: Matrix): Matrix {
  const n = hessian.shape[0];
  for (let raise = 1e-14; raise < 1; raise *= 100) {
    const factor = tryCholesky(hessian);
    if (factor !== undefined) return factor;
    for (let i = 0; i < n; i++) hessian.data[i * n + i] *= 1 + raise;
  }
  return refuse();
}

function refuse(): never {
  throw new ModalscopeError(
    `The minimisation did not converge in ${maxSteps} Newton steps.`,
    "The problem is too badly conditioned for float64.",
    "Look for variables that almost determine each other, and leave them out.",
  );
}
