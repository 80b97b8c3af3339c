import type { Rule } from "./claims.js";

/** The values for which a rule holds, without their ends. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Field of each kind of rule: the limits are numbers of the file. */
type Limits<K extends Rule["kind"]> = Extract<Rule, { readonly kind: K }>;

const ranges: { readonly [K in Rule["kind"]]: (rule: Limits<K>) => Range } = {
  above: ({ threshold }) => ({ from: threshold, to: Number.POSITIVE_INFINITY }),
  below: ({ threshold }) => ({ from: Number.NEGATIVE_INFINITY, to: threshold }),
  between: ({ low, high }) => ({ from: low, to: high }),
  equivalent: ({ margin }) => ({ from: -margin, to: margin }),
  monotone: ({ direction, threshold }) =>
    direction === "rising"
      ? { from: threshold, to: Number.POSITIVE_INFINITY }
      : { from: Number.NEGATIVE_INFINITY, to: -threshold },
};

/** The range of a rule. */
export function rangeOf(rule: Rule): Range {
  return (ranges[rule.kind] as (rule: Rule) => Range)(rule);
}

/** "above 0.1", "within ±0.05 of its control", "between 0.75 and 0.84". */
export function ruleText(rule: Rule): string {
  return [
    limitText(rule),
    rule.against ? `against ${rule.against}` : "",
    rule.shareOf ? `as a share of ${rule.shareOf}` : "",
  ]
    .filter(Boolean)
    .join(", ");
}

const signed = (limit: number): string => String(limit).replace("-", "−");

function limitText(rule: Rule): string {
  switch (rule.kind) {
    case "above":
    case "below":
      return `${rule.kind} ${signed(rule.threshold)}`;
    case "between":
      return `between ${signed(rule.low)} and ${signed(rule.high)}`;
    case "equivalent":
      return `within ±${rule.margin}`;
    case "monotone":
      return `${rule.direction}, τ beyond ${rule.threshold}`;
  }
}
