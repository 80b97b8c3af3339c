/** Computation graphs: nodes and operations, their vector-Jacobian products, and their form as ONNX. */
export { emitOnnx } from "./emit-onnx.js";
export type { WeightBinding } from "./emit-weights.js";
export {
  cotangentOf,
  derivativeBy,
  derivedName,
  frozenInput,
  preEditOf,
  scaleOf,
  shiftOf,
} from "./names.js";
export {
  type Dim,
  input,
  type Node,
  nameOf,
  type Shape,
  scalar,
  sorted,
  weight,
  withPullback,
} from "./node.js";
// Operations, under their own names where a file uses few, as `ops.add` where it uses many.
export * from "./ops.js";
export * as ops from "./ops.js";
export * from "./training-ops.js";
export { pullback } from "./vjp.js";
