import { ModalscopeError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import { sizeOf } from "../../tensor.js";
import type { NumericTensor } from "../linalg/matrix.js";
import { followCentralPath } from "./central-path.js";
import type { PidInformation } from "./channels.js";
import { type PidAtoms, unionAtoms } from "./gaussian-pid.js";
import { MarginalProblem, type Table, xLogX } from "./marginal-problem.js";
import { certified, UNION_OPTIONS, type UnionInformation, type UnionOptions } from "./union-information.js";

/** Decomposition of a discrete distribution, bits. */
export interface DiscretePid {
  readonly information: PidInformation;
  readonly atoms: PidAtoms;
  readonly union: UnionInformation;
}

/**
 * BROJA's decomposition (Bertschinger, Rauh, Olbrich, Jost and Ay 2014) of a discrete distribution: the union
 * information is the least `I_Q(M;X,Y)` over all Q with the pair marginals (M,X) and (M,Y) of `p`. An interior-point
 * method, proved by the dual bound `H(M) + Σ p(m,x) a(m,x) + Σ p(m,y) b(m,y)`, which holds for any a and b with
 * `Σ_m 2^(a(m,x)+b(m,y)) ≤ 1` everywhere (Makkeh, Theis and Vicente 2018).
 * @param p probabilities or counts `(M, X, Y)`.
 * @throws ModalscopeError for values below 0 or not finite, or when the duality gap stays above ten times the tolerance.
 */
export function discretePid(p: NumericTensor, options: UnionOptions = {}): DiscretePid {
  checkOptions("discretePid", options, UNION_OPTIONS);
  const { tolerance = 1e-7 } = options;
  const table = normalised(p);
  const problem = new MarginalProblem(table);
  const information = informationOf(table);
  const lastMu = (tolerance * Math.LN2) / (2 * problem.cells);
  const { x, steps } =
    problem.size === 0
      ? { x: new Float64Array(0), steps: 0 }
      : followCentralPath(problem, new Float64Array(problem.size), lastMu);
  const entropyOfTarget = entropyBits(table.marginal([0]));
  const union = certified(
    entropyOfTarget + problem.value(x, 0)! / Math.LN2,
    entropyOfTarget + problem.lowerBound(x, problem.size === 0 ? 0 : lastMu) / Math.LN2,
    steps,
    tolerance,
  );
  return { information, atoms: unionAtoms(information, union.bits), union };
}

function normalised({ data, shape }: NumericTensor): Table {
  const bad = data.findIndex((value: number) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
  const total = Array.from(data).reduce((sum, value) => sum + value, 0);
  if (shape.length !== 3 || bad >= 0 || !(total > 0)) {
    throw new ModalscopeError(
      `The distribution has the shape (${shape.join(", ")}), the sum ${total}${bad < 0 ? "" : ` and a value ${data[bad]}`}.`,
      "It should be (target, first source, second source), of probabilities or counts.",
    );
  }
  const [m, x, y] = shape;
  const values = Float64Array.from(data, (value) => value / total);
  const marginal = (axes: readonly number[]): Float64Array => {
    const out = new Float64Array(sizeOf(axes.map((axis) => shape[axis])));
    values.forEach((value, k) => {
      const at = [Math.floor(k / (x * y)), Math.floor(k / y) % x, k % y];
      out[axes.reduce((index, axis) => index * shape[axis] + at[axis], 0)] += value;
    });
    return out;
  };
  return { data: values, shape: [m, x, y], marginal };
}

function entropyBits(p: Float64Array): number {
  return -p.reduce((sum, value) => sum + xLogX(value), 0) / Math.LN2;
}

function informationOf(table: Table): PidInformation {
  const target = entropyBits(table.marginal([0]));
  const about = (axes: readonly number[]): number =>
    Math.max(target + entropyBits(table.marginal(axes)) - entropyBits(table.marginal([0, ...axes])), 0);
  return { x: about([1]), y: about([2]), joint: about([1, 2]) };
}
