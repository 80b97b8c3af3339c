/** Cotangents through edits. */

import { sizeOf, type Tensor } from "../../tensor.js";
import type { Pass } from "../batch/index.js";
import type { Hook } from "../hooks/index.js";
import { atPaddedKeys, cellsOf } from "./apply.js";
import type { Edit } from "./edit.js";
import { type Affine, affineOf, type BoundEdit, isProjection, multiplyCell, transform } from "./values.js";

/** Cotangents (targets, …the hook's shape), zero at keys that are padding. */
export function withoutPaddedKeys(g: Tensor, hook: Hook, pass: Pass): Tensor {
  const [targets, ...shape] = g.shape;
  const size = sizeOf(shape);
  atPaddedKeys(hook, pass, shape, (i) => {
    for (let m = 0; m < targets; m++) g.data[m * size + i] = 0;
  });
  return g;
}

/**
 * The cotangent (targets, …the hook's shape) of a hook's value before its edits, from that after them.
 * Nothing passes
 * `apply` and `resample`.
 */
export function vjpEdits(g: Tensor, hook: Hook, edits: readonly BoundEdit[], pass: Pass): Tensor {
  const [targets, ...shape] = g.shape;
  const size = sizeOf(shape);
  const width = shape[shape.length - 1];
  const data = g.data.slice();
  for (let m = 0; m < targets; m++) {
    const own = data.subarray(m * size, (m + 1) * size);
    for (const placed of [...edits].reverse()) {
      if (placed.edit.kind === "blockAttention") continue;
      const cells = cellsOf(hook, shape, placed, pass);
      const linear = linearPart(placed);
      // A mean and a projection are their own transposes.
      if (!linear)
        transform({ data: own, shape }, cells, { ...placed, edit: withoutShift(placed.edit) }, width);
      else for (const cell of cells) multiplyCell(linear(width), cell, own, width);
    }
    atPaddedKeys(hook, pass, shape, (i) => {
      own[i] = g.data[m * size + i];
    });
  }
  return { data, shape: g.shape };
}

/** An edit's derivative by x where that is a factor for each element. */
function linearPart(placed: BoundEdit): ((width: number) => Affine) | undefined {
  const { kind } = placed.edit;
  if (kind === "mean" || isProjection(placed.edit)) return undefined;
  return (width) => ({ factor: affineOf(placed, width)?.factor ?? 0 });
}

function withoutShift(edit: Edit): Edit {
  return isProjection(edit) ? { ...edit, plus: undefined } : edit;
}
