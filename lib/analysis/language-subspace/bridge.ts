import { ModalscopeError } from "../../errors.js";
import {
  checkOptions,
  either,
  flag,
  integer,
  number,
  type OptionChecks,
  oneOf,
  required,
} from "../../options.js";
import { seeded } from "../../random.js";
import {
  asMatrix,
  centreRows,
  checkSame,
  columnMeans,
  identity,
  type Matrix,
  type MatrixLike,
  row,
  squaredNorm,
  takeRows,
  transpose,
  zeros,
} from "../linalg/matrix.js";
import { multiply } from "../linalg/products.js";
import { type ThinSvd, thinSvd } from "../linalg/svd.js";

/** Options of {@link fitBridge}. */
export interface BridgeOptions {
  /**
   * Ridge penalty λ in `‖Y − XW‖²_F + λ‖W‖²_F`. 0 is ordinary least squares (of the shortest W, where several fit).
   * `"loo"`, the default, takes the λ of a grid with the highest leave-one-out R².
   */
  readonly ridge?: number | "loo";
  /** Fit both sides less their means, which is a bridge with an offset. Default false, as the study writes it. */
  readonly intercept?: boolean;
}

const BRIDGE_OPTIONS: OptionChecks<BridgeOptions> = {
  ridge: either(number(0), oneOf("loo")),
  intercept: flag,
};

/** A linear map `Y ≈ X·W` and how far to trust it. */
export interface Bridge {
  /** W `(k, m)`. */
  readonly map: Matrix;
  readonly ridge: number;
  /** `1 − ‖Y − XW‖²_F / ‖Y − Ȳ‖²_F` on the pairs it was fitted to. */
  readonly rSquared: number;
  /** The same with each pair predicted from the others, at the same λ: the headline. */
  readonly looRSquared: number;
  /** Squared error of each pair, predicted from the others at the same λ, `(N)`: for intervals over pairs. */
  readonly looErrors: Float64Array;
  /** Leave-one-out R² with λ chosen anew without each pair; equal to `looRSquared` when λ was given. */
  readonly nestedLooRSquared: number;
  /** `‖WᵀW − I‖_F / m`: 0 for a rotation. */
  readonly orthogonalityError: number;
  /** Singular values of W, largest first. */
  readonly spectrum: Float64Array;
  /** True when an unpenalised map would fit any Y exactly (as many free directions as pairs): then `rSquared` says nothing. */
  readonly saturated: boolean;
}

/**
 * The linear bridge between paired vectors, row i of `x (N, k)` with row i of `y (N, m)`.
 *
 * Leave-one-out errors come in closed form from the residual maker M = I − H: `(MY)_i / M_ii`. Where an unpenalised fit
 * leaves no residual (N ≤ k), its limit for λ→0 is taken, which is the error of the shortest W without pair i.
 * @throws ModalscopeError with fewer than three pairs (four where λ is chosen), or when all of `y` is one point.
 */
export function fitBridge(x: MatrixLike, y: MatrixLike, options: BridgeOptions = {}): Bridge {
  checkOptions("fitBridge", options, BRIDGE_OPTIONS);
  const { ridge: wanted = "loo", intercept = false } = options;
  const [source, target] = [asMatrix(x, "The source"), asMatrix(y, "The target")];
  const problem = prepare(source, target, intercept);
  const ridge = wanted === "loo" ? bestRidge(problem) : checkedRidge(wanted);
  const map = solve(problem, ridge);
  const errors = looErrors(problem, ridge);
  const looRSquared = 1 - sum(errors) / problem.spread;
  return {
    map,
    ridge,
    rSquared: 1 - squaredNorm(difference(multiply(problem.x, map), problem.y).data) / problem.spread,
    looRSquared,
    looErrors: errors,
    nestedLooRSquared: wanted === "loo" ? nestedLoo(source, target, intercept, problem.spread) : looRSquared,
    orthogonalityError: orthogonalityOf(map),
    spectrum: thinSvd(map).singularValues,
    saturated: problem.saturated,
  };
}

/** `‖WᵀW − I‖_F / m` of the map of {@link fitBridge} without the rest of its fit: for resamples. */
export function bridgeOrthogonality(
  x: MatrixLike,
  y: MatrixLike,
  options: { readonly ridge: number },
): number {
  checkOptions("bridgeOrthogonality", options, { ridge: required(number(0), "a penalty") });
  const problem = prepare(asMatrix(x, "The source"), asMatrix(y, "The target"), false);
  return orthogonalityOf(solve(problem, checkedRidge(options.ridge)));
}

/** Result of {@link bridgePermutationTest}. */
export interface BridgeNull {
  /** Leave-one-out R² of each shuffle, `(draws)`. */
  readonly null: Float64Array;
  /** `(1 + #{null ≥ observed}) / (1 + draws)`. */
  readonly p: number;
}

/** Leave-one-out R² when the pairing is shuffled, λ chosen anew each time if it is by leave-one-out. */
export function bridgePermutationTest(
  x: MatrixLike,
  y: MatrixLike,
  options: BridgeOptions & { readonly draws?: number; readonly seed?: number } = {},
): BridgeNull {
  checkOptions("bridgePermutationTest", options, { ...BRIDGE_OPTIONS, draws: integer(1), seed: integer() });
  const { ridge = "loo", intercept = false, draws = 999, seed = 0 } = options;
  const source = asMatrix(x, "The source");
  const target = asMatrix(y, "The target");
  const side = decompose(source, intercept);
  const looR2 = (shuffled: Matrix): number => {
    const problem = pose(side, shuffled);
    const lambda = ridge === "loo" ? bestRidge(problem) : checkedRidge(ridge);
    return 1 - looError(problem, lambda) / problem.spread;
  };
  const observed = looR2(target);
  const random = seeded(seed);
  const order = Array.from({ length: target.shape[0] }, (_, i) => i);
  const nulls = Float64Array.from({ length: draws }, () => looR2(takeRows(target, random.shuffle(order))));
  const atLeast = nulls.reduce((count, value) => count + (value >= observed ? 1 : 0), 0);
  return { null: nulls, p: (1 + atLeast) / (1 + draws) };
}

/** The source side of a regression, which every λ and every target shares. */
interface Source {
  readonly x: Matrix;
  readonly svd: ThinSvd;
  readonly rank: number;
  readonly intercept: boolean;
  readonly saturated: boolean;
}

/** A regression ready to be solved for any λ. */
interface Problem extends Source {
  readonly y: Matrix;
  /** `UᵀY (r, m)`. */
  readonly projected: Matrix;
  /** `‖Y − Ȳ‖²_F`. */
  readonly spread: number;
}

function prepare(x: Matrix, y: Matrix, intercept: boolean): Problem {
  return pose(decompose(x, intercept), y);
}

function decompose(given: Matrix, intercept: boolean): Source {
  const n = given.shape[0];
  if (n < 3) {
    throw new ModalscopeError(
      `A bridge was asked of ${n} pairs.`,
      "It needs at least three, and one more where λ is chosen without each.",
    );
  }
  const x = intercept ? centreRows(given) : given;
  const svd = thinSvd(x);
  const limit = 1e-10 * svd.singularValues[0];
  const rank = svd.singularValues.reduce((count, value) => count + (value > limit ? 1 : 0), 0);
  if (rank === 0) {
    throw new ModalscopeError("All source vectors are the same.", "Nothing can be predicted from them.");
  }
  return { x, svd, rank, intercept, saturated: rank >= n - (intercept ? 1 : 0) };
}

function pose(source: Source, given: Matrix): Problem {
  checkSame("fitBridge", source.x.shape[0], given.shape[0], "pairs in source and target");
  const centred = centreRows(given);
  const spread = squaredNorm(centred.data);
  if (!(spread > 0)) {
    throw new ModalscopeError("All target vectors are the same.", "R² is 0/0 then.");
  }
  const y = source.intercept ? centred : given;
  return { ...source, y, spread, projected: multiply(transpose(source.svd.left), y) };
}

function checkedRidge(ridge: number): number {
  if (!(ridge >= 0 && Number.isFinite(ridge))) {
    throw new ModalscopeError(`The ridge penalty is ${ridge}.`, 'It must be a number from 0 up, or "loo".');
  }
  return ridge;
}

/** `W = V diag(σ/(σ²+λ)) UᵀY`. */
function solve({ svd, projected, rank }: Problem, ridge: number): Matrix {
  const m = projected.shape[1];
  const scaled = zeros(svd.singularValues.length, m);
  for (let p = 0; p < rank; p++) {
    const factor = svd.singularValues[p] / (svd.singularValues[p] ** 2 + ridge);
    for (let j = 0; j < m; j++) scaled.data[p * m + j] = factor * projected.data[p * m + j];
  }
  return multiply(transpose(svd.right), scaled);
}

/** `Σ_i ‖(MY)_i / M_ii‖²`. */
function looError(problem: Problem, ridge: number): number {
  return sum(looErrors(problem, ridge));
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

/** `‖(MY)_i / M_ii‖²`, `(N)`. */
function looErrors({ svd, projected, rank, y, intercept, saturated }: Problem, ridge: number): Float64Array {
  const [n, m] = y.shape;
  const r = svd.singularValues.length;
  // M = I − H is, off the span of U (and of the constant), the identity; on it, each direction keeps λ/(σ²+λ).
  // In the saturated limit λ→0 all of M vanishes alike, and the ratio is that of its slope, 1/σ².
  const limit = saturated && ridge === 0;
  const errors = new Float64Array(n);
  const residual = new Float64Array(m);
  for (let i = 0; i < n; i++) {
    let own = limit ? 0 : 1 - (intercept ? 1 / n : 0);
    for (let j = 0; j < m; j++) residual[j] = limit ? 0 : y.data[i * m + j];
    for (let p = 0; p < rank; p++) {
      const u = svd.left.data[i * r + p];
      const square = svd.singularValues[p] ** 2;
      const factor = limit ? 1 / square : -square / (square + ridge);
      own += factor * u * u;
      for (let j = 0; j < m; j++) residual[j] += factor * u * projected.data[p * m + j];
    }
    // A pair that alone spans a direction cannot be predicted without it: its own entry of M is 0.
    if (Math.abs(own) < 1e-12 * (limit ? 1 / svd.singularValues[rank - 1] ** 2 : 1))
      errors[i] = Number.POSITIVE_INFINITY;
    else errors[i] = squaredNorm(residual) / (own * own);
  }
  return errors;
}

/** The λ with the least leave-one-out error: 25 values from 1e-6 to 1e3 times the mean squared singular value. */
function bestRidge(problem: Problem): number {
  const values = problem.svd.singularValues;
  const scale = squaredNorm(values) / values.length;
  const grid = Array.from({ length: 25 }, (_, i) => scale * 10 ** (-6 + (9 * i) / 24));
  const errors = grid.map((ridge) => looError(problem, ridge));
  return grid[errors.indexOf(Math.min(...errors))];
}

/** Each pair predicted by a map, and a λ, that never saw it. */
function nestedLoo(source: Matrix, target: Matrix, intercept: boolean, spread: number): number {
  const [n, k] = source.shape;
  const m = target.shape[1];
  const indices = Array.from({ length: n }, (_, i) => i);
  let error = 0;
  for (const i of indices) {
    const others = indices.filter((j) => j !== i);
    const [xs, ys] = [takeRows(source, others), takeRows(target, others)];
    const problem = prepare(xs, ys, intercept);
    const map = solve(problem, bestRidge(problem));
    const fromX = intercept ? columnMeans(xs) : new Float64Array(k);
    const fromY = intercept ? columnMeans(ys) : new Float64Array(m);
    const input = row(source, i).map((value, j) => value - fromX[j]);
    const predicted = multiply({ data: input, shape: [1, k] }, map);
    error += squaredNorm(row(target, i).map((value, j) => value - fromY[j] - predicted.data[j]));
  }
  return 1 - error / spread;
}

function orthogonalityOf(map: Matrix): number {
  const m = map.shape[1];
  const off = difference(multiply(transpose(map), map), identity(m));
  return Math.sqrt(squaredNorm(off.data)) / m;
}

function difference(a: Matrix, b: Matrix): Matrix {
  return { data: a.data.map((value, i) => value - b.data[i]), shape: a.shape };
}
