/** Claims as data: what a document says, what is measured for it, and by which rule numbers become a verdict. */

/** Kind of a measured number: it decides how intervals are made, how many samples it takes and its range. */
export type Quantity =
  /** A share of samples, 0–1. */
  | "rate"
  /** A mean over samples, in any unit. */
  | "mean"
  /** A rank correlation with the order of positions, −1 to 1. */
  | "trend"
  /** A place as a share of the model's depth, 0–1. */
  | "depth"
  /** Anything else with an interval: a correlation, ICC, CKA, bits. */
  | "statistic";

/**
 * Reference that the measured value is compared with before the rule is applied; without it, none.
 * - `control`: another condition on the same samples. `group`: other samples.
 * - `null`: five or more shuffles or random draws.
 * - `random sets`, `random complements`, `random contrasts`: five or more random sets of the chosen set's size and their
 *   complements; compared is the set, its complement, or the set less its complement, each with its like.
 */
export type Against =
  | "control"
  | "group"
  | "null"
  | "random sets"
  | "random complements"
  | "random contrasts";

interface Compared {
  readonly against?: Against;
  /** The full edit of the same kind, as whose share the effect is given; the limits are then shares too. */
  readonly shareOf?: string;
}

/** From numbers to a verdict. Every rule is a range in which the compared value must lie. */
export type Rule = Compared &
  (
    | { readonly kind: "above"; readonly threshold: number }
    | { readonly kind: "below"; readonly threshold: number }
    | { readonly kind: "between"; readonly low: number; readonly high: number }
    /** No difference larger than `margin`. */
    | { readonly kind: "equivalent"; readonly margin: number }
    /** The mean rank correlation τ of each sample's curve with its order is beyond `threshold` in this direction. */
    | { readonly kind: "monotone"; readonly direction: "rising" | "falling"; readonly threshold: number }
  );

/** One measurement of a claim and its rule. */
export interface Test {
  /** Description of the measurement, with its unit. */
  readonly measures: string;
  readonly quantity: Quantity;
  readonly rule: Rule;
  /** Not what is claimed but what must hold before it can be asked: where it does not, the claim is not testable. */
  readonly precondition: boolean;
  /** Least samples and events of the rarer kind; rates have 100 and 30, and a study may only ask for more. */
  readonly least: { readonly samples: number; readonly events: number };
}

/** Tasks that a claim's samples must have passed: none, at least one kind of task, or each of these kinds. */
export type GateRule = "none" | "any" | readonly string[];

export const VERDICTS = ["supported", "contradicted", "undecided", "not testable"] as const;
export type Verdict = (typeof VERDICTS)[number];

/** A claim of a document. Where its preconditions hold, it holds when each of its other tests does. */
export interface Claim {
  readonly id: string;
  /** In one sentence of English. */
  readonly says: string;
  /** The document's own words. */
  readonly quote: string;
  /** The section or table they stand in. */
  readonly where: string;
  /** Judged on three or more data seeds, and says on how many they agree. */
  readonly headline: boolean;
  readonly gate: GateRule;
  readonly tests: ReadonlyMap<string, Test>;
  /**
   * Checkpoints that hold nothing of the claim and must have been run: support there shows that the rule is broken. So it does
   * on every null that is run and is not planted to support the claim.
   */
  readonly nulls: readonly string[];
  /** The verdict that each planted checkpoint was built for. */
  readonly planted: ReadonlyMap<string, Verdict>;
}

/** Checkpoint on which the claims are tested. */
export interface Checkpoint {
  readonly id: string;
  /** The model under study; one that holds nothing (random weights, shuffled images); one built by hand. */
  readonly role: "model" | "null" | "planted";
  readonly name: string;
  readonly says: string;
}

/** A study's claims and what they are tried on, from `data/studies/<name>.json`. */
export interface Study {
  readonly name: string;
  readonly title: string;
  readonly checkpoints: readonly Checkpoint[];
  readonly claims: readonly Claim[];
}
