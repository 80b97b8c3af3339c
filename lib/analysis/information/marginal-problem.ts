import { cholesky, solveCholesky } from "../linalg/cholesky.js";
import { zeros } from "../linalg/matrix.js";
import type { BarrierProblem, Derivatives } from "./central-path.js";

/** A distribution `(M, X, Y)`, its values summing to 1. */
export interface Table {
  readonly data: Float64Array;
  readonly shape: readonly [m: number, x: number, y: number];
  /** Sums over all axes but these. */
  marginal(axes: readonly number[]): Float64Array;
}

/** `x·log x`, 0 at 0. */
export function xLogX(x: number): number {
  return x > 0 ? x * Math.log(x) : 0;
}

/** The outcomes of X and Y that occur with one outcome m of the target: Q may put mass on every pair of them. */
interface TargetBlock {
  readonly m: number;
  readonly xs: readonly number[];
  readonly ys: readonly number[];
  /** Its first cell, and its first free parameter, of the problem's. */
  readonly cell: number;
  readonly parameter: number;
}

/**
 * `Σ Q log Q(m|x,y)` in nats over the Q with given pair marginals, with the barrier `−Σ log Q`. Free parameters are the
 * cells of each block but for its last row and column, which the marginals then fix; they start at 0, where X and Y are
 * independent given M.
 */
export class MarginalProblem implements BarrierProblem {
  /** Cells that may hold mass. */
  readonly cells: number;
  /** Free parameters. */
  readonly size: number;
  private readonly blocks: readonly TargetBlock[];
  /** Q at the start, by cell. */
  private readonly start: Float64Array;
  /** Index of each cell's (x, y). */
  private readonly pair: Int32Array;
  /** The four cells that a parameter moves: by +, −, −, +. */
  private readonly corners: Int32Array;
  private readonly pairs: number;
  private readonly pmx: Float64Array;
  private readonly pmy: Float64Array;

  constructor(table: Table) {
    const [nm, nx, ny] = table.shape;
    const pm = table.marginal([0]);
    this.pmx = table.marginal([0, 1]);
    this.pmy = table.marginal([0, 2]);
    this.pairs = nx * ny;
    const blocks: TargetBlock[] = [];
    const [start, pair, corners]: number[][] = [[], [], []];
    for (let m = 0; m < nm; m++) {
      const xs = positive(this.pmx.subarray(m * nx, (m + 1) * nx));
      const ys = positive(this.pmy.subarray(m * ny, (m + 1) * ny));
      const cell = start.length;
      const at = (i: number, j: number): number => cell + i * ys.length + j;
      blocks.push({ m, xs, ys, cell, parameter: corners.length / 4 });
      for (const x of xs) {
        for (const y of ys) {
          start.push((this.pmx[m * nx + x] * this.pmy[m * ny + y]) / pm[m]);
          pair.push(x * ny + y);
        }
      }
      const [lastX, lastY] = [xs.length - 1, ys.length - 1];
      for (let i = 0; i < lastX; i++) {
        for (let j = 0; j < lastY; j++) {
          corners.push(at(i, j), at(i, lastY), at(lastX, j), at(lastX, lastY));
        }
      }
    }
    this.blocks = blocks;
    this.start = Float64Array.from(start);
    this.pair = Int32Array.from(pair);
    this.corners = Int32Array.from(corners);
    this.cells = start.length;
    this.size = corners.length / 4;
  }

  value(x: Float64Array, mu: number): number | undefined {
    const q = this.distribution(x);
    if (mu > 0 && q.some((value) => !(value > 0))) return undefined;
    let sum = 0;
    for (const value of q) sum += xLogX(value) - (mu > 0 ? mu * Math.log(value) : 0);
    for (const value of this.pairMass(q)) sum -= xLogX(value);
    return sum;
  }

  derivatives(x: Float64Array, mu: number): Derivatives {
    const q = this.distribution(x);
    const mass = this.pairMass(q);
    const slope = this.slopes(q, mass, mu);
    const curvature = q.map((value) => 1 / value + mu / (value * value));
    const { corners, pair, size } = this;
    const gradient = new Float64Array(size);
    const hessian = zeros(size, size);
    for (let k = 0; k < size; k++) {
      for (let c = 0; c < 4; c++) gradient[k] += signs[c] * slope[corners[4 * k + c]];
      for (let l = 0; l <= k; l++) {
        let sum = 0;
        for (let c = 0; c < 4; c++) {
          for (let d = 0; d < 4; d++) {
            const [a, b] = [corners[4 * k + c], corners[4 * l + d]];
            if (pair[a] !== pair[b]) continue;
            sum += signs[c] * signs[d] * ((a === b ? curvature[a] : 0) - 1 / mass[pair[a]]);
          }
        }
        hessian.data[k * size + l] = sum;
      }
    }
    return { value: this.value(x, mu)!, gradient, hessian };
  }

  /**
   * Dual bound of {@link value} at `mu` 0. On the central path `log Q(m|x,y) − μ/Q` is a sum `a(m,x) + b(m,y)`; near it the
   * sum is fitted, and shifted until no `Σ_m exp(a+b)` exceeds 1.
   */
  lowerBound(x: Float64Array, mu: number): number {
    const q = this.distribution(x);
    const slope = this.slopes(q, this.pairMass(q), mu);
    const total = new Float64Array(this.pairs);
    const [nx, ny] = [this.pmx.length / this.blocks.length, this.pmy.length / this.blocks.length];
    let bound = 0;
    for (const { m, xs, ys, cell } of this.blocks) {
      const end = cell + xs.length * ys.length;
      const fit = additiveFit(slope.subarray(cell, end), q.subarray(cell, end), xs.length, ys.length);
      xs.forEach((outcome, i) => {
        bound += this.pmx[m * nx + outcome] * fit.rows[i];
        ys.forEach((_, j) => {
          total[this.pair[cell + i * ys.length + j]] += Math.exp(fit.rows[i] + fit.columns[j]);
        });
      });
      ys.forEach((outcome, j) => {
        bound += this.pmy[m * ny + outcome] * fit.columns[j];
      });
    }
    return bound - Math.log(total.reduce((most, value) => Math.max(most, value)));
  }

  private distribution(x: Float64Array): Float64Array {
    const q = Float64Array.from(this.start);
    for (let k = 0; k < this.size; k++) {
      for (let c = 0; c < 4; c++) q[this.corners[4 * k + c]] += signs[c] * x[k];
    }
    return q;
  }

  /** Q(x, y). */
  private pairMass(q: Float64Array): Float64Array {
    const mass = new Float64Array(this.pairs);
    for (let k = 0; k < q.length; k++) mass[this.pair[k]] += q[k];
    return mass;
  }

  /** Derivatives by cell: `log Q(m|x,y) − μ/Q`. */
  private slopes(q: Float64Array, mass: Float64Array, mu: number): Float64Array {
    return q.map((value, k) => Math.log(value / mass[this.pair[k]]) - mu / value);
  }
}

const signs = [1, -1, -1, 1] as const;

function positive(values: Float64Array): number[] {
  return Array.from(values.keys()).filter((i) => values[i] > 0);
}

/**
 * Least-squares `rows[i] + columns[j]` to a table, each cell weighted by its mass: where mass is almost 0 the slopes are
 * large and the least accurate.
 */
function additiveFit(
  values: Float64Array,
  mass: Float64Array,
  height: number,
  width: number,
): { rows: Float64Array; columns: Float64Array } {
  const size = height + width;
  const normal = zeros(size, size);
  const right = zeros(size, 1);
  values.forEach((value, k) => {
    const i = Math.floor(k / width);
    const j = height + (k % width);
    normal.data[i * size + i] += mass[k];
    normal.data[j * size + j] += mass[k];
    normal.data[j * size + i] += mass[k];
    right.data[i] += mass[k] * value;
    right.data[j] += mass[k] * value;
  });
  // Adding a constant to the rows and taking it off the columns changes nothing: hold their difference.
  const scale = mass.reduce((sum, value) => sum + value, 0) / (size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) normal.data[i * size + j] += i < height === j < height ? scale : -scale;
  }
  const fit = solveCholesky(cholesky(normal, "The dual's system"), right).data;
  return { rows: fit.slice(0, height), columns: fit.slice(height) };
}
