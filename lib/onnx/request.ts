import type { Tensor, TypedArray } from "../tensor.js";
import type { Edit } from "./edits.js";
import type { NamePattern } from "./pattern.js";

export type OnnxArray = Tensor<TypedArray>;

export interface OnnxRequest {
  /** Tensors to capture, by name or pattern. */
  readonly capture?: NamePattern | readonly NamePattern[];
  /** Changes of float tensors, inputs or weights, by name or glob. */
  readonly edits?: Readonly<Record<string, Edit>>;
  /** The model's outputs to compute (default all); what only the others need is not run. */
  readonly outputs?: readonly string[];
}

export interface OnnxResult {
  readonly outputs: Record<string, OnnxArray>;
  readonly captures: Record<string, OnnxArray>;
}
