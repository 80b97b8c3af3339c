import { ModalscopeError } from "../../errors.js";

/**
 * Kendall's rank correlation τ-a of a curve with its own order: 1 when every later value is larger, −1 when every one is
 * smaller; ties count as neither.
 */
export function trend(curve: ArrayLike<number>): number {
  const n = curve.length;
  if (n < 2) throw new ModalscopeError("A trend needs two values or more.");
  let sum = 0;
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) sum += Math.sign(curve[j] - curve[i]);
  return (2 * sum) / (n * (n - 1));
}
