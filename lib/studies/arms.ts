/** Arms: the values per sample that evidence is made from, and whether they are what a test's rule asks for. */
import { mean } from "simple-statistics";
import { ModalscopeError } from "../errors.js";
import type { Test } from "./claims.js";

/** Fewest shuffles, random draws or size-matched sets. */
export const LEAST_NULLS = 5;

/** Values of one arm, one per sample; of a rate 0 or 1, or flags. */
export type Values = ArrayLike<number | boolean>;

/** The same edit with a set and with everything but it, on the same samples. */
export interface Sides {
  readonly set: Values;
  readonly complement: Values;
}

/** Measurements, per sample; the arms beside `group` are of the same samples in the same order. */
export interface Arms {
  /** The value itself. With `chosen` it is made from that. */
  readonly measured?: Values;
  readonly control?: Values;
  readonly group?: { readonly values: Values; readonly clusters?: ArrayLike<number | string> };
  readonly nulls?: readonly Values[];
  /** The chosen set, and random ones of its size. */
  readonly chosen?: Sides;
  readonly random?: readonly Sides[];
  /** The full edit of the same kind. */
  readonly ceiling?: Values;
  /** Cluster of each sample: its image, problem, caption. */
  readonly clusters?: ArrayLike<number | string>;
}

/** The measured arm, what it is compared with, and the arms whose flags count as events, `(samples)` each. */
export interface PairedArms {
  readonly measured: readonly number[];
  readonly references: readonly (readonly number[])[];
  readonly flags: readonly (readonly number[])[];
}

/** @throws ModalscopeError when an arm that the rule needs is missing, too rare or of another length. */
export function pairedArms(test: Test, arms: Arms): PairedArms {
  const { against } = test.rule;
  if (against === "random sets" || against === "random complements" || against === "random contrasts")
    return matchedArms(test, arms, against);
  const measured = numbersOf(needed(arms.measured, test, "measured"), test, "measured");
  const arm = (values: Values, name: string): number[] => armOf(values, test, name, measured.length);
  if (against === undefined) return { measured, references: [], flags: [measured] };
  if (against === "control") {
    const control = arm(needed(arms.control, test, "control"), "control");
    return { measured, references: [control], flags: [measured, control] };
  }
  const nulls = needed(arms.nulls, test, "nulls").map((values, i) => arm(values, `nulls[${i}]`));
  checkNulls(nulls.length, test);
  return { measured, references: nulls, flags: [measured, averaged(nulls)] };
}

/** Chosen and random sets: one side of each, or the set less its complement. Both sides must have been run. */
function matchedArms(
  test: Test,
  arms: Arms,
  against: "random sets" | "random complements" | "random contrasts",
): PairedArms {
  const chosen = needed(arms.chosen, test, "chosen");
  const random = needed(arms.random, test, "random");
  checkNulls(random.length, test);
  const n = chosen.set.length;
  const [own, ...others] = [chosen, ...random].map((sides, i) => {
    const name = i === 0 ? "chosen" : `random[${i - 1}]`;
    return {
      set: armOf(sides.set, test, `${name}.set`, n),
      complement: armOf(sides.complement, test, `${name}.complement`, n),
    };
  });
  const side = ({ set, complement }: typeof own): number[] => {
    if (against === "random sets") return set;
    return against === "random complements" ? complement : set.map((value, i) => value - complement[i]);
  };
  const references = others.map(side);
  const flags =
    against === "random contrasts" ? [own.set, own.complement] : [side(own), averaged(references)];
  return { measured: side(own), references, flags };
}

/** @throws ModalscopeError when the evidence lacks what its test's rule asks for. */
export function needed<T>(value: T | undefined, test: Test, name: string): T {
  if (value === undefined)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has no "${name}".`,
      `Its rule asks for it (${test.rule.against ?? "no comparison"}${test.rule.shareOf ? ", a share" : ""}).`,
    );
  return value;
}

/** @throws ModalscopeError for fewer than five. */
export function checkNulls(count: number, test: Test): void {
  if (count < LEAST_NULLS)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has ${count} nulls.`,
      `${LEAST_NULLS} or more tell how far chance goes.`,
    );
}

/** An arm of `n` samples. */
export function armOf(values: Values, test: Test, name: string, n: number): number[] {
  if (values.length !== n)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has ${values.length} values in "${name}" and ${n} in the measured arm.`,
      "Arms are compared sample by sample.",
    );
  return numbersOf(values, test, name);
}

/** The values as numbers. */
export function numbersOf(values: Values, test: Test, name: string): number[] {
  const numbers = Array.from(values, Number);
  const allowed = test.quantity === "rate" ? (x: number) => x === 0 || x === 1 : Number.isFinite;
  const wrong = numbers.findIndex((value) => !allowed(value));
  if (wrong >= 0)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has ${numbers[wrong]} at sample ${wrong} of "${name}".`,
      test.quantity === "rate" ? "A rate's values are 0 or 1." : "Its values are finite numbers.",
    );
  return numbers;
}

/** Over the nulls, `(samples)`. */
export function averaged(nulls: readonly (readonly number[])[]): number[] {
  return nulls[0].map((_, i) => mean(nulls.map((values) => values[i])));
}
