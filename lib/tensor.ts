/** The arrays that pass between the model, the analysis and the plots. */

export type TypedArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint16Array;

/** A dense, row-major array. `data.length` is the product of `shape`. */
export interface Tensor<D extends TypedArray = Float32Array> {
  readonly shape: readonly number[];
  readonly data: D;
}

/** Number of elements of a shape; 1 for a scalar's empty shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/**
 * Wraps `data` as a tensor without copying.
 * @throws RangeError when the sizes disagree.
 */
export function tensor<D extends TypedArray>(data: D, shape: readonly number[]): Tensor<D> {
  if (data.length !== sizeOf(shape)) {
    throw new RangeError(
      `${data.length} values cannot have the shape (${shape.join(", ")}): it holds ${sizeOf(shape)}.`,
    );
  }
  return { data, shape };
}

/** A float32 tensor of zeros, or of `value`. */
export function filled(shape: readonly number[], value = 0): Tensor {
  const data = new Float32Array(sizeOf(shape));
  return { data: value === 0 ? data : data.fill(value), shape };
}

/** View of `x[index]` along the first axis: the data are shared. Negative indices count from the end. */
export function at0<D extends TypedArray>(x: Tensor<D>, index: number): Tensor<D> {
  const i = index < 0 ? index + x.shape[0] : index;
  if (!(i >= 0 && i < x.shape[0]))
    throw new RangeError(`Index ${index} is outside the first axis, of length ${x.shape[0]}.`);
  const size = sizeOf(x.shape.slice(1));
  return { data: x.data.subarray(i * size, (i + 1) * size) as D, shape: x.shape.slice(1) };
}

/** `length` zeros of the same type as `data`. */
export function zerosLike<D extends TypedArray>(data: D, length: number): D {
  return new (data.constructor as new (n: number) => D)(length);
}
