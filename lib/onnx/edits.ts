import { ModalscopeError } from "../errors.js";
import type { Value } from "../runtime/index.js";
import { sizeOf, type Tensor, type TypedArray } from "../tensor.js";
import { showShape } from "./listing.js";
import type { ValueType } from "./scan.js";
import type { EditPorts } from "./splice-graph.js";

/** A number, or values that broadcast against the tensor (NumPy's rule) without enlarging it. */
export type Operand = number | Tensor<Float32Array | Float64Array>;

/**
 * A change of a float tensor x: `x·scale + add`, or `replace` in its place. Where scale is 0 the result is
 * exactly `add`, whatever x was there, infinities and NaN included; so `{ scale: mask, add: values }` replaces
 * a part.
 */
export type Edit =
  | { readonly scale?: Operand; readonly add?: Operand; readonly replace?: undefined }
  | { readonly replace: Operand; readonly scale?: undefined; readonly add?: undefined };

/** An edit as the session takes it. */
export interface Affine {
  readonly scale: Operand;
  readonly add: Operand;
}

/**
 * Checks an edit against what is known of its tensor.
 * @throws ModalscopeError when it cannot fit
 */
export function checkedEdit(name: string, edit: Edit, type: ValueType): Affine {
  const given = Object.entries(edit).filter(([, operand]) => operand !== undefined);
  const unknown = given.find(([key]) => key !== "scale" && key !== "add" && key !== "replace");
  if (unknown !== undefined || given.length === 0) {
    throw new ModalscopeError(
      `The edit of "${name}" ${unknown ? `has "${unknown[0]}"` : "is empty"}.`,
      "An edit has scale, add, or both, or else replace.",
      "Write { scale: 0 }, { add: 1 } or { replace: tensor }.",
    );
  }
  if (edit.replace !== undefined && given.length > 1) {
    throw new ModalscopeError(
      `The edit of "${name}" has both replace and ${given.find(([key]) => key !== "replace")?.[0]}.`,
      "What replaces the value leaves nothing of it to scale or to add to.",
      "Give one of them.",
    );
  }
  for (const [key, operand] of given) checkOperand(`The edit of "${name}" (${key})`, operand, type.shape);
  return { scale: edit.replace !== undefined ? 0 : (edit.scale ?? 1), add: edit.replace ?? edit.add ?? 0 };
}

function checkOperand(what: string, operand: Operand, shape: ValueType["shape"]): void {
  if (typeof operand === "number") return;
  if (!(operand?.data instanceof Float32Array || operand?.data instanceof Float64Array)) {
    throw new ModalscopeError(
      `${what} is neither a number nor a float tensor.`,
      "",
      "Give a number or { shape, data } with a Float32Array or Float64Array.",
    );
  }
  checkTensor(what, operand);
  if (shape === undefined) return;
  const fits =
    operand.shape.length <= shape.length &&
    operand.shape.every((size, i) => {
      const own = shape[shape.length - operand.shape.length + i];
      return size === 1 || typeof own === "string" || size === own;
    });
  if (!fits) throw unfit(what, operand.shape, shape);
}

/** The error for an operand that does not broadcast into its tensor. */
export function unfit(
  what: string,
  given: readonly number[],
  shape: readonly (number | string)[],
): ModalscopeError {
  return new ModalscopeError(
    `${what} has the shape ${showShape(given)}.`,
    `The tensor has ${showShape(shape)}.`,
    "Give a number, the tensor's own shape, or one that broadcasts to it.",
  );
}

/** Checks that data fill the shape. */
export function checkTensor(what: string, { shape, data }: Tensor<TypedArray>): void {
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || sizeOf(shape) !== data.length) {
    throw new ModalscopeError(
      `${what} has ${data.length} values for the shape (${shape.join(", ")}).`,
      `That shape holds ${sizeOf(shape)}.`,
    );
  }
}

/** Feeds of a session for an edit; without one, feeds that leave the tensor as it is. */
export function editFeeds(ports: EditPorts, edit: Affine = { scale: 1, add: 0 }): Record<string, Value> {
  const scale = operandValue(edit.scale, ports.carrier);
  const feeds: Record<string, Value> = {
    [ports.scale]: scale,
    [ports.add]: operandValue(edit.add, ports.carrier),
  };
  if (ports.keep !== undefined) {
    const keep = Uint8Array.from(scale.data as Float32Array, (value) => (value === 0 ? 0 : 1));
    feeds[ports.keep] = { type: "bool", dims: scale.dims, data: keep };
  }
  return feeds;
}

function operandValue(operand: Operand, carrier: EditPorts["carrier"]): Value {
  const [shape, data] = typeof operand === "number" ? [[], [operand]] : [operand.shape, operand.data];
  const ArrayType = carrier === "float32" ? Float32Array : Float64Array;
  return { type: carrier, dims: shape, data: data instanceof ArrayType ? data : ArrayType.from(data) };
}
