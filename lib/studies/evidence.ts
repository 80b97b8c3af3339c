/** Evidence: what a claim's rule judges, made from values per sample or from estimates. */
import { mean } from "simple-statistics";
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
import { type Arms, armOf, averaged, checkNulls, needed, numbersOf, pairedArms } from "./arms.js";
import type { Against, Test } from "./claims.js";

/** The numbers behind one test of a claim. */
export interface Evidence {
  /** Value that the limits apply to: measured, its difference from `against`, or a share of the ceiling. */
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
  const clustered = { clusters: own.clusters };
  const measured = rate ? rateInterval(own.values, clustered) : meanInterval(own.values, clustered);
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
  const { measured, references, flags } = pairedArms(test, arms);
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
  const shared = full && shareEvidence(effects, full, reference, effect, clusters);
  const share = shared && (rate || nulls ? atLeastAsWide(shared.share, shared.ceiling) : shared.share);
  return {
    contrast: share ?? effect,
    ...(against ? { against } : {}),
    measured: own,
    ...(reference ? { reference: mean(reference) } : {}),
    ...(nulls ? { nulls } : {}),
    ...(rate ? { counts: countsOf(full ? [...flags, full] : flags) } : {}),
    ...(shared ? { ceiling: shared.ceiling } : {}),
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

/** The effect as a share of the full edit's, both less the reference. */
function shareEvidence(
  effects: readonly number[],
  full: readonly number[],
  reference: readonly number[] | undefined,
  effect: Estimate,
  clusters: ArrayLike<number | string> | undefined,
): { readonly share: Estimate; readonly ceiling: Required<Evidence>["ceiling"] } {
  const wholes = reference ? full.map((value, i) => value - reference[i]) : full;
  const ceiling = { full: meanInterval(wholes, { clusters }), effect };
  // Without a full effect there is no share; the judge stops at the ceiling before it reads one.
  const none = ceiling.full.estimate === 0;
  return { share: none ? effect : ratioInterval(effects, wholes, { clusters }), ceiling };
}

/** As wide as the effect's own interval is in these shares: that of equal arms, or of nulls that differ. */
function atLeastAsWide(share: Estimate, { full, effect }: Required<Evidence>["ceiling"]): Estimate {
  if (full.estimate === 0) return share;
  const ends = [effect.low / full.estimate, effect.high / full.estimate];
  return { ...share, low: Math.min(share.low, ...ends), high: Math.max(share.high, ...ends) };
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
