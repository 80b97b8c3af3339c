import type { Random } from "../../random.js";
import { type Matrix, transpose, zeros } from "../linalg/matrix.js";
import { multiplyTransposed } from "../linalg/products.js";

/** Log scales are held within ±this, so that no step can blow up. */
const maxLogScale = 2;

/** Values of a layer's forward pass that its backward pass needs. */
export interface LayerTape {
  readonly output: Matrix;
  /** Mean log determinant of the Jacobian, nats. */
  readonly logDeterminant: number;
  /** Columns that pass unchanged, `(n, k)`, and those that move, `(n, m)`. */
  readonly kept: Matrix;
  readonly moved: Matrix;
  /** Hidden units `(n, h)`, and log scales of the moved columns `(n, m)`. */
  readonly hidden: Matrix;
  readonly logScale: Matrix;
}

/**
 * An affine coupling layer (Dinh, Sohl-Dickstein and Bengio 2017): `b' = b·exp(s(a)) + t(a)`, the columns `a` unchanged, with s
 * and t from one hidden layer of tanh units. It starts as the identity.
 */
export class CouplingLayer {
  /** Trained in place: input weights `(h, k)`, their biases, output weights `(2m, h)`, their biases. */
  readonly parameters: readonly [Float64Array, Float64Array, Float64Array, Float64Array];

  constructor(
    private readonly keptColumns: readonly number[],
    private readonly movedColumns: readonly number[],
    private readonly units: number,
    random: Random,
  ) {
    const [k, m] = [keptColumns.length, movedColumns.length];
    this.parameters = [
      Float64Array.from({ length: units * k }, () => random.normal() / Math.sqrt(k)),
      Float64Array.from({ length: units }, () => random.normal()),
      new Float64Array(2 * m * units),
      new Float64Array(2 * m),
    ];
  }

  forward(x: Matrix): LayerTape {
    const [n] = x.shape;
    const [w1, b1, w2, b2] = this.parameters;
    const m = this.movedColumns.length;
    const kept = pick(x, this.keptColumns);
    const moved = pick(x, this.movedColumns);
    const hidden = multiplyTransposed(kept, { data: w1, shape: [this.units, kept.shape[1]] });
    for (let i = 0; i < hidden.data.length; i++)
      hidden.data[i] = Math.tanh(hidden.data[i] + b1[i % this.units]);
    const raw = multiplyTransposed(hidden, { data: w2, shape: [2 * m, this.units] });
    const output: Matrix = { data: Float64Array.from(x.data), shape: x.shape };
    const logScale = zeros(n, m);
    let sum = 0;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        const s = maxLogScale * Math.tanh((raw.data[i * 2 * m + j] + b2[j]) / maxLogScale);
        const t = raw.data[i * 2 * m + m + j] + b2[m + j];
        logScale.data[i * m + j] = s;
        sum += s;
        output.data[i * x.shape[1] + this.movedColumns[j]] = moved.data[i * m + j] * Math.exp(s) + t;
      }
    }
    return { output, logDeterminant: sum / n, kept, moved, hidden, logScale };
  }

  /**
   * Pulls a loss back: gradients of the parameters, and of the input.
   * @param gradient of the layer's output, `(n, d)`. @param perLogDeterminant the loss's derivative in the mean log determinant.
   */
  backward(
    { kept, moved, hidden, logScale }: LayerTape,
    gradient: Matrix,
    perLogDeterminant: number,
  ): { input: Matrix; parameters: readonly Float64Array[] } {
    const [n, d] = gradient.shape;
    const [w1, , w2] = this.parameters;
    const m = this.movedColumns.length;
    const input: Matrix = { data: Float64Array.from(gradient.data), shape: gradient.shape };
    const toRaw = zeros(n, 2 * m);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        const at = i * d + this.movedColumns[j];
        const s = logScale.data[i * m + j];
        const scale = Math.exp(s);
        const slope = 1 - (s / maxLogScale) ** 2;
        const own = gradient.data[at];
        toRaw.data[i * 2 * m + j] = (own * moved.data[i * m + j] * scale + perLogDeterminant / n) * slope;
        toRaw.data[i * 2 * m + m + j] = own;
        input.data[at] = own * scale;
      }
    }
    const rawTransposed = transpose(toRaw);
    const toHidden = multiplyTransposed(toRaw, transpose({ data: w2, shape: [2 * m, this.units] }));
    for (let i = 0; i < toHidden.data.length; i++) toHidden.data[i] *= 1 - hidden.data[i] ** 2;
    const hiddenTransposed = transpose(toHidden);
    const k = this.keptColumns.length;
    const toKept = multiplyTransposed(toHidden, transpose({ data: w1, shape: [this.units, k] }));
    this.keptColumns.forEach((column, j) => {
      for (let i = 0; i < n; i++) input.data[i * d + column] += toKept.data[i * k + j];
    });
    return {
      input,
      parameters: [
        multiplyTransposed(hiddenTransposed, transpose(kept)).data,
        rowSums(hiddenTransposed),
        multiplyTransposed(rawTransposed, transpose(hidden)).data,
        rowSums(rawTransposed),
      ],
    };
  }
}

function pick(x: Matrix, columns: readonly number[]): Matrix {
  const [n, d] = x.shape;
  const out = zeros(n, columns.length);
  columns.forEach((column, j) => {
    for (let i = 0; i < n; i++) out.data[i * columns.length + j] = x.data[i * d + column];
  });
  return out;
}

function rowSums(x: Matrix): Float64Array {
  const out = new Float64Array(x.shape[0]);
  for (let i = 0; i < x.data.length; i++) out[Math.floor(i / x.shape[1])] += x.data[i];
  return out;
}
