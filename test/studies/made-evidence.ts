/** Evidence made for a test of any study: well inside its rule's range, well outside, or of nothing at all. */

import type { Arms, Sides } from "../../lib/studies/arms.js";
import type { Test } from "../../lib/studies/claims.js";
import { type Evidence, evidenceFrom, evidenceOf } from "../../lib/studies/evidence.js";
import { rangeOf } from "../../lib/studies/rules.js";

export type Truth = "inside" | "outside" | "nothing";

const SAMPLES = 200;
/** Two hundredths of a unit of noise, the same in every arm's sample. */
const wobble = Array.from({ length: SAMPLES }, (_, i) => 0.02 * (i % 2 === 0 ? 1 : -1));

export function madeEvidence(test: Test, truth: Truth): Evidence {
  const target = targetOf(test, truth);
  return test.quantity === "rate" || test.quantity === "mean"
    ? evidenceOf(test, armsOf(test, target, truth))
    : evidenceFrom(test, estimatesOf(test, target, truth));
}

/** The value that the rule is applied to. */
function targetOf({ rule, quantity }: Test, truth: Truth): number {
  if (truth === "nothing") return quantity === "rate" && rule.against === undefined ? 0.5 : 0;
  const { from, to } = rangeOf(rule);
  const step = 0.4;
  if (Number.isFinite(from) && Number.isFinite(to)) return truth === "inside" ? (from + to) / 2 : to + step;
  const rises = Number.isFinite(from);
  const away = rises === (truth === "inside") ? step : -step;
  const found = (rises ? from : to) + away;
  // A large correlation or share has little room above it.
  return quantity === "statistic" && rises ? Math.min(found, Math.max(from + 0.02, 0.98)) : found;
}

function armsOf(test: Test, target: number, truth: Truth): Arms {
  const { against, shareOf } = test.rule;
  // With a ceiling: from a tenth to nine tenths; else as far apart as the target, about one half.
  const reference = shareOf ? 0.1 : 0.5 - target / 2;
  const full = truth === "nothing" ? reference : 0.9;
  const level = against === undefined ? target : shareOf ? 0.1 + 0.8 * target : 0.5 + target / 2;
  const measured = valuesOf(test, level);
  const other = valuesOf(test, reference);
  const sides = (set: number[]): Sides => ({ set, complement: set });
  const five = Array<number[]>(5).fill(other);
  const ceiling = shareOf ? { ceiling: valuesOf(test, full) } : {};
  if (against?.startsWith("random")) return { chosen: sides(measured), random: five.map(sides), ...ceiling };
  return { measured, control: other, group: { values: other }, nulls: five, ...ceiling };
}

function valuesOf({ quantity }: Test, level: number): number[] {
  if (quantity === "rate") return wobble.map((_, i) => Number(i < Math.round(level * SAMPLES)));
  return wobble.map((noise) => level + noise);
}

function estimatesOf({ quantity }: Test, target: number, truth: Truth) {
  // Of nothing a place can be anywhere.
  const [centre, half] = quantity === "depth" && truth === "nothing" ? [0.5, 0.5] : [target, 0.01];
  const measured = { estimate: centre, low: centre - half, high: centre + half, n: SAMPLES, level: 0.95 };
  return { measured, difference: measured, nulls: [0, 0.001, -0.001, 0.001, -0.001] };
}
