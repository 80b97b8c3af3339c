import { sizeOf } from "../tensor.js";
import type { Pass } from "./pass.js";

/**
 * Fills the columns of a tensor (batch, …, time, …) that are padding.
 * @param time the axis that counts columns
 */
export function fillPadding(
  data: Float32Array,
  shape: readonly number[],
  time: number,
  { columns, start }: Pick<Pass, "columns" | "start">,
  value: number,
): void {
  const inner = sizeOf(shape.slice(time + 1));
  const outer = sizeOf(shape.slice(1, time));
  const length = shape[time];
  columns.forEach((row, b) => {
    if (row.length === length) return;
    const tokens = new Set(row);
    for (let o = 0; o < outer; o++) {
      for (let t = 0; t < length; t++) {
        const from = ((b * outer + o) * length + t) * inner;
        if (!tokens.has(start + t)) data.fill(value, from, from + inner);
      }
    }
  });
}
