import highsLoader, { type Highs } from "highs";
import { ModalscopeError } from "../../errors.js";
import { checkOptions, numeric, type OptionChecks } from "../../options.js";
import {
  asMatrix,
  checkSame,
  dot,
  type Matrix,
  type MatrixLike,
  squaredDistances,
  transpose,
  zeros,
} from "../linalg/matrix.js";
import { multiply } from "../linalg/products.js";

/** A coupling of two distributions. */
export interface TransportPlan {
  /** `(n, m)`: mass moved from source i to target j; rows sum to the source weights, columns to the target's. */
  readonly plan: Matrix;
  /** `Σ plan · cost`. */
  readonly cost: number;
}

/** `n` equal weights that sum to 1. */
export function uniformWeights(n: number): Float64Array {
  return new Float64Array(n).fill(1 / n);
}

/** Squared Euclidean distances `(n, m)` between the rows of `a (n, d)` and `b (m, d)`: the study's transport cost. */
export function squaredDistanceCost(a: MatrixLike, b: MatrixLike): Matrix {
  return squaredDistances(asMatrix(a, "The source points"), asMatrix(b, "The target points"));
}

// highs ships one set of types for its CommonJS and its ES module; under the latter the loader is the default itself.
const loadHighs = highsLoader as unknown as (typeof highsLoader)["default"];
let loading: Promise<Highs> | undefined;

/**
 * Exact optimal transport: the linear program `min Σ π_ij C_ij`, `π ≥ 0`, rows summing to `a` and columns to `b`, solved by
 * HiGHS's simplex. The answer is a vertex: at most n+m−1 entries are not 0. Where several plans are optimal, which of
 * them comes back is the solver's choice.
 * @param a source weights `(n)`, `b` target weights `(m)`: at least 0, of equal sums.
 * @param cost `(n, m)`.
 */
export async function exactTransport(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  cost: MatrixLike,
): Promise<TransportPlan> {
  const { source, target, costs } = checkProblem(a, b, cost);
  const [n, m] = costs.shape;
  loading ??= loadHighs();
  const highs = await loading;
  // Costs of 1e4 and of 1e-4 alike must be told apart at the solver's fixed tolerance of 1e-7.
  const largest = costs.data.reduce((max, value) => Math.max(max, Math.abs(value)), 0) || 1;
  const size = n * m;
  const starts = Int32Array.from({ length: size + 1 }, (_, i) => 2 * i);
  const indices = Int32Array.from({ length: 2 * size }, (_, i) => {
    const cell = i >> 1;
    return i % 2 === 0 ? Math.floor(cell / m) : n + (cell % m);
  });
  const sums = new Float64Array([...source, ...target]);
  const solved = highs.withModel(
    {
      numCols: size,
      numRows: n + m,
      colCost: costs.data.map((value) => value / largest),
      colLower: new Float64Array(size),
      colUpper: new Float64Array(size).fill(highs.infinity),
      rowLower: sums,
      rowUpper: sums,
      matrix: {
        format: "csc",
        numRows: n + m,
        numCols: size,
        starts,
        indices,
        values: new Float64Array(2 * size).fill(1),
      },
    },
    (model) => {
      model.options.set("solver", "simplex");
      const { modelStatus } = model.run();
      return { modelStatus, values: model.getSolution().colValue };
    },
  );
  if (solved.modelStatus !== highs.constants.modelStatus.optimal) {
    throw new ModalscopeError(
      `The transport problem (${n}, ${m}) was not solved: HiGHS ended with status ${solved.modelStatus}.`,
      "A transport problem with equal sums always has an optimum.",
      "Look for extreme weights or costs.",
    );
  }
  const plan = zeros(n, m);
  for (let i = 0; i < size; i++) plan.data[i] = Math.max(solved.values[i], 0);
  return { plan, cost: dot(plan.data, costs.data) };
}

/** Options of {@link sinkhorn}. */
export interface SinkhornOptions {
  /** Largest total deviation of the plan's row sums from `a` at which to stop. Default 1e-9. */
  readonly tolerance?: number;
  /** Default 10 000. */
  readonly maxIterations?: number;
}

const SINKHORN_OPTIONS: OptionChecks<SinkhornOptions> = { tolerance: numeric, maxIterations: numeric };

/**
 * Entropic optimal transport, `min Σ π C + reg Σ π (ln π − 1)`, by Sinkhorn's iteration on the logarithms of the scalings,
 * which do not underflow when `reg` is small against the costs (Peyré & Cuturi 2019, §4.4).
 * `cost` in the result is the transport part `Σ π C` alone.
 * @param reg in the units of the cost, above 0.
 * @throws ModalscopeError when it has not converged.
 */
export function sinkhorn(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  cost: MatrixLike,
  reg: number,
  options: SinkhornOptions = {},
): TransportPlan {
  checkOptions("sinkhorn", options, SINKHORN_OPTIONS);
  const { tolerance = 1e-9, maxIterations = 10_000 } = options;
  const { source, target, costs } = checkProblem(a, b, cost);
  if (!(reg > 0)) {
    throw new ModalscopeError(`reg is ${reg}.`, "It must be above 0.", "Use exactTransport for none.");
  }
  const columnsFirst = transpose(costs);
  const f = new Float64Array(source.length);
  const g = new Float64Array(target.length);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    // After the update of g the columns fit exactly, so the rows alone tell how far off the plan is.
    const drift = updatePotential(f, g, source, costs, reg);
    updatePotential(g, f, target, columnsFirst, reg);
    if (iteration > 0 && drift < tolerance) {
      const m = target.length;
      const plan = zeros(source.length, m);
      plan.data.forEach((_, i) => {
        const potential = f[Math.floor(i / m)] + g[i % m] - costs.data[i];
        plan.data[i] = Math.exp(potential / reg);
      });
      return { plan, cost: dot(plan.data, costs.data) };
    }
  }
  throw new ModalscopeError(
    `Sinkhorn's iteration had not converged after ${maxIterations} steps.`,
    "The smaller reg is against the costs, the slower it is.",
    "Raise reg or maxIterations, or use exactTransport.",
  );
}

/** Sets `f` so that the plan's rows sum to `weights`; returns how far off they were, `Σ |row sum − weight|`. */
function updatePotential(
  f: Float64Array,
  g: Float64Array,
  weights: Float64Array,
  costs: Matrix,
  reg: number,
): number {
  const m = g.length;
  let drift = 0;
  for (let i = 0; i < f.length; i++) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < m; j++) largest = Math.max(largest, (g[j] - costs.data[i * m + j]) / reg);
    let sum = 0;
    for (let j = 0; j < m; j++) sum += Math.exp((g[j] - costs.data[i * m + j]) / reg - largest);
    const logSum = Math.log(sum) + largest;
    drift += Math.abs(Math.exp(f[i] / reg + logSum) - weights[i]);
    f[i] = reg * (Math.log(weights[i]) - logSum);
  }
  return drift;
}

/**
 * The barycentric map of a plan: for each target j the mean of the source rows, weighted by what reaches j,
 * `Σ_i (π_ij / b_j) x_i`, `(m, d)`.
 * @param plan `(n, m)`; every column must carry mass.
 * @param source `(n, d)`.
 */
export function barycentricMap(plan: MatrixLike, source: MatrixLike): Matrix {
  const columns = transpose(asMatrix(plan, "The plan"));
  const x = asMatrix(source, "The source points");
  const [m, n] = columns.shape;
  checkSame("barycentricMap", n, x.shape[0], "source points in the plan and the data");
  for (let j = 0; j < m; j++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += columns.data[j * n + i];
    if (!(sum > 0)) {
      throw new ModalscopeError(
        `No mass reaches target ${j}.`,
        "Its mean of sources is 0/0.",
        "Leave it out.",
      );
    }
    for (let i = 0; i < n; i++) columns.data[j * n + i] /= sum;
  }
  return multiply(columns, x);
}

interface Problem {
  readonly source: Float64Array;
  readonly target: Float64Array;
  readonly costs: Matrix;
}

function checkProblem(a: ArrayLike<number>, b: ArrayLike<number>, cost: MatrixLike): Problem {
  const costs = asMatrix(cost, "The cost");
  checkSame("Transport", a.length, costs.shape[0], "source weights and rows of the cost");
  checkSame("Transport", b.length, costs.shape[1], "target weights and columns of the cost");
  const source = checkedWeights(a, "source");
  const target = checkedWeights(b, "target");
  const [from, to] = [source, target].map((weights) => weights.reduce((sum, w) => sum + w, 0));
  if (!(Math.abs(from - to) <= 1e-9 * Math.max(from, to))) {
    throw new ModalscopeError(
      `The source weights sum to ${from}, the target weights to ${to}.`,
      "All mass must arrive.",
      "Divide each by its sum.",
    );
  }
  // Equality constraints that contradict each other by rounding are infeasible to a solver.
  for (let j = 0; j < target.length; j++) target[j] *= from / to;
  return { source, target, costs };
}

function checkedWeights(weights: ArrayLike<number>, name: string): Float64Array {
  const out = Float64Array.from(weights);
  if (out.length === 0 || out.some((w) => !(w >= 0 && Number.isFinite(w))) || !out.some((w) => w > 0)) {
    throw new ModalscopeError(`The ${name} weights are empty, all 0, negative or not finite.`);
  }
  return out;
}
