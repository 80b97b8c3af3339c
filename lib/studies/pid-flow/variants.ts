import { seeded } from "../../random.js";
import { curveCorrelation } from "./curves.js";

type Curves = readonly (readonly number[])[];

/** Permutations of the steps. */
const PERMUTATIONS = 60;

/**
 * Correlations of a model's curves with curves that share no more than a trend with them: the other variant's with its steps
 * in another order, and those of the model trained from other seeds. Short curves that rise or fall correlate by that alone.
 */
export function curveNulls(own: Curves, other: Curves, twins: readonly Curves[], seed = 0): number[] {
  const random = seeded(seed);
  const permuted = Array.from({ length: PERMUTATIONS }, () => {
    const order = random.shuffle(other[0].slice(1).map((_, i) => i));
    return curveCorrelation(
      own,
      other.map((curve) => withSteps(curve, order)),
    );
  });
  return [...permuted, ...twins.map((twin) => curveCorrelation(own, twin))].filter((r) => !Number.isNaN(r));
}

/** The curve from the same start to the same end, its steps in another order; the same for every atom. */
function withSteps(curve: readonly number[], order: readonly number[]): number[] {
  const out = [curve[0]];
  for (const i of order) out.push(out[out.length - 1] + curve[i + 1] - curve[i]);
  return out;
}
