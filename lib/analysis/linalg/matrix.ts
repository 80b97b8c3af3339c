import { ModalscopeError } from "../../errors.js";
import { type Tensor, tensor } from "../../tensor.js";

/** A dense float64 matrix `(rows, columns)`, row-major: what the linear algebra here returns and works on. */
export type Matrix = Tensor<Float64Array>;

/** A tensor of ordinary numbers. */
export type NumericTensor = Tensor<Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array>;

/** Anything a matrix can be read from: a tensor of rank 2, or rows as arrays. */
export type MatrixLike = NumericTensor | readonly ArrayLike<number>[];

/** A matrix of zeros. */
export function zeros(rows: number, columns: number): Matrix {
  return { data: new Float64Array(rows * columns), shape: [rows, columns] };
}

/** The identity of size `n`. */
export function identity(n: number): Matrix {
  const out = zeros(n, n);
  for (let i = 0; i < n; i++) out.data[i * n + i] = 1;
  return out;
}

/**
 * `x` as a float64 matrix. Shares the data when they are float64 already, copies otherwise.
 * @param name what to call `x` in an error.
 * @throws ModalscopeError when `x` is not of rank 2, its rows differ in length, or a value is not finite.
 */
export function asMatrix(x: MatrixLike, name = "The matrix"): Matrix {
  const out = "shape" in x ? fromTensor(x, name) : fromRows(x, name);
  const bad = firstNotFinite(out.data);
  if (bad >= 0) {
    const columns = out.shape[1];
    throw new ModalscopeError(
      `${name} holds ${out.data[bad]} at row ${Math.floor(bad / columns)}, column ${bad % columns}.`,
      "Every number here would become NaN.",
      "Leave padded or failed rows out before the analysis.",
    );
  }
  return out;
}

/** A loop, because every matrix of the analysis comes by here. */
function firstNotFinite(data: Float64Array): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}

function fromRows(rows: readonly ArrayLike<number>[], name: string): Matrix {
  const columns = rows[0]?.length ?? 0;
  const out = zeros(rows.length, columns);
  rows.forEach((row, i) => {
    if (row.length !== columns) {
      throw new ModalscopeError(`${name} has ${columns} values in row 0 and ${row.length} in row ${i}.`);
    }
    out.data.set(row, i * columns);
  });
  return out;
}

function fromTensor({ data, shape }: NumericTensor, name: string): Matrix {
  if (shape.length !== 2) {
    throw new ModalscopeError(
      `${name} has the shape (${shape.join(", ")}).`,
      "A matrix (rows, columns) is needed.",
      "Pick one item with at0, or flatten the leading axes.",
    );
  }
  return tensor(data instanceof Float64Array ? data : Float64Array.from(data), shape);
}

/** `x` as a float32 tensor, which the model's edits and the plots take. */
export function asFloat32(x: Matrix): Tensor {
  return tensor(Float32Array.from(x.data), x.shape);
}

/** View of row `i`; the data are shared. */
export function row(x: Matrix, i: number): Float64Array {
  const columns = x.shape[1];
  return x.data.subarray(i * columns, (i + 1) * columns);
}

/** View of the first `count` rows; the data are shared. */
export function firstRows(x: Matrix, count: number): Matrix {
  return { data: x.data.subarray(0, count * x.shape[1]), shape: [count, x.shape[1]] };
}

/** The rows of `x` at `indices`, in that order, as a new matrix. */
export function takeRows(x: Matrix, indices: ArrayLike<number>): Matrix {
  const columns = x.shape[1];
  const out = zeros(indices.length, columns);
  // Rows are often of two or three values, for which a view costs more than a loop.
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * columns;
    for (let j = 0; j < columns; j++) out.data[i * columns + j] = x.data[from + j];
  }
  return out;
}

/** Matrices of equal width one under the other. */
export function stack(parts: readonly Matrix[]): Matrix {
  const columns = parts[0]?.shape[1] ?? 0;
  const out = zeros(
    parts.reduce((sum, part) => sum + part.shape[0], 0),
    columns,
  );
  let offset = 0;
  for (const part of parts) {
    checkSame("stack", part.shape[1], columns, "columns");
    out.data.set(part.data, offset);
    offset += part.data.length;
  }
  return out;
}

/** Matrices of equally many rows side by side. */
export function joinColumns(parts: readonly Matrix[]): Matrix {
  const rows = parts[0]?.shape[0] ?? 0;
  const width = parts.reduce((sum, part) => sum + part.shape[1], 0);
  const out = zeros(rows, width);
  let left = 0;
  for (const part of parts) {
    checkSame("joinColumns", part.shape[0], rows, "rows");
    const columns = part.shape[1];
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) out.data[i * width + left + j] = part.data[i * columns + j];
    }
    left += columns;
  }
  return out;
}

/** `(n, m)` of `(m, n)`. */
export function transpose(x: Matrix): Matrix {
  return transposeInto(x, zeros(x.shape[1], x.shape[0]));
}

/** {@link transpose}, written to `out (n, m)`. */
export function transposeInto(x: Matrix, out: Matrix): Matrix {
  const [m, n] = x.shape;
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) out.data[j * m + i] = x.data[i * n + j];
  return out;
}

/** Mean of the rows, `(columns)`. */
export function columnMeans(x: Matrix): Float64Array {
  const [rows, columns] = x.shape;
  const mean = new Float64Array(columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j] += x.data[i * columns + j];
  for (let j = 0; j < columns; j++) mean[j] /= rows;
  return mean;
}

/** `x` less the mean of its rows. */
export function centreRows(x: Matrix): Matrix {
  const mean = columnMeans(x);
  const columns = x.shape[1];
  return tensor(
    x.data.map((value, i) => value - mean[i % columns]),
    x.shape,
  );
}

/** `Σ x²`. */
export function squaredNorm(x: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * x[i];
  return sum;
}

/** `Σ x·y`. */
export function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

/** `‖a_i − b_j‖²` for every row of `a (n, d)` and `b (m, d)`, by differences: no cancellation, never negative. */
export function squaredDistances(a: Matrix, b: Matrix, weights?: ArrayLike<number>): Matrix {
  checkSame("squaredDistances", a.shape[1], b.shape[1], "columns");
  const [n, d] = a.shape;
  const m = b.shape[0];
  const out = zeros(n, m);
  for (let i = 0; i < n; i++) {
    // From a to itself there is as far as back.
    if (a === b) for (let j = 0; j < i; j++) out.data[i * m + j] = out.data[j * m + i];
    for (let j = a === b ? i : 0; j < m; j++) {
      let sum = 0;
      for (let p = 0; p < d; p++) {
        const difference = a.data[i * d + p] - b.data[j * d + p];
        sum += weights === undefined ? difference * difference : weights[p] * difference * difference;
      }
      out.data[i * m + j] = sum;
    }
  }
  return out;
}

/** @throws ModalscopeError unless `found` is `wanted`. */
export function checkSame(where: string, found: number, wanted: number, what: string): void {
  if (found !== wanted) {
    throw new ModalscopeError(`${where} got ${found} and ${wanted} ${what}.`, "They must be equal.");
  }
}
