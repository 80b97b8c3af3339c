/** Evidence: what a claim's rule judges, made from values per sample or from estimates. */
import {
  beyondNulls,
  type Estimate,
  groupDifferenceInterval,
  meanInterval,
  rateDifferenceInterval,
  rateInterval,
  ratioInterval,
} from "../analysis/index.js";
import { ModalscopeError } from "../errors.js";
import type { Against, Test } from "./claims.js";

/** Fewest shuffles, random draws or size-matched sets. */
export const LEAST_NULLS = 5;

/** The numbers behind one test of a claim. */
export interface Evidence {
  /** What the rule's limits are compared with: the measured value, its difference from `against`, or a share of the ceiling. */
  readonly contrast: Estimate;
  readonly against?: Against;
  readonly measured: Estimate;
  /** Value of the control, the other group, or the nulls on average. */
  readonly reference?: number;
  /** Each null's value. */
  readonly nulls?: readonly number[];
  /** With `shareOf`: the full edit's effect and the effect itself, both less the reference. */
  readonly ceiling?: { readonly full: Estimate; readonly effect: Estimate };
  /** Of a rate: samples in the smallest arm, and how often the rarer outcome came in all arms together. */
  readonly counts?: { readonly samples: number; readonly events: number };
}

/** A measurement that could not be made, and why: "this model has no experts". */
export interface Untestable {
  readonly untestable: string;
}

/** Values of one arm, one per sample; of a rate 0 or 1, or flags. */
export type Values = ArrayLike<number | boolean>;

/** The same edit with a set and with everything but it, on the same samples. */
export interface Sides {
  readonly set: Values;
  readonly complement: Values;
}

/** What was measured, per sample; the arms beside `group` are of the same samples in the same order. */
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

/**
 * Evidence for a test from values per sample: means and rates with intervals over clusters (t, Wilson, Bonett–Price), paired
 * where arms share samples, and wide enough that one more random set would not stand out.
 * @throws ModalscopeError when an arm that the test's rule needs is missing or of another length, when a rate's value is not
 * 0 or 1, and with fewer than five nulls.
 */
export function evidenceOf(test: Test, arms: Arms): Evidence {
  const { against, shareOf } = test.rule;
  if (against === "group" && shareOf !== undefined)
    throw new ModalscopeError(
      `"${test.measures}" is compared with another group and as a share.`,
      "A full edit of other samples is no ceiling.",
    );
  return against === "group" ? groupEvidence(test, arms) : pairedEvidence(test, arms);
}

function groupEvidence(test: Test, arms: Arms): Evidence {
  const rate = test.quantity === "rate";
  const own = {
    values: numbersOf(needed(arms.measured, test, "measured"), test, "measured"),
    clusters: arms.clusters,
  };
  const group = needed(arms.group, test, "group");
  const other = { values: numbersOf(group.values, test, "group"), clusters: group.clusters };
  const measured = rate ? rateInterval(own.values, own) : meanInterval(own.values, own);
  return {
    contrast: groupDifferenceInterval(own, other, { rates: rate }),
    against: "group",
    measured,
    reference: mean(other.values),
    ...(rate ? { counts: countsOf([own.values, other.values]) } : {}),
  };
}

function pairedEvidence(test: Test, arms: Arms): Evidence {
  const { against, shareOf } = test.rule;
  const { clusters } = arms;
  const { measured, references, flags } = armsOf(test, arms);
  const rate = test.quantity === "rate";
  const signed = against === "random contrasts";
  const difference = (values: readonly number[], reach: number): Estimate =>
    rate ? rateDifferenceInterval(values, { clusters, reach }) : meanInterval(values, { clusters });
  const own = rate && !signed ? rateInterval(measured, { clusters }) : difference(measured, 1);
  const reference = references.length > 0 ? averaged(references) : undefined;
  const effects = reference ? measured.map((value, i) => value - reference[i]) : measured;
  const nulls = against === undefined || against === "control" ? undefined : references.map(mean);
  const plain = reference ? difference(effects, signed ? 2 : 1) : own;
  const effect = nulls ? beyondNulls(plain, nulls) : plain;
  const full =
    shareOf === undefined
      ? undefined
      : armOf(needed(arms.ceiling, test, "ceiling"), test, "ceiling", measured.length);
  return {
    contrast: effect,
    ...(against ? { against } : {}),
    measured: own,
    ...(reference ? { reference: mean(reference) } : {}),
    ...(nulls ? { nulls } : {}),
    ...(rate ? { counts: countsOf(full ? [...flags, full] : flags) } : {}),
    ...(full ? shareEvidence(effects, full, reference, effect, nulls, clusters) : {}),
  };
}

/** Estimates that a study made itself, for statistics that are no mean over samples. */
export interface Estimates {
  readonly measured: Estimate;
  /** Measured less the control or the other group, with its own interval. */
  readonly difference?: Estimate;
  /** The statistic of each shuffle or random set. */
  readonly nulls?: ArrayLike<number>;
}

/**
 * Evidence from estimates: a correlation, an effective rank, the place of a peak. Against nulls the contrast is the measured
 * value less their mean, as wide as the nulls' own spread asks.
 * @throws ModalscopeError when what the test's rule needs is missing, for a rate (which needs counts), and for a share.
 */
export function evidenceFrom(test: Test, { measured, difference, nulls }: Estimates): Evidence {
  const { against, shareOf } = test.rule;
  if (test.quantity === "rate" || shareOf !== undefined)
    throw new ModalscopeError(
      `"${test.measures}" is a ${shareOf === undefined ? "rate" : "share"}.`,
      "It is judged from values per sample.",
      "Use evidenceOf.",
    );
  if (against === undefined) return { contrast: measured, measured };
  if (against === "control" || against === "group") {
    const contrast = needed(difference, test, "difference");
    return { contrast, against, measured, reference: measured.estimate - contrast.estimate };
  }
  const values = Array.from(needed(nulls, test, "nulls"));
  checkNulls(values.length, test);
  const reference = mean(values);
  const shifted = {
    ...measured,
    estimate: measured.estimate - reference,
    low: measured.low - reference,
    high: measured.high - reference,
  };
  return { contrast: beyondNulls(shifted, values), against, measured, reference, nulls: values };
}

/** The measured arm, what it is compared with, and the arms whose flags count as events, `(samples)` each. */
interface PairedArms {
  readonly measured: readonly number[];
  readonly references: readonly (readonly number[])[];
  readonly flags: readonly (readonly number[])[];
}

function armsOf(test: Test, arms: Arms): PairedArms {
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

/** The effect as a share of the full edit's, both less the reference. */
function shareEvidence(
  effects: readonly number[],
  full: readonly number[],
  reference: readonly number[] | undefined,
  effect: Estimate,
  nullMeans: readonly number[] | undefined,
  clusters: ArrayLike<number | string> | undefined,
): Pick<Evidence, "contrast" | "ceiling"> {
  const wholes = reference ? full.map((value, i) => value - reference[i]) : full;
  const ceiling = { full: meanInterval(wholes, { clusters }), effect };
  // Without a full effect there is no share; the judge stops at the ceiling before it reads one.
  if (ceiling.full.estimate === 0) return { contrast: effect, ceiling };
  const share = ratioInterval(effects, wholes, { clusters });
  const scaled = nullMeans?.map((value) => value / Math.abs(ceiling.full.estimate));
  return { contrast: scaled ? beyondNulls(share, scaled) : share, ceiling };
}

function needed<T>(value: T | undefined, test: Test, name: string): T {
  if (value === undefined)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has no "${name}".`,
      `Its rule asks for it (${test.rule.against ?? "no comparison"}${test.rule.shareOf ? ", a share" : ""}).`,
    );
  return value;
}

function checkNulls(count: number, test: Test): void {
  if (count < LEAST_NULLS)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has ${count} nulls.`,
      `${LEAST_NULLS} or more tell how far chance goes.`,
    );
}

function armOf(values: Values, test: Test, name: string, n: number): number[] {
  if (values.length !== n)
    throw new ModalscopeError(
      `The evidence for "${test.measures}" has ${values.length} values in "${name}" and ${n} in the measured arm.`,
      "Arms are compared sample by sample.",
    );
  return numbersOf(values, test, name);
}

function numbersOf(values: Values, test: Test, name: string): number[] {
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
function averaged(nulls: readonly (readonly number[])[]): number[] {
  return nulls[0].map((_, i) => mean(nulls.map((values) => values[i])));
}

function countsOf(arms: readonly (readonly number[])[]): { samples: number; events: number } {
  const hits = arms.map((values) => values.reduce((sum, value) => sum + value, 0));
  const total = arms.reduce((sum, values) => sum + values.length, 0);
  const happened = hits.reduce((sum, value) => sum + value, 0);
  return {
    samples: Math.min(...arms.map((values) => values.length)),
    events: Math.round(Math.min(happened, total - happened)),
  };
}

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}
